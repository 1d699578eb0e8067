// whoHad against brute force over the same rows, and what an answer says of its own worth. QUESTIONS asks for more questions than the
// usual ones, SEED for others.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { formatAddress } from '../../src/ctnetlink/address.js';
import { loadDriver, loadDrivers } from '../../src/history/driver/load-driver.js';
import type { SqliteValue } from '../../src/history/driver/sqlite.js';
import { openHistory } from '../../src/history/open-history.js';
import { RecordDirectory } from '../../src/history/record-directory.js';
import { addressIn } from '../../src/history/row-messages.js';
import { whoHadIn } from '../../src/history/who-had.js';
import type { Grade, WhoHadAnswer } from '../../src/history/who-had-answer.js';
import {
  asOpen,
  CLOSED_ROW,
  columnOf,
  inRecord,
  ipv4,
  type OpenRow,
  type PastRow,
  randomRow,
  SECOND,
  T0,
  TRANSLATED_ROW,
  writeRecord,
} from '../support/past-record.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { POOL } from '../support/random-filter.js';

const QUESTIONS = Number(process.env['QUESTIONS'] ?? 250);
const DAY = 86_400 * SECOND;

/** A row that was written: with its number, or its key if it lives. */
interface Written {
  readonly row: PastRow & { readonly seen?: number };
  readonly id: number;
}

const text = (value: SqliteValue | undefined) => formatAddress(addressIn(value)!);

/** When the recorder knew everything last. */
const ALIVE = T0 + 1010 * SECOND;

/** The grade of a row, by the words of the specification. */
function gradeByBruteForce({ row }: Written, from: number, to: number, within: number): Grade | undefined {
  const start = row.start as number;
  const how = row.how as number;
  const lives = row.seen !== undefined;
  const end = lives ? Infinity : start + (row.dur as number);
  const sure = { from: start, to: lives ? Math.max(row.seen!, ALIVE - 120 * SECOND) : end - (row.eslack as number) };
  const perhaps = { from: (how & 3) === 2 ? -Infinity : start - (row.sslack as number), to: end };
  const meets = (span: { from: number; to: number }, margin: number) => span.from < to + margin && span.to >= from - margin;
  if ((how & 32) === 0 && meets(sure, 0)) return 'certain';
  if (meets(perhaps, 0)) return 'possible';
  return within > 0 && meets(perhaps, within) ? 'near' : undefined;
}

