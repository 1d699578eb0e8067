// `conntrack record` on the kernel: every flow is in the record once, with the times and the reason of its end, or a gap says why not:
// killed, overrun, locked, on a full disk.

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadDriver } from '../../src/history/driver/load-driver.js';
import type { SqliteRow } from '../../src/history/driver/sqlite.js';
import { END_REASONS, endKindOf, startKindOf } from '../../src/history/record-columns.js';
import { RecordDirectory } from '../../src/history/record-directory.js';
import { segmentFiles } from '../../src/history/segment-files.js';
import { Conntrack } from '../../src/index.js';
import { Namespace } from '../support/namespace.js';
import { disorderOf } from '../support/past-record.js';
import { requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';

/** Rounds of kill -9; a release takes 200. */
const KILLS = Number(process.env['KILL_ROUNDS'] ?? 6);
/** How long a recorder may take to begin and to end, in milliseconds. */
const PATIENCE = 30_000;
/** Microseconds by which the clock of the test and the times of the record may differ: batches, commits, a busy machine. */
const SLACK = 3_000_000;

let scratch = '';
before(() => {
  requirePrerequisites();
  scratch = mkdtempSync(`${tmpdir()}/conntrack-record-`);
});
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A recorder in a namespace. */
class Recording {
  readonly process: ChildProcess;
  stderr = '';

  private constructor(before: readonly string[], directory: string, words: readonly string[]) {
    const argv = [...before, UNDER_TEST, 'record', '--keep', 'forever', '--dir', directory, ...words];
    this.process = spawn('nsenter', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
  }

  /** Settles when it records. */
  static async start(namespace: Namespace, directory: string, ...words: string[]): Promise<Recording> {
    const recording = new Recording([`--net=/proc/${namespace.pid}/ns/net`], directory, words);
    await recording.says(/recording .* in /);
    return recording;
  }

  async says(what: RegExp): Promise<void> {
    for (let waited = 0; !what.test(this.stderr); waited += 20) {
      assert.ok(waited < PATIENCE && this.process.exitCode === null, `the recorder says ${what}:\n${this.stderr}`);
      await sleep(20);
    }
  }

  /** Nothing stays behind when a test fails. */
  [Symbol.dispose](): void {
    this.process.kill('SIGKILL');
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill(signal);
      await once(this.process, 'exit');
    }
    return this.process.exitCode;
  }
}

/** Asks the recorder of a directory. */
function ask(directory: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(UNDER_TEST, ['record', ...words, '--dir', directory], {
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  return { status, stdout, stderr };
}

/** Settles when a recorder has written what is looked for. */
async function written(directory: string, isThere: () => boolean, what: string): Promise<void> {
  for (let waited = 0; !isThere(); waited += 100) {
    assert.ok(waited < PATIENCE, what);
    await sleep(100);
    ask(directory, 'flush');
  }
}

/** All rows of a table, over all segments. */
function rowsOf(directory: string, table: 'flow' | 'gap' | 'session'): SqliteRow[] {
  return segmentFiles(directory).flatMap(({ path }) => {
    const file = loadDriver().open(path, { readOnly: true });
    try {
      return [...file.prepare(`SELECT * FROM ${table}`).all()];
    } finally {
      file.close();
    }
  });
}

function openFlows(directory: string): SqliteRow[] {
  const file = loadDriver().open(segmentFiles(directory).at(-1)!.path, { readOnly: true });
  try {
    return [...file.prepare('SELECT * FROM open').all()];
  } finally {
    file.close();
  }
}

const micros = () => Date.now() * 1000;
const reasonOf = (row: SqliteRow) => END_REASONS[(row['end_reason'] as number) - 1];
const flowOf = (port: number, timeout = 600) => ({
  protocol: 'udp' as const,
  original: { src: `10.0.${port >> 16}.1`, dst: '198.51.100.7', sport: port & 65535, dport: 53 },
  timeout,
});
const portOf = (row: SqliteRow) => ((((row['src'] as number) >> 8) & 255) << 16) | (row['sport'] as number);

async function prepared(name: string, sysctls: Readonly<Record<string, number>> = {}): Promise<Namespace> {
  const namespace = await Namespace.create(name);
  const names = { acct: 1, timestamp: 1, events: 1, ...sysctls };
  await namespace.sysctl(
    Object.fromEntries(Object.entries(names).map(([key, value]) => [`net.netfilter.nf_conntrack_${key}`, value])),
  );
  return namespace;
}

/** Does the work for each, so many at a time. */
async function inTurns<T>(atOnce: number, list: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...list];
  const lane = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

suite('record', { skip: SELF_TEST ? 'the reference keeps no record' : false }, () => {
  test('why flows end, and when', async () => {
    const timeouts = [
      'udp_timeout',
      'udp_timeout_stream',
      'tcp_timeout_time_wait',
      'tcp_timeout_close',
      'tcp_timeout_syn_sent',
      'icmp_timeout',
    ];
    await using namespace = await prepared('reasons', Object.fromEntries(timeouts.map((name) => [name, 1])));
    await namespace.nft(`
      table ip t {
        chain in { type filter hook input priority 0; ct state new accept; }
        chain silent { type filter hook input priority 1; tcp dport 7999 drop; }
        chain forward { type nat hook output priority -100; ip daddr 127.0.0.77 tcp dport 80 dnat to 127.0.0.1:7001; }
      }
      table ip6 t {
        chain in { type filter hook input priority 0; ct state new accept; }
      }`);
    const directory = `${scratch}/reasons`;
    using recording = await Recording.start(namespace, directory, '--checkpoint', '1s');
    const began = micros();
    const script = `
      const net = require('node:net'), dgram = require('node:dgram');
      const server = net.createServer((c) => c.end('bye')).listen(7001, '127.0.0.1');
      const resetting = net.createServer((c) => c.on('data', () => c.resetAndDestroy())).listen(7002, '127.0.0.1');
      const echo = dgram.createSocket('udp4', (m, { port, address }) => echo.send(m, port, address)).bind(7003, '127.0.0.1');
      const connect = (port, host, more = () => {}) => { const c = net.connect({ port, host }); c.on('error', () => {}).on('data', () => {}); more(c); };
      setTimeout(() => {
        connect(7001, '127.0.0.1'); connect(80, '127.0.0.77'); connect(7002, '127.0.0.1', (c) => c.write('x')); connect(7009, '127.0.0.1'); connect(7999, '127.0.0.1', (c) => setTimeout(() => c.destroy(), 300));
        const s = dgram.createSocket('udp4').on('message', () => {}).bind(7100, '127.0.0.1', () => { s.send('x', 7003, '127.0.0.1'); s.send('x', 7004, '127.0.0.2'); });
        const six = dgram.createSocket('udp6').bind(7101, '::1', () => six.send('x', 7005, '::1'));
      }, 200);
      setTimeout(() => process.exit(), 1500);`;
    await namespace.must(['node', '-e', script]);
    await namespace.must(['ping', '-c', '1', '127.0.0.1']);
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.create(flowOf(5000));
    await conntrack.delete({ original: { sport: 5000 } });
    await conntrack.create(flowOf(5001));
    await sleep(3500);
    assert.match(ask(directory, 'flush').stdout, /^complete to \d{4}-/);
    assert.equal(await recording.end(), 0, recording.stderr);
    const ended = micros();
    const rows = rowsOf(directory, 'flow');
    const found = (wanted: (row: SqliteRow) => boolean) => {
      const all = rows.filter(wanted);
      assert.equal(all.length, 1, JSON.stringify(all));
      return all[0]!;
    };
    const reason = (dport: number) => reasonOf(found((row) => row['dport'] === dport));
    assert.equal(reason(7001), 'closed');
    assert.equal(reason(7002), 'reset');
    assert.equal(reason(7009), 'refused');
    assert.equal(reason(7999), 'unanswered');
    assert.equal(reason(7003), 'idle');
    assert.equal(reason(7004), 'unanswered');
    const forwarded = found((row) => row['dport'] === 80);
    assert.deepEqual([forwarded['rsrc'], forwarded['rsport'], reasonOf(forwarded)], [0x7f000001, 7001, 'closed']);
    const six = found((row) => row['dport'] === 7005);
    assert.deepEqual([...(six['src'] as Uint8Array)], [...new Array<number>(15).fill(0), 1]);
    assert.equal(reasonOf(found((row) => row['proto'] === 1)), 'idle');
    const deleted = found((row) => row['sport'] === 5000);
    assert.deepEqual([reasonOf(deleted), (deleted['how'] as number) & 256], ['deleted', 256]);
    assert.deepEqual(
      openFlows(directory).map((row) => row['sport']),
      [5001],
    );
    for (const row of rows) {
      assert.deepEqual([startKindOf(row['how'] as number), endKindOf(row['how'] as number)], ['kernel', 'kernel']);
      assert.deepEqual([row['sslack'], row['eslack']], [0, 0]);
      const [start, dur] = [row['start'] as number, row['dur'] as number];
      assert.ok(start >= began - SLACK && start + dur <= ended + SLACK && dur >= 0);
    }
    const answered = found((row) => row['dport'] === 7003);
    assert.deepEqual([answered['opk'], answered['ob'], answered['rpk'], answered['rb']], [1, 29, 1, 29]);
    assert.deepEqual(rowsOf(directory, 'gap'), []);
  });

  test('a flow that has just begun is in the answer, also while a recorder writes', async () => {
    await using namespace = await prepared('young');
    const directory = `${scratch}/young`;
    using recording = await Recording.start(namespace, directory);
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.create(flowOf(5001));
    await sleep(100);
    const { status, stdout } = spawnSync(UNDER_TEST, ['whohad', '10.0.0.1:5001', '--at', 'now', '--dir', directory], {
      encoding: 'utf8',
    });
    assert.match(stdout, /^(certain|possible) +10\.0\.0\.1:5001 to 198\.51\.100\.7:53 udp/m);
    assert.equal(status, 0, stdout);
    await conntrack.create(flowOf(5002));
    await sleep(100);
    ask(directory, 'flush');
    assert.deepEqual(
      openFlows(directory).map((row) => row['sport']),
      [5001, 5002],
    );
    assert.equal(await recording.end(), 0, recording.stderr);
  });

  test('without times and counters of the kernel it says how it knows', async () => {
    await using namespace = await prepared('arrival', { acct: 0, timestamp: 0, udp_timeout: 1 });
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.create(flowOf(1));
    const directory = `${scratch}/arrival`;
    using recording = await Recording.start(namespace, directory);
    assert.match(recording.stderr, /the kernel keeps no times[\s\S]*flows have no packets and bytes/);
    // However long the recorder takes to start: the first expires afterwards.
    await conntrack.update({}, { timeout: 1 });
    await conntrack.create(flowOf(2, 1));
    await sleep(3500);
    ask(directory, 'flush');
    await recording.end();
    const rows = rowsOf(directory, 'flow').sort((a, b) => portOf(a) - portOf(b));
    assert.deepEqual(
      rows.map((row) => [portOf(row), startKindOf(row['how'] as number), endKindOf(row['how'] as number), row['ob']]),
      [
        [1, 'listed', 'arrival', null],
        [2, 'arrival', 'arrival', null],
      ],
    );
    for (const row of rows) assert.ok((row['eslack'] as number) > 0, 'an expired flow is told of late');
  });

  test('each setting of the kernel: what is known is said, and what is not is absent', async () => {
    const settings = [0, 1].flatMap((acct) =>
      [0, 1].flatMap((timestamp) => [0, 1, 2].map((events) => ({ acct, timestamp, events }))),
    );
    const found = new Map<string, readonly { readonly end: string }[]>();
    await inTurns(4, settings, async ({ acct, timestamp, events }) => {
      const name = `s${acct}${timestamp}${events}`;
      await using namespace = await prepared(name, { acct, timestamp, events, udp_timeout: 600 });
      await namespace.nft('table ip t { chain in { type filter hook input priority 0; ct state new accept; }\n}');
      const send = (port: number) =>
        namespace.ask('udpSend', ['127.0.0.1', port], ['127.0.0.2', 53], { count: 2, size: 10, answers: false });
      await send(1001);
      const directory = `${scratch}/${name}`;
      using recording = await Recording.start(namespace, directory, '--reconcile', '1s');
      await send(1002);
      await using conntrack = await Conntrack.open({ netns: namespace.pid });
      // Known before it goes: where there are no events, by a comparison with the table.
      await written(directory, () => openFlows(directory).length >= 2, `${name}: both are known`);
      await conntrack.delete({});
      await written(directory, () => rowsOf(directory, 'flow').length >= 2, `${name}: both ends are known`);
      assert.equal(await recording.end(), 0, recording.stderr);
      const rows = rowsOf(directory, 'flow').sort((a, b) => (a['sport'] as number) - (b['sport'] as number));
      found.set(
        name,
        rows.map((row) => ({
          port: row['sport'],
          start: startKindOf(row['how'] as number),
          end: endKindOf(row['how'] as number),
          reason: reasonOf(row),
          packets: row['opk'],
        })),
      );
    });
    for (const { acct, timestamp, events } of settings) {
      const told = (heard: boolean, start: string) => ({
        start: timestamp ? 'kernel' : start,
        end: !heard ? 'reconcile' : timestamp ? 'kernel' : 'arrival',
        reason: heard ? 'deleted' : 'unseen',
        // Only an event of the end, and a list, have counters; what ended unheard has none.
        packets: acct && heard ? 2 : null,
      });
      const known = found.get(`s${acct}${timestamp}${events}`)!;
      // A listener in any namespace counts (docs/kernel.md): then an older flow has an event, too.
      const olderHeard = events === 1 || (events === 2 && known[0]!.end !== 'reconcile');
      const rows = [
        { port: 1001, ...told(olderHeard, 'listed') },
        { port: 1002, ...told(events !== 0, events === 0 ? 'found' : 'arrival') },
      ];
      assert.deepEqual(known, rows, `acct ${acct}, timestamp ${timestamp}, events ${events}`);
    }
  });

  test('a directory has one recorder, and readers need no rights', async () => {
    await using namespace = await prepared('one');
    const directory = `${scratch}/one`;
    // All files get the group of such a directory.
    const GROUP = 4242;
    mkdirSync(directory);
    chownSync(directory, 0, GROUP);
    chmodSync(directory, 0o2750);
    chmodSync(scratch, 0o755);
    using recording = await Recording.start(namespace, directory);
    assert.match(
      recording.stderr,
      /(nothing is tracked here|the table is empty): .*no rule of this network namespace uses connection tracking\n {2}hint: /,
    );
    const second = spawnSync(UNDER_TEST, ['record', '--keep', '1d', '--dir', directory], { encoding: 'utf8' });
    assert.equal(second.status, 4);
    assert.match(second.stderr, /another recorder/);
    assert.equal((statSync(segmentFiles(directory)[0]!.path).mode & 0o777).toString(8), '640');
    const status = JSON.parse(ask(directory, 'status', '-o', 'json').stdout) as { netns: { name: string }[] };
    assert.deepEqual(
      status.netns.map(({ name }) => name),
      ['own'],
    );
    // Who asks a recorder that runs is told of what has just begun.
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.create(flowOf(7));
    await sleep(100);
    const who = spawnSync(UNDER_TEST, ['whohad', '10.0.0.1:7', '--at', 'now', '--dir', directory], { encoding: 'utf8' });
    assert.equal(who.status, 0, who.stdout + who.stderr);
    assert.match(
      who.stdout,
      /10\.0\.0\.1:7 to 198\.51\.100\.7:53 udp, since .*, still open[\s\S]*The record is complete at this time/,
    );
    // Who is in the group may read, and only that.
    const as = (group: number, ...argv: string[]) =>
      spawnSync('setpriv', ['--reuid=4241', '--regid=4241', `--groups=${group}`, UNDER_TEST, ...argv, '--dir', directory], {
        encoding: 'utf8',
      });
    assert.equal(as(GROUP, 'whohad', '10.0.0.1:7', '--at', 'now').status, 0);
    const forget = as(GROUP, 'history', 'forget', '10.0.0.1', '--reason', 'x');
    assert.deepEqual(
      [forget.status, /cannot write to .*: permission denied\n {2}hint: /.test(forget.stderr)],
      [1, true],
      forget.stderr,
    );
    assert.equal(segmentFiles(directory).length, 1, 'nothing has happened');
    const stranger = as(4243, 'whohad', '10.0.0.1:7', '--at', 'now');
    assert.deepEqual(
      [stranger.status, /: permission denied\n {2}hint: its owner and its group/.test(stranger.stderr)],
      [4, true],
      stranger.stderr,
    );
    writeFileSync(`${directory}/access.ndjson`, '');
    chmodSync(`${directory}/access.ndjson`, 0o640);
    const unwritten = as(GROUP, 'whohad', '10.0.0.1:7', '--at', 'now');
    assert.deepEqual([unwritten.status, unwritten.stdout], [4, '']);
    assert.match(unwritten.stderr, /cannot write to .*access\.ndjson: permission denied\n {2}hint: who asks is written down/);
    rmSync(`${directory}/access.ndjson`);
    assert.equal(await recording.end('SIGINT'), 0);
    // A stopped record has no log beside it, which nobody could read without writing.
    assert.deepEqual(
      readdirSync(directory).filter((name) => /-(wal|shm)$/.test(name)),
      [],
    );
    assert.equal(ask(directory, 'status').status, 1);
    for (const words of [[], ['--keep', 'soon'], ['--keep', '1d', '--sync', '0'], ['--keep', '1d', '--max-size', 'x']])
      assert.notEqual(spawnSync(UNDER_TEST, ['record', ...words, '--dir', directory]).status, 0);
  });

  test('segments are sealed, verified, handed on and deleted', async () => {
    await using namespace = await prepared('seal');
    const directory = `${scratch}/seal`;
    const told = `${scratch}/told`;
    using recording = await Recording.start(namespace, directory, '--on-seal', `echo >>${told}`);
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    for (let round = 0; round < 2; round++) {
      await conntrack.createMany([1, 2, 3].map((n) => flowOf(round * 10 + n)));
      await conntrack.delete({ protocol: 'udp' });
      await sleep(300);
      ask(directory, 'flush');
      recording.process.kill('SIGHUP');
      await recording.says(new RegExp(`(sealed [\\s\\S]*){${round + 1}}`));
    }
    const sealed = segmentFiles(directory).slice(0, -1);
    assert.equal(sealed.length, 2);
    for (const { path } of sealed) {
      assert.equal((statSync(path).mode & 0o777).toString(8), '440');
      const file = loadDriver().open(path, { readOnly: true });
      assert.equal(file.prepare(`SELECT count(*) AS n FROM ${file.schema}.sqlite_master WHERE type = 'index'`).all()[0]!['n'], 4);
      assert.equal(file.prepare('SELECT sum(flows) AS n FROM talker').all()[0]!['n'], 3);
      file.close();
    }
    await sleep(200);
    assert.deepEqual(
      readFileSync(told, 'utf8').trim().split('\n'),
      sealed.map(({ path }) => path),
    );
    const verified = JSON.parse(ask(directory, 'verify', '-o', 'json').stdout);
    assert.deepEqual(
      [verified.ok, verified.segments.map(({ first, last }: { first: number; last: number }) => [first, last])],
      [
        true,
        [
          [1, 3],
          [4, 6],
        ],
      ],
    );
    assert.match(ask(directory, 'verify').stdout, /^2 sealed files are as they were: 6 records, without a hole\n/);
    assert.equal(ask(directory, 'verify', '--known', verified.manifest.last).status, 0);
    // Somebody wants to be forgotten, while a flow of theirs lives. Who has read the hot segment does not keep it from being sealed.
    assert.equal(rowsOf(directory, 'flow').length, 6);
    await conntrack.create(flowOf(65_541));
    await conntrack.delete({ protocol: 'udp' });
    await conntrack.create(flowOf(65_542));
    const forgotten = spawnSync(UNDER_TEST, ['history', 'forget', '10.0.1.1', '--reason', 'x', '--dir', directory], {
      encoding: 'utf8',
    });
    assert.deepEqual(
      [forgotten.status, forgotten.stderr, forgotten.stdout],
      [
        0,
        '',
        `${directory}: 1 record forgotten in 1 file\n  1 flow of it still open: recorded at the end, and to be forgotten then\n`,
      ],
    );
    assert.match(ask(directory, 'verify').stdout, /^3 sealed files are as they were: 6 records, 1 taken out, /);
    assert.equal(ask(directory, 'verify', '--known', verified.manifest.last).status, 0);
    assert.deepEqual(
      rowsOf(directory, 'flow').map((row) => row['seq']),
      [1, 2, 3, 4, 5, 6],
    );
    assert.deepEqual(
      rowsOf(directory, 'gap').flatMap(({ reason }) => (reason === 'forgotten' ? [reason] : [])),
      ['forgotten'],
    );
    await recording.end();
    for (const { path } of segmentFiles(directory)) {
      const file = loadDriver().open(path, { readOnly: true });
      const rows = file.prepare('SELECT start, dur FROM flow ORDER BY seq').all();
      const [meta] = file.prepare("SELECT value FROM meta WHERE name = 'disorder'").all();
      assert.ok(disorderOf(rows) <= (meta!['value'] as number), 'ends are in order, as the segment says');
      file.close();
    }
    // Somebody changes a byte.
    const bytes = readFileSync(sealed[0]!.path);
    bytes[bytes.length - 100]! ^= 1;
    chmodSync(sealed[0]!.path, 0o640);
    writeFileSync(sealed[0]!.path, bytes);
    assert.match(ask(directory, 'verify').stdout, new RegExp(`^${sealed[0]!.name} was changed\n`));
    // Everything is too old now.
    execFileSync(
      'nsenter',
      [`--net=/proc/${namespace.pid}/ns/net`, UNDER_TEST, 'record', '--keep', '0.1s', '--dir', directory, '--for', '1s'],
      { stdio: 'ignore' },
    );
    assert.ok(!segmentFiles(directory).some(({ name }) => name === sealed[1]!.name));
    assert.match(readFileSync(`${directory}/manifest.ndjson`, 'utf8'), /"what":"deleted"/);
  });

  test(`kill -9, ${KILLS} times: nothing that was committed is lost or doubled, and what is missing lies in a gap`, async () => {
    await using namespace = await prepared('kill');
    const directory = `${scratch}/kill`;
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    /** When flows began and ended, by number. */
    const lives = new Map<number, { began: number; ended?: number }>();
    let port = 1;
    let running = true;
    const traffic = (async () => {
      while (running) {
        const ports = Array.from({ length: 40 }, () => port++);
        const began = micros();
        await conntrack.createMany(ports.map((each) => flowOf(each)));
        for (const each of ports) lives.set(each, { began });
        await sleep(Math.random() * 60);
        const leaving = [...lives].filter(([, { ended }]) => ended === undefined && Math.random() < 0.5).map(([each]) => each);
        await conntrack.deleteMany(leaving.map((each) => flowOf(each)));
        for (const each of leaving) lives.get(each)!.ended = micros();
      }
    })();
    for (let round = 0; round < KILLS; round++) {
      using recording = await Recording.start(
        namespace,
        directory,
        '--checkpoint',
        '0.2s',
        '--sync',
        '0.1s',
        '--segment-rows',
        '500',
      );
      await sleep(300 + Math.random() * 1500);
      await recording.end('SIGKILL');
    }
    running = false;
    await traffic;
    using last = await Recording.start(namespace, directory);
    // Killed between two segments, it had closed the one before.
    assert.match(last.stderr, /gap \((crash|stopped)\) from /);
    ask(directory, 'flush');
    await last.end();
    for (const { path } of segmentFiles(directory)) {
      const file = loadDriver().open(path, { readOnly: true });
      assert.equal(Object.values(file.prepare('PRAGMA quick_check').all()[0]!)[0], 'ok');
      file.close();
    }
    const rows = rowsOf(directory, 'flow');
    assert.deepEqual(
      rows.map((row) => row['seq']),
      rows.map((_, n) => n + 1),
    );
    const gaps = rowsOf(directory, 'gap');
    // Killed before its first commit, a recorder leaves its gap to the next one.
    const crashes = gaps.filter((gap) => gap['reason'] === 'crash').length;
    assert.ok(crashes > 0 && crashes <= KILLS, `${crashes} crashes`);
    const count = new Map<number, number>();
    for (const row of rows) count.set(portOf(row), (count.get(portOf(row)) ?? 0) + 1);
    const open = new Set(openFlows(directory).map(portOf));
    let missing = 0;
    // Before its first list, a record says nothing.
    const { from: first } = new RecordDirectory(directory).state();
    for (const [number, { began, ended }] of lives) {
      const times = count.get(number) ?? 0;
      assert.ok(times <= 1, `${number} is there ${times} times`);
      if (ended === undefined) assert.ok(times === 0 && open.has(number), `${number} lives`);
      else if (times === 0 && ended > first) {
        missing++;
        const within = gaps.some((gap) => ended >= (gap['from'] as number) - SLACK && began <= (gap['to'] as number) + SLACK);
        assert.ok(within, `${number} (${began} to ${ended}) is missing without a gap`);
      }
    }
    assert.ok(rows.length > 100, `${rows.length} records, ${missing} missing`);
  });

  test('what the kernel drops is a gap, and what lives is known again', async () => {
    await using namespace = await prepared('loss');
    const directory = `${scratch}/loss`;
    using recording = await Recording.start(namespace, directory, '--buffer-size', '64K');
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.createMany(Array.from({ length: 20 }, (_, n) => flowOf(n)));
    ask(directory, 'flush');
    recording.process.kill('SIGSTOP');
    const from = micros();
    await conntrack.deleteMany([flowOf(0)]);
    await conntrack.createMany(Array.from({ length: 3000 }, (_, n) => flowOf(1000 + n)));
    await conntrack.deleteMany(Array.from({ length: 2990 }, (_, n) => flowOf(1000 + n)));
    await conntrack.deleteMany([flowOf(1)]);
    recording.process.kill('SIGCONT');
    await recording.says(/gap \(overrun\).*until the table had been listed/);
    const to = micros();
    await conntrack.delete({ protocol: 'udp' });
    await sleep(300);
    ask(directory, 'flush');
    assert.equal(await recording.end(), 3);
    const gaps = rowsOf(directory, 'gap').filter((gap) => gap['reason'] === 'overrun');
    assert.ok(gaps.length >= 2);
    assert.ok(gaps.reduce((sum, gap) => sum + ((gap['events'] as number | null) ?? 0), 0) > 1000);
    assert.ok(Math.min(...gaps.map((gap) => gap['from'] as number)) <= from + SLACK);
    assert.ok(Math.max(...gaps.map((gap) => gap['to'] as number)) <= to + SLACK);
    const rows = rowsOf(directory, 'flow');
    const recorded = new Set(rows.map(portOf));
    assert.equal(recorded.size, rows.length, 'each once');
    // Those that began before and those that lived on are all there.
    for (let n = 0; n < 20; n++) assert.ok(recorded.has(n), `${n} is there`);
    for (let n = 3990; n < 4000; n++) assert.ok(recorded.has(n), `${n} is there`);
    const unseen = rows.find((row) => portOf(row) === 1)!;
    assert.deepEqual([reasonOf(unseen), endKindOf(unseen['how'] as number), unseen['ob']], ['unseen', 'found', null]);
  });

  test('a lock and a full disk are waited for', async () => {
    await using namespace = await prepared('disk');
    const directory = `${scratch}/disk`;
    mkdirSync(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'conntrack-record', directory]);
    try {
      using recording = await Recording.start(namespace, directory, '--min-free', '0');
      await using conntrack = await Conntrack.open({ netns: namespace.pid });
      let port = 0;
      const live = async (count: number) => {
        const flows = Array.from({ length: count }, () => flowOf(port++));
        await conntrack.createMany(flows);
        await conntrack.deleteMany(flows);
      };
      await live(100);
      ask(directory, 'flush');
      const file = loadDriver().open(segmentFiles(directory)[0]!.path);
      file.exec('BEGIN IMMEDIATE');
      await live(2000);
      await sleep(2500);
      file.exec('COMMIT');
      file.close();
      ask(directory, 'flush');
      assert.equal(rowsOf(directory, 'flow').length, 2100);
      // Somebody else takes all that is left, the reserve included.
      spawnSync('dd', ['if=/dev/zero', `of=${directory}/filler`, 'bs=1M'], { stdio: 'ignore' });
      for (let n = 0; n < 200 && !/cannot write/.test(recording.stderr); n++) {
        await live(2000);
        await sleep(100);
        spawnSync('dd', ['if=/dev/zero', `of=${directory}/filler${n}`, 'bs=64K'], { stdio: 'ignore' });
      }
      await recording.says(/cannot write/);
      await live(3000);
      for (const name of readdirSync(directory)) if (name.startsWith('filler')) rmSync(`${directory}/${name}`);
      await recording.says(/can write again/);
      await sleep(1500);
      ask(directory, 'flush');
      assert.equal(await recording.end(), 0, recording.stderr);
      const rows = rowsOf(directory, 'flow');
      assert.equal(rows.length, port, 'nothing is lost');
      assert.equal(new Set(rows.map(portOf)).size, port);
    } finally {
      execFileSync('umount', ['-l', directory]);
    }
  });

  test('a quota is waited for', async () => {
    await using namespace = await prepared('quota');
    const directory = `${scratch}/quota`;
    using recording = await Recording.start(namespace, directory);
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.create(flowOf(1));
    ask(directory, 'flush');
    // As a quota does, a limit for the size of files refuses what SQLite writes, on a disk that has room.
    const limit = (size: string) => execFileSync('prlimit', [`--pid=${recording.process.pid}`, `--fsize=${size}:`]);
    limit(String(statSync(`${segmentFiles(directory)[0]!.path}-wal`).size));
    for (let round = 0; round < 20 && !/cannot write/.test(recording.stderr); round++) {
      await conntrack.createMany(Array.from({ length: 100 }, (_, n) => flowOf(100 * round + n + 2)));
      await conntrack.deleteMany(Array.from({ length: 100 }, (_, n) => flowOf(100 * round + n + 2)));
      await sleep(200);
    }
    await recording.says(/cannot write/);
    assert.match(ask(directory, 'status').stdout, /^trouble /m);
    limit('unlimited');
    await recording.says(/can write again/);
    assert.equal(await recording.end(), 0, recording.stderr);
    const ports = rowsOf(directory, 'flow').map(portOf);
    assert.deepEqual(
      ports.toSorted((a, b) => a - b),
      ports.map((_, n) => n + 2),
    );
    assert.deepEqual(openFlows(directory).map(portOf), [1]);
    assert.deepEqual(rowsOf(directory, 'gap'), []);
  });

  test('as another user it keeps one right, and its metrics are readable', async () => {
    await using namespace = await prepared('user');
    const parent = `${scratch}/user`;
    mkdirSync(parent);
    chmodSync(scratch, 0o755);
    const directory = `${parent}/record`;
    const metrics = `${scratch}/metrics.prom`;
    writeFileSync(metrics, '');
    chmodSync(scratch, 0o777);
    using recording = await Recording.start(namespace, directory, '--user', 'nobody', '--metrics', metrics);
    const [pid] = readFileSync(`/proc/${recording.process.pid}/task/${recording.process.pid}/children`, 'utf8').trim().split(' ');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    assert.match(status, /^Uid:\s65534\s65534\s65534\s65534$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(status, new RegExp(`^Cap${set}:\\s0000000000001000$`, 'm'));
    await using conntrack = await Conntrack.open({ netns: namespace.pid });
    await conntrack.create(flowOf(1));
    await conntrack.delete({ protocol: 'udp' });
    await sleep(200);
    ask(directory, 'flush');
    assert.equal(await recording.end(), 0, recording.stderr);
    assert.equal(rowsOf(directory, 'flow').length, 1);
    const text = readFileSync(metrics);
    assert.match(text.toString(), /^conntrack_record_flows_total 1$/m);
    assert.equal(spawnSync('promtool', ['check', 'metrics'], { input: text }).status, 0);
    chmodSync(scratch, 0o700);
  });

  test('the unit that it prints is one', () => {
    const { stdout } = ask('/var/lib/conntrack', '--keep', '180d', 'src 100.64.0.0/10', '--print-unit');
    assert.match(
      stdout,
      /^ExecStart=\/usr\/bin\/conntrack record --keep 180d "src 100\.64\.0\.0\/10" --dir \/var\/lib\/conntrack$/m,
    );
    const unit = `${scratch}/conntrack-record.service`;
    writeFileSync(unit, stdout.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    assert.deepEqual([status, stderr.split('\n').filter((line) => line.includes('conntrack-record'))], [0, []]);
  });
});
