// `npm run build:deb`: a Debian package of the standalone executable, dist-packages/conntrack-ts_VERSION_ARCH.deb, and beside it what is in
// it, as CycloneDX. The same sources give the same bytes.
//
//   node scripts/packages/deb.mjs [--arch amd64|arm64] [--revision N] [--executable FILE] [--out FOLDER] [--quick]
//
// --executable takes one that scripts/build-exe.mjs made; --quick compresses little. Needs dpkg-deb, and the maintainer's name and address in
// DEBFULLNAME and DEBEMAIL if it is to be published.

import '../help.mjs';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { ensureBuilt, root } from '../fresh.mjs';
import { sourceDate } from '../source-date.mjs';
import { requireCommands } from '../tools.mjs';
import { makeSbom } from './sbom.mjs';

const NAME = 'conntrack-ts';
/** Debian's name of an architecture → that of Node.js. */
const ARCHITECTURES = { amd64: 'x64', arm64: 'arm64' };
/** The oldest C library that has what the executable calls. */
const C_LIBRARY = '2.17';
const COMMAND = '/usr/sbin/conntrack';
const SERVICES = ['serve', 'record', 'agent', 'collector'];

delete process.env.NODE_OPTIONS;
const native = Object.keys(ARCHITECTURES).find((one) => ARCHITECTURES[one] === process.arch) ?? 'amd64';
const { values: options } = parseArgs({
  options: {
    arch: { type: 'string', default: native },
    revision: { type: 'string', default: '1' },
    executable: { type: 'string' },
    out: { type: 'string', default: `${root}/dist-packages` },
    quick: { type: 'boolean', default: false },
  },
});
if (!(options.arch in ARCHITECTURES)) {
  console.error(`no package for ${options.arch}: one of ${Object.keys(ARCHITECTURES).join(', ')}`);
  process.exit(2);
}
requireCommands(['dpkg-deb']);
ensureBuilt();