for (const driver of loadDrivers())
  test(`${driver.name}: an answer is that of brute force`, async () => {
    const random = new Random(seedFromEnvironment(20260902));
    await inRecord(async (path) => {
      const rows: Written[] = Array.from({ length: 900 }, (_, n) => ({ row: randomRow(random, T0 + n * SECOND), id: n + 1 }));
      const open: Written[] = Array.from({ length: 100 }, (_, n) => ({
        row: asOpen(randomRow(random, T0 + 900 * SECOND)),
        id: -n - 1,
      }));
      const some = (from: number, to: number) => rows.slice(from, to).map(({ row }) => row);
      const opened = T0 - DAY;
      writeRecord(driver, path, [
        { rows: some(0, 300), opened, closed: T0 + 300 * SECOND, sealed: true },
        { rows: some(300, 600), opened: T0 + 300 * SECOND, closed: T0 + 600 * SECOND, sealed: true },
        { rows: some(600, 700), opened: T0 + 600 * SECOND, closed: T0 + 700 * SECOND },
        {
          rows: some(700, 900),
          open: open.map(({ row }) => row as OpenRow),
          opened: T0 + 700 * SECOND,
          alive: ALIVE,
          ended: true,
          namespaces: { 1: 'one', 2: "two'; DROP TABLE flow; --" },
        },
      ]);
      const directory = new RecordDirectory(path, driver);
      const all = [...rows, ...open];
      let found = 0;
      for (let n = 0; n < QUESTIONS; n++) {
        const address = Uint8Array.from(random.pick<readonly number[]>(random.chance(0.2) ? POOL.v6 : POOL.v4));
        const column = columnOf([...address]);
        const port = random.chance(0.9) ? random.pick(POOL.ports) : undefined;
        const protocol = random.chance(0.3) ? random.pick([6, 17, 1]) : undefined;
        const zone = random.chance(0.1) ? random.pick([0, 1, 7]) : undefined;
        const within = random.chance(0.3) ? random.below(20) * SECOND : 0;
        const from = T0 + random.below(1000) * SECOND;
        const to = from + (random.chance(0.5) ? SECOND : 1);
        const remote = random.chance(0.2) ? Uint8Array.from(random.pick<readonly number[]>(POOL.v4)) : undefined;
        const is = (a: SqliteValue | undefined, b: SqliteValue) => a !== undefined && a !== null && text(a) === text(b);
        const hasRemote = (row: PastRow, source: boolean) => {
          if (!remote) return true;
          const other = columnOf([...remote]);
          return source ? is(row.dst, other) || is(row.rsrc, other) : is(row.src, other);
        };
        const wanted = all.flatMap((written) => {
          const { row } = written;
          if (protocol !== undefined && row.proto !== protocol) return [];
          if (zone !== undefined && (((row.zone as number | undefined) ?? 0) & 65_535) !== zone) return [];
          const source = is(row.ext, column) && (port === undefined || row.eport === port) && hasRemote(row, true);
          const portless = row.proto === 1 || row.proto === 58;
          const destination =
            row.rsrc !== undefined &&
            is(row.dst, column) &&
            (port === undefined || (row.dport === port && !portless)) &&
            hasRemote(row, false);
          const grade = source || destination ? gradeByBruteForce(written, from, to, within) : undefined;
          return grade ? [`${grade} ${written.id}`] : [];
        });
        const question = { address, port, protocol, zone, within, span: { from, to }, follow: false };
        const answer = await whoHadIn(directory, remote ? { ...question, remote: { address: remote } } : question, {
          now: Date.now,
          completeTo: undefined,
        });
        const given = answer.matches.map(({ grade, evidence, open: lives, start, inside, zone }) => {
          const match = lives
            ? open.find(
                ({ row }) =>
                  row.start === start && (text(row.src) === inside.address || text(row.rsrc ?? row.src) === inside.address),
              )
            : undefined;
          void zone;
          return `${grade} ${evidence.sequence ?? match!.id}`;
        });
        assert.equal(answer.more, 0);
        assert.deepEqual(given.sort(), wanted.sort(), JSON.stringify({ ...question, address: formatAddress(address) }));
        assert.ok(answer.complete, answer.why.join());
        found += given.length;
      }
      assert.ok(found > QUESTIONS, `${found}`);
    });
  });

const driver = loadDriver();
const at = (address: number, port: number, more: PastRow = {}): PastRow => ({
  ...TRANSLATED_ROW,
  ...CLOSED_ROW,
  start: T0 - 17 * SECOND,
  dur: 64 * SECOND,
  src: address,
  eport: port,
  ...more,
});
const OUTSIDE = ipv4('203.0.113.50');
const REMOTE = ipv4('198.51.100.7');
const INSIDE = ipv4('100.64.3.7');
const OTHER = ipv4('100.64.9.9');
const WHEN = '2026-03-01T14:32:15Z';
const question = { address: '203.0.113.50', port: 32768, at: WHEN };
const whole = { opened: T0 - DAY, alive: T0 + DAY, ended: true };

async function ask(path: string, more: object = {}): Promise<WhoHadAnswer> {
  const history = await openHistory(path);
  return history.whoHad({ ...question, ...more });
}

test('one had it', async () =>
  inRecord(async (path) => {
    writeRecord(driver, path, [{ ...whole, rows: [at(INSIDE, 32768), at(OTHER, 32769)] }]);
    const { complete, ambiguous, matches } = await ask(path);
    assert.deepEqual([complete, ambiguous, matches.length], [true, false, 1]);
    const [{ grade, role, inside, remote, sent, received, evidence }] = matches as [(typeof matches)[number]];
    assert.deepEqual([grade, role, evidence.sequence, evidence.sealed], ['certain', 'source', 1, false]);
    assert.deepEqual(
      [inside, remote],
      [
        { address: '100.64.3.7', port: 41002 },
        { address: '198.51.100.7', port: 443 },
      ],
    );
    assert.deepEqual(
      [sent, received],
      [
        { packets: 12n, bytes: 12_000n },
        { packets: 200n, bytes: 240_000n },
      ],
    );
    assert.deepEqual((await ask(path, { port: 1 })).matches, []);
  }));

test('two had it at the same time, towards different others', async () =>
  inRecord(async (path) => {
    writeRecord(driver, path, [{ ...whole, rows: [at(INSIDE, 32768), at(OTHER, 32768, { dst: ipv4('192.0.2.1') })] }]);
    const answer = await ask(path);
    assert.deepEqual([answer.ambiguous, answer.matches.length], [true, 2]);
    const one = await ask(path, { to: { address: '192.0.2.1', port: 443 } });
    assert.deepEqual([one.ambiguous, one.matches.map(({ inside }) => inside.address)], [false, ['100.64.9.9']]);
  }));

