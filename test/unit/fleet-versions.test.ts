// Fleets of different versions: what version 1 said is read for ever, and whoever does not know something is not asked, and named.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { H, packJson, READS_COLUMNS, unpackBody, unpackJson } from '../../src/fleet/bodies.js';
import type { BusMessage } from '../../src/fleet/bus.js';
import { readCollectorValue } from '../../src/fleet/collector-value.js';
import { Fleet } from '../../src/fleet/fleet.js';
import { encodeHostValue, readHostValue } from '../../src/fleet/inventory.js';
import { Nl1Reader } from '../../src/fleet/nl1.js';
import { OPERATIONS, readQuestion } from '../../src/fleet/operations.js';
import { decodePastRows } from '../../src/fleet/past-rows.js';
import { HOSTS_BUCKET, readReply, subjects } from '../../src/fleet/subjects.js';
import { lineMaker } from '../../src/history/past-lines.js';
import { RowMessages } from '../../src/history/row-messages.js';
import { MemoryTable, makeFlow } from '../../src/testing/index.js';
import { startMemoryAgent } from '../support/memory-agent.js';
import { MemoryServers, messageOf } from '../support/memory-bus.js';
import { SLOWNESS } from '../support/project.js';

const ASK = { wait: 10_000 * SLOWNESS, deadline: 20_000 * SLOWNESS };
const V1 = JSON.parse(readFileSync(new URL('../../../test/fixtures/fleet-v1.json', import.meta.url), 'utf8'));

