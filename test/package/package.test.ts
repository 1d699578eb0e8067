// The package as users get it: its contents, its declarations, and its installation in an empty folder without a compiler.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { build } from 'esbuild';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { PROJECT, readProjectFile } from '../support/project.js';
import { SIGNAL_OF_DOM, SLIPS, USER } from './user-programs.js';

const manifest = JSON.parse(readProjectFile('package.json')) as { exports: Record<string, unknown>; version: string };
/** `conntrack`, `conntrack/netlink`, …: what code can be imported from. */
const ENTRIES = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith('.json'))
  .map((path) => path.replace('.', 'conntrack'));

const npm = realpathSync(which('npm'));

function which(command: string): string {
  const { stdout } = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], { encoding: 'utf8' });
  assert.notEqual(stdout, '', `${command} is not installed`);
  return stdout.trim();
}

/** Runs a command that must succeed. @returns its standard output */
function must(command: string, args: readonly string[], options: { cwd: string; path?: string }): string {
  const env = options.path === undefined ? process.env : { ...process.env, PATH: options.path };
  const result = spawnSync(command, args, { cwd: options.cwd, env, encoding: 'utf8' });
  assert.equal(
    result.status,
    0,
    `${command} ${args.join(' ')}: ${result.status ?? result.error}\n${result.stdout}${result.stderr}`,
  );
  return result.stdout;
}