test('a forwarded port is answered with who answered for it', async () =>
  inRecord(async (path) => {
    const row = at(REMOTE, 41002, { dst: OUTSIDE, dport: 32768, ext: REMOTE, rsrc: INSIDE, rsport: 22, status: 0x12e | 0x20 });
    writeRecord(driver, path, [{ ...whole, rows: [row] }]);
    const [match] = (await ask(path)).matches;
    assert.deepEqual(
      [match!.role, match!.inside, match!.remote],
      ['destination', { address: '100.64.3.7', port: 22 }, { address: '198.51.100.7', port: 41002 }],
    );
  }));

test('an inside address that is translated further inside is followed', async () =>
  inRecord(async (path) => {
    const outer = at(INSIDE, 32768);
    const inner = at(ipv4('10.0.0.5'), 41002, { ext: INSIDE, sport: 5000, ns: 1 });
    writeRecord(driver, path, [{ ...whole, rows: [inner, outer], namespaces: { 1: 'tenant' } }]);
    const [match] = (await ask(path)).matches;
    assert.deepEqual(match!.hops, [
      {
        inside: { address: '10.0.0.5', port: 5000 },
        outside: { address: '100.64.3.7', port: 41002 },
        zone: undefined,
        netns: 'tenant',
      },
    ]);
    assert.deepEqual((await ask(path, { follow: false })).matches[0]!.hops, []);
  }));

test('without a port, everybody behind an address is told', async () =>
  inRecord(async (path) => {
    writeRecord(driver, path, [{ ...whole, rows: [at(INSIDE, 1), at(INSIDE, 2), at(OTHER, 3), at(OTHER, 4, { ext: REMOTE })] }]);
    const told = async (address: string) =>
      (await ask(path, { address, port: undefined })).groups!.map(({ inside, flows }) => [inside, flows]);
    assert.deepEqual(await told('203.0.113.50'), [
      ['100.64.3.7', 2],
      ['100.64.9.9', 1],
    ]);
    assert.deepEqual(await told('203.0.113.0/24'), await told('203.0.113.50'));
  }));

test('what the record does not cover is said, whether something was found or not', async () => {
  const why = async (segments: Parameters<typeof writeRecord>[2], more: object = {}, change?: (path: string) => void) =>
    inRecord(async (path) => {
      writeRecord(driver, path, segments);
      change?.(path);
      const { complete, why, matches } = await ask(path, more);
      assert.equal(complete, why.length === 0);
      return `${matches.length} ${why.join('; ')}`;
    });
  const rows = [at(INSIDE, 32768)];
  assert.equal(await why([{ ...whole, rows }]), '1 ');
  const gap = (from: number, to: number, reason: string, more = {}) => ({
    gaps: [{ from: T0 + from, to: T0 + to, reason, ...more }],
  });
  assert.match(await why([{ ...whole, rows, ...gap(-5, 5, 'overrun') }]), /^1 overrun from 2026-03-01T14:32:14.999995Z to/);
  assert.match(await why([{ ...whole, rows, ...gap(60 * SECOND, 90 * SECOND, 'crash') }]), /^1 crash/, 'ends are told late');
  assert.equal(await why([{ ...whole, rows, ...gap(600 * SECOND, 900 * SECOND, 'crash') }]), '1 ');
  assert.equal(await why([{ ...whole, rows, ...gap(-SECOND, SECOND, 'suspended') }]), '1 ');
  assert.equal(
    await why([{ ...whole, rows, ...gap(-5, 5, 'overrun', { ns: 1 }), namespaces: { 1: 'b' } }], { netns: 'a' }),
    '0 ',
  );
  // What a copy lacks ended then, and may have begun long before.
  const lacking = gap(600 * SECOND, 900 * SECOND, 'missing', { first: 7, last: 9 });
  assert.match(await why([{ ...whole, rows, ...lacking }]), /^1 missing .*flows that had begun before and ended then lack/);
  assert.match(await why([{ ...whole, rows, opened: T0 + SECOND }]), /^1 the record begins at 2026-03-01T14:32:16/);
  assert.match(await why([{ ...whole, rows, alive: T0 - SECOND }]), /^1 the record goes up to 2026-03-01T14:32:14/);
  // A recorder that was killed, or runs: what is younger than two checkpoints may lack.
  assert.match(
    await why([{ ...whole, rows, alive: T0 + 10 * SECOND, ended: false }]),
    /^1 the record goes up to 2026-03-01T14:32:05/,
  );
  const three = [
    { rows, opened: T0 - DAY, closed: T0 - 60 * SECOND, sealed: true },
    { rows: [], opened: T0 - 60 * SECOND, closed: T0 + 60 * SECOND, sealed: true },
    { ...whole, rows: [], opened: T0 + 60 * SECOND },
  ];
  const second = (path: string) => `${path}/${readdirSync(path).find((name) => name.includes('-000002'))}`;
  assert.equal(await why(three), '1 ');
  assert.match(await why(three, {}, (path) => rmSync(second(path))), /^1 missing from .*segment 2 is not there/);
  assert.match(await why(three, {}, (path) => truncateSync(second(path), 700)), /^1 damaged from .*000002.db/);
  assert.match(await why(three, {}, (path) => writeFileSync(second(path), 'x'.repeat(9000))), /^1 damaged from .*000002.db/);
  assert.match(
    await why(three, {}, (path) => {
      const name = second(path);
      rmSync(name);
      symlinkSync('/etc/passwd', name);
    }),
    /^1 damaged from .*no ordinary file/,
  );
  // Somebody who had it before may have gone on until then.
  assert.match(
    await why(three, { at: T0 - 7200 * SECOND }, (path) => rmSync(second(path))),
    /^0 missing from .*segment 2 is not there; flows that had begun before/,
  );
  assert.equal(await why(three, { at: T0 + 600 * SECOND }, (path) => rmSync(second(path))), '0 ');
  assert.match(
    await why([{ ...three[0]!, meta: { recorder: 'another' } }, three[1]!, three[2]!]),
    /^0 .*is of another recorder|^0 the record begins/,
  );
  const newer = (path: string) => {
    const file = driver.open(second(path));
    file.exec('PRAGMA user_version = 99');
    file.close();
  };
  assert.match(await why(three, {}, newer), /^1 damaged from .*was written by a newer version/);
});