interface Told {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const rowsOf = (body: Uint8Array) => {
  const rows: string[] = [];
  new Nl1Reader().read(body, (bytes, from, to) => rows.push(Buffer.from(bytes.slice(from, to)).toString('base64')));
  return rows;
};

test('lists and events of version 1 are read, message by message', () => {
  for (const { headers, body, messages } of [V1.list, V1.events])
    assert.deepEqual(rowsOf(unpackBody(messageOf(headers, Buffer.from(body, 'base64')), 'nl1')), messages);
  assert.equal(V1.events.messages.length, 6);
});

test('flows of the past of version 1 are read', () => {
  const messages = new RowMessages();
  const line = lineMaker('text');
  assert.deepEqual(
    decodePastRows(bytesOf(V1.past)).map((row) => line(row, () => messages.of(row.row)).line),
    [
      'host=fw1 netns=blue [1772375537.500000]\t[DESTROY] tcp      6 TIME_WAIT src=192.168.0.1 dst=8.8.8.8 sport=41002 dport=443 packets=10 bytes=5000 src=8.8.8.8 dst=202.254.188.9 sport=443 dport=40001 packets=9 bytes=9223372036854775807 [ASSURED] mark=0 delta-time=2 [HISTORY]\n',
      'host=fw1 [1772375535.000000]\t    [NEW] udp      17 src=192.168.0.1 dst=8.8.8.8 sport=1 dport=2 [UNREPLIED] src=8.8.8.8 dst=202.254.188.9 sport=2 dport=1 mark=0 delta-time=0 [OPEN]\n',
    ],
  );
});

test('the inventory of version 1 is read, and what a newer one adds is left out', () => {
  const read = (value: object) => readHostValue({ key: 'fw1', value: bytesOf(JSON.stringify(value)) });
  // What was added since has its default.
  const known = { ...read(V1.host), ...V1.host };
  assert.deepEqual(read(V1.host), known);
  assert.deepEqual(read({ ...V1.host, novelty: [1] }), known);
  assert.equal(read({ ...V1.host, v: 2 }), undefined);
  const collector = (value: object) => readCollectorValue({ key: 'c1', value: bytesOf(JSON.stringify(value)) });
  const collected = { ...collector(V1.collector), ...V1.collector };
  assert.deepEqual(collector(V1.collector), collected);
  assert.deepEqual(collector({ ...V1.collector, novelty: 1 }), collected);
});

test('a question of version 1 is read, and one of another version is refused with what is known', () => {
  const { subject, reply, body } = V1.question;
  assert.equal(subject, subjects.query('_', '_', 'list'));
  assert.deepEqual(readReply(reply), { user: 'alice', qid: '0123456789ABCDEFGHIJKL' });
  const message = messageOf(V1.question.headers, bytesOf(body));
  const { filter, netns, limit } = readQuestion('list', message, OPERATIONS);
  assert.deepEqual({ filter, netns, limit }, { filter: 'tcp and dst port 22', netns: ['blue'], limit: 5 });
  const other = messageOf({ ...V1.question.headers, [H.version]: '2' }, bytesOf(body));
  const refused = { code: 'VERSION', hint: /^it supports ping, count, .* of version 1$/ };
  assert.throws(() => readQuestion('list', other, OPERATIONS), refused);
  assert.throws(() => readQuestion('novelty', message, OPERATIONS), refused);
});

/** A host that answers with these messages. */
async function play(servers: MemoryServers, host: string, answers: readonly Told[], value: object = {}): Promise<string[]> {
  const bus = servers.connect();
  if (!(await bus.hasBucket(HOSTS_BUCKET))) await bus.makeBucket(HOSTS_BUCKET);
  await bus.writeKey(HOSTS_BUCKET, host, encodeHostValue({ ...V1.host, ...value, host }), 0);
  const asked: string[] = [];
  const take = (message: BusMessage) => {
    asked.push(message.subject.split('.').at(-1)!);
    for (const { headers, body } of answers)
      bus.publish(`${message.reply}.${host}`, body === 'list' ? Buffer.from(V1.list.body, 'base64') : bytesOf(body), { headers });
  };
  bus.subscribe(subjects.query('_', '_', '*'), take);
  bus.subscribe(subjects.query('ams', host, '*'), take);
  return asked;
}

test('an answer of version 1 is taken', async () => {
  const servers = new MemoryServers();
  await play(servers, 'fw1', V1.answers);
  const rows: string[] = [];
  const notes: unknown[] = [];
  let place: unknown;
  const asked = await new Fleet(servers.connect(), 'alice').ask(
    'list',
    {},
    {
      rows: (host, netns, body, at) => {
        place = { host, netns, at };
        rows.push(...rowsOf(body));
        return { rows: rows.length };
      },
      note: (_host, value) => notes.push(value),
    },
    ASK,
  );
  assert.deepEqual([asked.complete, rows, place], [true, V1.list.messages, { host: 'fw1', netns: 'blue', at: 1772375541000 }]);
  assert.deepEqual(notes, [{ lost: 17, at: 1772375541000 }]);
  assert.deepEqual(unpackJson(messageOf(V1.answers[0].headers, bytesOf(V1.answers[0].body))), { entries: 12 });
});

test('an older agent is not asked what it does not know, and is named', async () => {
  const servers = new MemoryServers();
  await using _ = await startMemoryAgent(servers, 'new', new MemoryTable());
  const older = await play(servers, 'old', [], { agent: '0.0.9', features: ['ping', 'count', 'nl1'] });
  const fleet = new Fleet(servers.connect(), 'alice');
  const asked = await fleet.ask('list', {}, { rows: () => ({ rows: 0 }) }, { ...ASK, on: ['new', 'old'] });
  assert.deepEqual([asked.complete, asked.answered.map(({ host }) => host), older], [false, ['new'], []]);
  const [{ why, error } = { why: '', error: undefined }] = asked.missing;
  assert.deepEqual([why, error?.message], ['version', 'its agent 0.0.9 does not know list']);
});

test('an older agent that does not know a word of the filter says so, and is named', async () => {
  const servers = new MemoryServers();
  const error = packJson({ code: 'FILTER', message: 'there is no word "country"', hint: 'upgrade it' });
  await play(servers, 'old', [
    {
      headers: { ...error.headers, [H.instance]: 'x', [H.number]: '0', [H.kind]: 'error' },
      body: new TextDecoder().decode(error.data),
    },
  ]);
  const asked = await new Fleet(servers.connect(), 'alice').ask(
    'list',
    { filter: 'country DE' },
    { rows: () => ({ rows: 0 }) },
    ASK,
  );
  assert.deepEqual(
    asked.missing.map(({ host, why, error: told }) => [host, why, told?.code, told?.message]),
    [['old', 'error', 'FILTER', 'there is no word "country"']],
  );
});

test('whoever does not say that it reads what flows have in common gets them as version 1 has them', async () => {
  const servers = new MemoryServers();
  const flow = { src: '10.0.0.1', dst: '192.0.2.1', dport: 443 };
  const flows = [1024, 1025, 1026].map((sport) => makeFlow({ protocol: 'tcp', original: { ...flow, sport } }));
  await using _ = await startMemoryAgent(servers, 'fw1', new MemoryTable({ flows }));
  const bus = servers.connect();
  const ask = async (qid: string, more: Readonly<Record<string, string>>) => {
    const reply = subjects.reply('alice', qid);
    const answer = new Promise<BusMessage>((resolve) => void bus.subscribe(`${reply}.*`, resolve));
    const { data, headers } = packJson({});
    bus.publish(subjects.query('default', 'fw1', 'list'), data, { reply, headers: { ...headers, ...more } });
    return unpackBody(await answer, 'nl1');
  };
  const plain = await ask('0000000000000000000001', {});
  const other = await ask('0000000000000000000002', { [H.reads]: 'novelty' });
  const common = await ask('0000000000000000000003', { [H.reads]: READS_COLUMNS });
  assert.deepEqual([plain[1], other[1], common[1]], [0, 0, 2]);
  assert.ok(common.length < plain.length, `${common.length} bytes instead of ${plain.length}`);
  assert.equal(rowsOf(plain).length, 3);
  assert.deepEqual([rowsOf(other), rowsOf(common)], [rowsOf(plain), rowsOf(plain)]);
  // A client of this version says so.
  const flags: number[] = [];
  const rows = (_host: string, _netns: string | undefined, body: Uint8Array) => {
    flags.push(body[1]!);
    return { rows: rowsOf(body).length };
  };
  assert.equal((await new Fleet(servers.connect(), 'bob').ask('list', {}, { rows }, ASK)).complete, true);
  assert.deepEqual(flags, [2]);
});

test('an agent of this version refuses a newer client’s operation, and goes on', async () => {
  const servers = new MemoryServers();
  await using _ = await startMemoryAgent(servers, 'fw1', new MemoryTable());
  const bus = servers.connect();
  const { data, headers } = packJson({});
  const answer = new Promise<BusMessage>((resolve) => void bus.subscribe(`${V1.question.reply}.*`, resolve));
  bus.publish(subjects.query('default', 'fw1', 'novelty'), data, { reply: V1.question.reply, headers });
  const refused = await answer;
  assert.equal(refused.header(H.kind), 'error');
  assert.equal((unpackJson(refused) as { code: string }).code, 'VERSION');
  assert.equal((await new Fleet(servers.connect(), 'bob').ask('count', {}, { value: () => {} }, ASK)).complete, true);
});