const seconds = sourceDate();
const { version: upstream } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'));
const version = `${upstream}-${options.revision}`;
const work = mkdtempSync(join(tmpdir(), 'conntrack-deb-'));
const tree = join(work, 'tree');
try {
  const executable = options.executable ?? builtExecutable();
  mkdirSync(options.out, { recursive: true });
  const package_ = join(options.out, `${NAME}_${version}_${options.arch}.deb`);
  const contents = JSON.parse(readFileSync(`${executable}.json`, 'utf8'));
  const sbom = makeSbom({ contained: new Set(contents.packages), extra: [bun(contents.bun)], seconds });
  fill(executable, sbom);
  seal();
  const compression = options.quick ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6'];
  // More threads would cut what is compressed into other pieces.
  execFileSync('dpkg-deb', ['--root-owner-group', '--threads-max=1', ...compression, '--build', tree, package_], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SOURCE_DATE_EPOCH: String(seconds) },
  });
  writeFileSync(`${package_}.cdx.json`, sbom);
  console.log(package_);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function builtExecutable() {
  const file = join(work, 'conntrack');
  execFileSync(process.execPath, [`${root}/scripts/build-exe.mjs`, '--arch', ARCHITECTURES[options.arch], '--out', file], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return file;
}

/** Everything that is installed, and what dpkg is told. */
function fill(executable, sbom) {
  const documents = `/usr/share/doc/${NAME}`;
  copy(executable, COMMAND, 0o755);
  put('/usr/share/man/man8/conntrack.8.gz', zipped(readFileSync(`${root}/dist/man/conntrack.8`)));
  copy(`${root}/dist/completions/conntrack.bash`, '/usr/share/bash-completion/completions/conntrack');
  copy(`${root}/dist/completions/_conntrack`, '/usr/share/zsh/vendor-completions/_conntrack');
  copy(`${root}/dist/completions/conntrack.fish`, '/usr/share/fish/vendor_completions.d/conntrack.fish');
  put('/usr/lib/systemd/system/conntrack-serve.service', serveUnit());
  copy(`${root}/deploy/systemd/conntrack-serve.socket`, '/usr/lib/systemd/system/conntrack-serve.socket');
  put('/usr/lib/systemd/system/conntrack-record.service', printedUnit('record', ['--keep', 'forever']));
  put('/usr/lib/systemd/system/conntrack-agent.service', printedUnit('agent', ['--seed', '/etc/conntrack/agent.seed']));
  put(
    '/usr/lib/systemd/system/conntrack-collector.service',
    printedUnit('collector', ['--name', 'c1', '--keep', 'forever', '--seed', '/etc/conntrack/collector.seed']),
  );
  copy(`${root}/deploy/systemd/conntrack-sysusers.conf`, `/usr/lib/sysusers.d/${NAME}.conf`);
  for (const service of SERVICES)
    copy(`${root}/packaging/debian/conntrack-${service}.default`, `/etc/default/conntrack-${service}`);
  for (const name of ['exporter', 'netns'])
    put(`/usr/share/${NAME}/systemd/${name}.conf`, withCommand(`${root}/deploy/systemd/conntrack-${name}.conf`));
  copy(`${root}/deploy/prometheus/alerts.yml`, `/usr/share/${NAME}/prometheus/alerts.yml`);
  copy(`${root}/dist/grafana/conntrack.json`, `/usr/share/${NAME}/grafana/conntrack.json`);
  copy(`${root}/dist/conntrack.schema.json`, `/usr/share/${NAME}/conntrack.schema.json`);
  for (const file of readdirSync(`${root}/docs`).filter((name) => name.endsWith('.md')))
    put(`${documents}/${file}.gz`, zipped(readFileSync(`${root}/docs/${file}`)));
  put(`${documents}/changelog.gz`, zipped(readFileSync(`${root}/CHANGELOG.md`)));
  put(`${documents}/changelog.Debian.gz`, zipped(Buffer.from(debianChangelog())));
  put(`${documents}/copyright`, copyright());
  put(`${documents}/sbom.cdx.json`, sbom);
  put(`/usr/share/lintian/overrides/${NAME}`, readFileSync(`${root}/packaging/debian/lintian-overrides`));
  mkdirSync(join(tree, 'etc/conntrack'), { recursive: true });

  const { sums, kibibytes } = measured();
  put('/DEBIAN/control', control(kibibytes));
  put('/DEBIAN/md5sums', sums);
  put('/DEBIAN/conffiles', SERVICES.map((service) => `/etc/default/conntrack-${service}\n`).join(''));
  for (const script of ['preinst', 'postinst', 'prerm', 'postrm'])
    copy(`${root}/packaging/debian/${script}`, `/DEBIAN/${script}`, 0o755);
}

function put(path, content, mode = 0o644) {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

function copy(from, path, mode = 0o644) {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  cpSync(from, file);
  chmodSync(file, mode);
}

/** As `gzip -9n`: without a name and a date. */
function zipped(bytes) {
  return gzipSync(bytes, { level: 9 });
}

/** A file of deploy/systemd for where the package has the command. */
function withCommand(file) {
  return readFileSync(file, 'utf8').replaceAll('/usr/local/bin/conntrack', COMMAND);
}

/** The unit of deploy/systemd, with its options in /etc/default. */
function serveUnit() {
  return withOptions(withCommand(`${root}/deploy/systemd/conntrack-serve.service`), 'serve');
}

/** The unit that `conntrack WORD --print-unit` prints, with its options in /etc/default. */
function printedUnit(word, words) {
  const printed = execFileSync(process.execPath, [`${root}/bin/conntrack`, word, ...words, '--print-unit'], { encoding: 'utf8' });
  return withOptions(printed.replace(/^ExecStart=.*$/m, `ExecStart=${COMMAND} ${word}`), word);
}

function withOptions(unit, service) {
  const start = `ExecStart=${COMMAND} ${service}`;
  const variable = `${service.toUpperCase()}_OPTIONS`;
  if (!unit.includes(`${start}\n`)) throw new Error(`the unit of ${service} does not say ${start}`);
  return unit.replace(`${start}\n`, `EnvironmentFile=-/etc/default/conntrack-${service}\n${start} $${variable}\n`);
}

function control(kibibytes) {
  return `Package: ${NAME}
Version: ${version}
Architecture: ${options.arch}
Maintainer: ${maintainer()}
Installed-Size: ${kibibytes}
Depends: libc6 (>= ${C_LIBRARY})
Suggests: prometheus
Provides: conntrack
Section: net
Priority: optional
Description: list, watch and change the connection tracking table
 A drop-in conntrack(8): the same commands, options and output, with faults
 mended, and what no other tool has: a filter language, a live view in the
 terminal (conntrack top) and in the browser (conntrack serve), a record of all
 flows (conntrack record, conntrack whohad), a doctor, and many hosts at once
 (conntrack agent, conntrack fleet).
 .
 It is one executable that needs no Node.js. The conntrack of the package
 conntrack, if that is installed, moves aside as conntrack.distrib.
`;
}

function maintainer() {
  const { DEBFULLNAME = 'The conntrack for TypeScript authors', DEBEMAIL = 'conntrack-ts@packages.debian.org' } = process.env;
  return `${DEBFULLNAME} <${DEBEMAIL}>`;
}

function debianChangelog() {
  const date = new Date(seconds * 1000).toUTCString().replace('GMT', '+0000');
  return `${NAME} (${version}) unstable; urgency=medium\n\n  * Release ${upstream}: see changelog.gz.\n\n -- ${maintainer()}  ${date}\n`;
}

function copyright() {
  return `${readFileSync(`${root}/packaging/debian/copyright`, 'utf8')}${readFileSync(`${root}/LICENSE`, 'utf8')
    .split('\n')
    .slice(3)
    .map((line) => (line === '' ? ' .' : ` ${line}`))
    .join('\n')
    .replace(/( \.\n?)+$/, '')}\n`;
}

/** The runtime, which npm's lock file does not have. */
function bun(bunVersion) {
  return {
    'bom-ref': `bun@${bunVersion}`,
    type: 'platform',
    name: 'bun',
    version: bunVersion,
    purl: `pkg:npm/bun@${bunVersion}`,
    licenses: [{ license: { id: 'MIT' } }],
    externalReferences: [{ type: 'website', url: 'https://bun.sh' }],
  };
}

/** Checksums of all files so far, as dpkg wants them, and how much they take. */
function measured() {
  let bytes = 0;
  const sums = everything()
    .filter(({ isFile }) => isFile)
    .map(({ path }) => {
      const content = readFileSync(path);
      bytes += Math.ceil(content.length / 1024) * 1024;
      return `${createHash('md5').update(content).digest('hex')}  ${path.slice(tree.length + 1)}\n`;
    });
  return { sums: sums.join(''), kibibytes: Math.ceil(bytes / 1024) };
}

/** Sorted by name, whatever the file system does. */
function everything() {
  return readdirSync(tree, { recursive: true, withFileTypes: true })
    .map((entry) => ({ path: join(entry.parentPath ?? entry.path, entry.name), isFile: entry.isFile() }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** One date on everything, and modes that do not depend on a umask. */
function seal() {
  for (const { path, isFile } of [{ path: tree, isFile: false }, ...everything()].reverse()) {
    if (!isFile) chmodSync(path, 0o755);
    lutimesSync(path, seconds, seconds);
  }
}