test('what a filter left out is said for the time of that filter', async () =>
  inRecord(async (path) => {
    const [before, after] = [{ opened: T0 - DAY, closed: T0 - 100 * SECOND }, { opened: T0 - 100 * SECOND }];
    writeRecord(driver, path, [
      { ...before, rows: [at(INSIDE, 32768)], sealed: true, meta: { filter: 'tcp' } },
      { ...after, rows: [at(INSIDE, 32768)], alive: T0 + DAY, ended: true },
    ]);
    assert.deepEqual((await ask(path)).notes, []);
    assert.deepEqual((await ask(path, { at: T0 - 200 * SECOND })).notes, ['only flows that match "tcp" are recorded']);
  }));

test('a flow that lives lived for certain when a list had it last', async () => {
  const open = [{ ...asOpen(at(INSIDE, 32768, { start: T0 - 900 * SECOND })), seen: T0 - 800 * SECOND }];
  for (const [seenTo, grade] of [
    [T0 - 1, 'possible'],
    [T0, 'certain'],
  ] as const)
    await inRecord(async (path) => {
      writeRecord(driver, path, [{ opened: T0 - DAY, alive: T0 + 2 * SECOND, rows: [], open, meta: { seenTo } }]);
      const { matches } = await ask(path, { at: T0 });
      assert.deepEqual(
        matches.map((match) => match.grade),
        [grade],
      );
    });
});

test('the clock was set near that time: what only that explains is possible', async () =>
  inRecord(async (path) => {
    const clock = [{ at: T0 + 2 * SECOND, delta: -50 * SECOND, class: '< 10 ms' }];
    writeRecord(driver, path, [{ ...whole, rows: [at(INSIDE, 32768, { start: T0 + 40 * SECOND })], clock }]);
    const [match] = (await ask(path)).matches;
    assert.deepEqual([match!.grade, match!.quality.clockStep, match!.quality.clock], ['possible', -50 * SECOND, '< 10 ms']);
  }));

test('a recorder that runs is asked to write what it has', async () =>
  inRecord(async (path) => {
    writeRecord(driver, path, [{ ...whole, rows: [at(INSIDE, 32768)], alive: T0 - SECOND, ended: false }]);
    const asked: string[] = [];
    const server = createServer((socket) =>
      socket.once('data', (data) => {
        asked.push(String(data));
        socket.end(`${JSON.stringify({ completeTo: T0 + 2 * SECOND })}\n`);
      }),
    );
    await new Promise<void>((resolve) => server.listen(`${path}/record.sock`, resolve));
    try {
      assert.equal((await ask(path)).complete, true);
      assert.deepEqual(asked, ['{"request":"flush"}\n']);
    } finally {
      server.close();
    }
  }));