suite('package', () => {
  let folder: string;
  let tarball: string;
  let files: string[];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'conntrack-package-'));
    // Without scripts: dist/ is there, and other tests are using it.
    const packed = must(process.execPath, [npm, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
      cwd: PROJECT,
    });
    const answer = JSON.parse(packed);
    const [report] = Array.isArray(answer) ? answer : Object.values<{ filename: string; files: { path: string }[] }>(answer);
    tarball = join(folder, report.filename);
    files = report.files.map(({ path }: { path: string }) => path);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('publint finds nothing to say', async () => {
    const { messages, pkg } = await publint({ pkgDir: PROJECT, strict: true });
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg, { color: false })),
      [],
    );
  });

  test('arethetypeswrong finds the right declarations for every entry', async () => {
    const result = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
    assert.ok(result.types, 'the package has no declarations');
    const entries = Object.keys(result.entrypoints).filter((path) => !path.endsWith('.json'));
    assert.deepEqual(entries.map((path) => path.replace('.', 'conntrack')).sort(), [...ENTRIES].sort());
    // These are ES modules: require() of them needs Node.js 22.12, and resolution as before Node.js 12.17 knows no subpaths.
    const problems = result.problems.filter(
      (problem) => problem.kind !== 'CJSResolvesToESM' && !('resolutionKind' in problem && problem.resolutionKind === 'node10'),
    );
    assert.deepEqual(problems, []);
  });

  test('it has what is run and read, and nothing else', () => {
    const folders = new Set(files.map((path) => path.split('/')[0]!));
    const expected = ['CHANGELOG.md', 'LICENSE', 'README.md', 'bin', 'dist', 'docs', 'package.json'];
    assert.deepEqual([...folders].sort(), expected.sort());
    assert.deepEqual(
      files.filter((path) => /\.test\.|\.map$|(?<!\.d)\.ts$/.test(path)),
      [],
    );
    const started = [
      'bin/conntrack',
      'dist/conntrack.cjs',
      'dist/conntrack.cjs.cache',
      'dist/conntrack.cjs.table.cache',
      'dist/conntrack.cjs.filter.cache',
    ];
    for (const path of [...started, 'dist/index.js', 'dist/index.d.ts']) assert.ok(files.includes(path), path);
  });

  test('no file tells where it was built', () => {
    assert.deepEqual(
      files.filter((path) => readFileSync(join(PROJECT, path)).includes(PROJECT)),
      [],
    );
  });

  test('the compiled code is taken, and has what a list calls', () => {
    const hook = join(folder, 'hook.cjs');
    writeFileSync(
      hook,
      `const vm = require('node:vm');
      vm.Script = class extends vm.Script {
        constructor(source, options) {
          super(source, options);
          console.error('compiled code:', options.cachedData.length, this.cachedDataRejected ? 'rejected' : 'taken');
        }
      };`,
    );
    const sizes = ['-V', '-L'].map((word) => {
      // Refused before any table is looked at.
      const argv = ['-r', hook, join(PROJECT, 'bin/conntrack'), word, '--no-such-option'];
      const { stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
      const [, size, verdict] = /^compiled code: (\d+) (\w+)$/m.exec(stderr) ?? assert.fail(stderr);
      assert.equal(verdict, 'taken', word);
      return Number(size);
    });
    assert.ok(sizes[1]! > sizes[0]! + 100_000, `${sizes}`);
  });

  suite('installed', () => {
    /** Programs that installing and running may use. No compiler, no make, no Python. */
    let path: string;
    let project: string;
    let command: string;
    before(() => {
      path = join(folder, 'path');
      project = join(folder, 'project');
      command = join(project, 'node_modules/.bin/conntrack');
      mkdirSync(path);
      mkdirSync(project);
      symlinkSync(process.execPath, join(path, 'node'));
      for (const program of ['sh', 'env']) symlinkSync(which(program), join(path, program));
      writeFileSync(join(project, 'package.json'), '{ "name": "user", "private": true, "type": "module" }');
      must(process.execPath, [npm, 'install', '--prefer-offline', '--no-audit', '--no-fund', tarball], { cwd: project, path });
    });

    test('the command runs', () => {
      assert.equal(must(command, ['-V'], { cwd: project, path }), 'conntrack v1.4.9 (conntrack-tools)\n');
      assert.match(must(command, ['-h'], { cwd: project, path }), /^conntrack: /);
    });

    test('the command talks to the kernel', () => {
      const namespaces = process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net'];
      assert.equal(must(which('unshare'), [...namespaces, command, '-C'], { cwd: project, path }), '0\n');
    });

    test('a global installation has the command and its manual page', () => {
      const prefix = join(folder, 'global');
      const flags = ['--global', '--prefix', prefix, '--prefer-offline', '--no-audit', '--no-fund'];
      must(process.execPath, [npm, 'install', ...flags, tarball], { cwd: folder, path });
      assert.equal(must(join(prefix, 'bin/conntrack'), ['-V'], { cwd: folder, path }), 'conntrack v1.4.9 (conntrack-tools)\n');
      assert.match(readFileSync(join(prefix, 'share/man/man8/conntrack.8'), 'utf8'), /^\.TH CONNTRACK 8 /m);
    });

    test('a program that bundles it as CommonJS loads and asks the kernel', async () => {
      const source =
        "import { Conntrack } from 'conntrack'; Conntrack.open().then(async (it) => console.log((await it.count()).entries, it.close()[0]));";
      const outfile = join(project, 'bundled.cjs');
      const { warnings } = await build({
        stdin: { contents: source, resolveDir: project },
        ...{ outfile, bundle: true, platform: 'node', format: 'cjs', external: ['koffi'], logLevel: 'silent' },
      });
      assert.ok(warnings.every(({ id }) => id === 'empty-import-meta'));
      const namespaces = process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net'];
      assert.match(must(which('unshare'), [...namespaces, 'node', outfile], { cwd: project, path: `${path}:/usr/bin` }), /^0 /);
    });

    test('every entry can be imported, and required where Node.js can require ES modules', () => {
      for (const entry of ENTRIES) {
        const source = `import * as all from '${entry}'; console.log(Object.keys(all).length > 0)`;
        assert.equal(must('node', ['--input-type=module', '-e', source], { cwd: project, path }), 'true\n', entry);
      }
      const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
      if (major > 22 || (major === 22 && minor >= 12))
        must('node', ['-e', `for (const entry of ${JSON.stringify(ENTRIES)}) require(entry)`], { cwd: project, path });
    });

    test('what is not exported cannot be imported', () => {
      const source = "import('conntrack/dist/wire/ffi.js').catch((error) => console.log(error.code))";
      assert.equal(must('node', ['-e', source], { cwd: project, path }), 'ERR_PACKAGE_PATH_NOT_EXPORTED\n');
    });

    suite('declarations', () => {
      const own = join(PROJECT, 'node_modules/typescript');
      before(() => {
        const entries = ENTRIES.map((entry, i) => `import * as e${i} from '${entry}';\nexport const all${i} = e${i};\n`).join('');
        writeFileSync(join(project, 'entries.ts'), entries);
        writeFileSync(join(project, 'user.ts'), USER);
        writeFileSync(join(project, 'signal.ts'), SIGNAL_OF_DOM);
        writeFileSync(join(project, 'slips.ts'), SLIPS);
      });

      /** Compiles the programs as a user has them, without @types/node, and writes their declarations. @returns what is wrong */
      const compile = (typescript: string, lib: readonly string[], options: object, files = programs(lib)): string => {
        const compilerOptions = {
          ...{ target: 'ES2022', lib, types: [], skipLibCheck: false, declaration: true, outDir: 'out' },
          ...options,
        };
        writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
        const { status, stdout } = spawnSync(process.execPath, [join(typescript, 'bin/tsc'), '-p', project], {
          encoding: 'utf8',
        });
        return status === 0 ? stdout : `${status}: ${stdout}`;
      };
      const programs = (lib: readonly string[]) => ['entries.ts', 'user.ts', ...(lib.includes('DOM') ? ['signal.ts'] : [])];
      const MODULES = [
        { module: 'NodeNext' },
        { module: 'Node16', moduleResolution: 'Node16' },
        { module: 'ESNext', moduleResolution: 'Bundler' },
      ];
      const STRICTNESS = [
        { strict: false },
        { strict: true },
        { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
      ];
      const LIBRARIES = [['ES2022'], ['ES2022', 'DOM']];

      for (const lib of LIBRARIES)
        test(`need no other package and no library but ${lib.join(' and ')}`, () => {
          for (const module of MODULES)
            for (const strictness of STRICTNESS)
              assert.equal(compile(own, lib, { ...module, ...strictness }), '', JSON.stringify({ module, strictness }));
        });

      test('refuse undefined where the compiler can', () => {
        const slips = (options: object) =>
          compile(own, ['ES2022'], { module: 'NodeNext', strict: true, ...options }, ['slips.ts']).match(/error/g);
        assert.equal(slips({}), null);
        assert.equal(slips({ exactOptionalPropertyTypes: true })?.length, 2);
      });

      test('are read by the oldest compiler that knows using', (t) => {
        const older = join(folder, 'older');
        mkdirSync(older);
        writeFileSync(join(older, 'package.json'), '{ "private": true }');
        const args = [npm, 'install', '--prefer-offline', '--no-audit', '--no-fund', 'typescript@5.2'];
        if (spawnSync(process.execPath, args, { cwd: older }).status !== 0)
          return t.skip('the registry of npm cannot be reached');
        for (const lib of LIBRARIES)
          assert.equal(compile(join(older, 'node_modules/typescript'), lib, { ...MODULES[0], ...STRICTNESS[2] }), '');
      });
    });
  });
});