test('an IPv4 address as servers of both families write it', async () =>
  inRecord(async (path) => {
    writeRecord(driver, path, [{ ...whole, rows: [at(INSIDE, 32768)], namespaces: { 1: 'red' } }]);
    const { address } = question;
    for (const text of [`::ffff:${address}`, `::ffff:${address}/128`, `::ffff:${address}/120`]) {
      const answer = await ask(path, { address: text, port: text.includes('/') ? undefined : question.port });
      assert.deepEqual([answer.matches.length, answer.question.address.includes('ffff')], [1, false], text);
    }
    assert.equal((await ask(path, { address: '::/0', port: undefined })).matches.length, 0);
    // A namespace that is not there is not one in which nobody was.
    const [note] = (await ask(path, { netns: 'blue' })).notes;
    assert.equal(note, 'the record has no network namespace "blue", but its own, without a name, "red"');
  }));

test('a signal ends a question', async () =>
  inRecord(async (path) => {
    const random = new Random(seedFromEnvironment(20260903));
    const rows = Array.from({ length: 2000 }, (_, n) => randomRow(random, T0 + n * SECOND));
    writeRecord(loadDriver(), path, [{ rows, opened: T0 - DAY, alive: T0 + DAY }]);
    const history = await openHistory(path);
    const question = { address: '0.0.0.0/0', at: T0 } as const;
    const over = AbortSignal.abort(new Error('enough'));
    await assert.rejects(history.whoHad(question, { signal: over }), /enough/);
    await assert.rejects(history.top({ signal: over }), /enough/);
    // In the middle, when some of the rows have been read.
    const asked = [
      (signal: AbortSignal) => history.whoHad(question, { signal }),
      (signal: AbortSignal) => history.top({ filter: 'bytes > 0', signal }),
    ];
    for (const ask of asked) {
      const controller = new AbortController();
      const later = {
        get aborted() {
          return controller.signal.aborted;
        },
        throwIfAborted: () => {
          looks++;
          if (looks === 4) controller.abort(new Error('enough'));
          controller.signal.throwIfAborted();
        },
      } as AbortSignal;
      let looks = 0;
      await assert.rejects(ask(later), /enough/);
      assert.equal(looks, 4);
    }
  }));

test('a directory that is no record, or none of which can be read', async () =>
  inRecord(async (path) => {
    await assert.rejects(openHistory(`${path}/none`), { code: 'NOT_A_HISTORY' });
    await assert.rejects(openHistory(path), { code: 'NOT_A_HISTORY' });
    writeFileSync(`${path}/file`, '');
    await assert.rejects(openHistory(`${path}/file`), { code: 'NOT_A_HISTORY', message: `${path}/file is not a directory` });
    mkdirSync(`${path}/20260301T000000Z-000001.db`);
    await assert.rejects(openHistory(path), { code: 'NOT_A_HISTORY' });
    writeFileSync(`${path}/20260301T000000Z-000002.db`, '');
    await assert.rejects(openHistory(path), { name: 'HistoryError' });
    for (const address of ['', '1.2.3', 'x', '10.0.0.0/33', "1.2.3.4'; DROP TABLE flow"])
      await inRecord(async (good) => {
        writeRecord(driver, good, [{ ...whole, rows: [] }]);
        if (address === '1.2.3') return; // inet_aton(3) reads it
        await assert.rejects(ask(good, { address, port: undefined }), { code: 'VALUE' }, address);
      });
  }));

test('several directories are one record', async () =>
  inRecord(async (first) =>
    inRecord(async (second) => {
      writeRecord(driver, first, [{ ...whole, rows: [at(INSIDE, 32768)] }]);
      writeRecord(driver, second, [{ ...whole, rows: [at(OTHER, 32768)], alive: T0 }]);
      const history = await openHistory([first, second]);
      const answer = await history.whoHad(question);
      assert.deepEqual([answer.matches.length, answer.ambiguous, answer.complete], [2, true, false]);
      const flows = [];
      for await (const { flow } of history.flows('tcp')) flows.push(flow.original.src);
      assert.deepEqual(flows, ['100.64.3.7', '100.64.9.9']);
    }),
  ));
