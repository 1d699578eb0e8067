// `-o json` and `-o ndjson` of every command that has them: the lines of the reference, written again from our JSON, must be the
// lines that the reference prints.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { kernelIsAtLeast } from '../../src/wire/kernel.js';
import { entryLines } from '../support/entries.js';
import { schemaFault } from '../support/json-schema.js';
import { expectationText, flowText } from '../support/json-text.js';
import { Namespace } from '../support/namespace.js';
import { populate } from '../support/population.js';
import { REFERENCE, requirePrerequisites, SELF_TEST, UNDER_TEST } from '../support/project.js';

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; ) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail('waited in vain');
}

const { schema } = makeJsonSchema();

before(requirePrerequisites);
suite('JSON', { skip: SELF_TEST ? 'the reference has no JSON' : false }, () => {
  let ns: Namespace;
  before(async () => {
    ns = await Namespace.create('json', 'answer');
    await populate(ns, { accounting: true, timestamps: true, traffic: 'all' });
  });
  after(() => ns?.close());

  const run = (line: string) => ns.run([UNDER_TEST, ...line.split(' ')]);
  /** Standard output of a command that succeeds without a word to standard error. */
  const out = async (line: string) => {
    const result = await run(line);
    assert.equal(result.stderr.toString(), '', line);
    assert.equal(result.status, 0, line);
    return result.stdout.toString();
  };
  const parse = (text: string) => {
    const value = JSON.parse(text);
    assert.equal(schemaFault(schema, value), undefined, text);
    return value;
  };
  const json = async (line: string) => parse(await out(line));
  const lines = async (line: string) =>
    (await out(line))
      .split('\n')
      .filter((text) => text !== '')
      .map(parse);
  const reference = async (line: string) => entryLines((await ns.must([REFERENCE, ...line.split(' ')])).toString());
  /** Entries move on between two lists: seconds, and what is computed from them; before 5.19 kernels hold on to some now and then. */
  const still = (text: string) =>
    text
      .replace(/(^|\d )\d+(?= (proto=|[A-Z_0-9]* ?src=))/, '$1*')
      .replace(/delta-time=\d+/, 'delta-time=*')
      .replace(kernelIsAtLeast(5, 19) ? /$/ : / use=\d+/, '');

  for (const filter of ['', ' -f ipv6', ' -p tcp', ' -p tcp --state ESTABLISHED', ' -m 7/0xf', ' -u ASSURED', ' -w 5'])
    test(`-L${filter} lists what the reference lists`, async () => {
      const expected = (await reference(`-L${filter} -o extended,id`)).map(still);
      const document = await json(`-L${filter} -o json`);
      assert.deepEqual(document.map(flowText).map(still), expected);
      assert.deepEqual((await lines(`-L${filter} -o ndjson`)).map(flowText).map(still), expected);
      if (filter === '') assert.ok(expected.length > 50, 'too few entries');
    });

  test('-L expect lists what the reference lists of each family', async () => {
    for (const family of ['ipv4', 'ipv6']) {
      const expected = (await reference(`-L expect -f ${family}`)).map(still);
      assert.ok(expected.length > 0, family);
      assert.deepEqual((await json(`-L expect -f ${family} -o json`)).map(expectationText).map(still), expected);
    }
  });

  test('an empty list is an empty array, and no line', async () => {
    assert.deepEqual(await json('-L -s 203.0.113.250 -o json'), []);
    assert.equal(await out('-L -s 203.0.113.250 -o ndjson'), '');
  });

  test('-G gives the object, and an error object when there is none', async () => {
    const flow = await json('-G -p udp -s 192.0.2.1 -d 198.51.100.1 --sport 5060 --dport 5060 -o json');
    assert.equal(flow.helper, 'sip');
    const none = await run('-G -p udp -s 192.0.2.1 -d 198.51.100.1 --sport 5060 --dport 5999 -o json');
    assert.equal(none.status, 1);
    assert.equal(none.stdout.toString(), '');
    const { error } = JSON.parse(none.stderr.toString());
    assert.equal(error.code, 'ENOENT');
    assert.match(error.hint, /conntrack -L/);
    // Found, but not the one that the other options describe.
    const other = await run('-G -p tcp -s 192.0.2.2 -d 198.51.100.1 --sport 40000 --dport 443 --state CLOSE -o json');
    assert.equal(other.status, 1);
    assert.equal(other.stdout.toString(), 'null\n');
  });

  test('-C counts as the text does', async () => {
    const count = Number(await out('-C'));
    // The limit is that of the machine: another test may change it meanwhile.
    const limit = async () => Number(await ns.ask('read', '/proc/sys/net/netfilter/nf_conntrack_max'));
    const before = await limit();
    const { entries, maxEntries } = await json('-C -o json');
    assert.equal(entries, count);
    assert.ok([before, await limit()].includes(maxEntries), `${maxEntries}`);
    assert.deepEqual(await json('-C expect -o json'), { entries: (await json('-L expect -o json')).length });
  });

  test('-S has the counters of the text', async () => {
    const text = (await reference('-S')).map((line) =>
      Object.fromEntries(
        [...line.matchAll(/(\w+)=(\d+)/g)].map(([, name, value]) => [
          name!.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
          Number(value),
        ]),
      ),
    );
    const still = (rows: object[]) => rows.map((row) => Object.keys(row));
    assert.deepEqual(still(await json('-S -o json')), still(text));
    assert.deepEqual(still(await lines('-S -o ndjson')), still(text));
  });

  test('a wrong command line is an error object too', async () => {
    for (const line of ['-L -o json --nothing', '-L --output=ndjson -p', '-o json -L -D']) {
      const { status, stderr } = await run(line);
      assert.equal(status, 2, line);
      assert.equal(JSON.parse(stderr.toString()).error.code, 'USAGE', line);
    }
  });

  test('-D and -U print the entries and what became of them', async () => {
    const filter = '-p udp -s 192.0.2.1 --dport 5060';
    const before = await json(`-L ${filter} -o json`);
    assert.equal(before.length, 1);
    const updated = await json(`-U ${filter} -m 0x55 -o json`);
    assert.deepEqual(
      { ...updated, flows: updated.flows.length },
      { flows: 1, matched: 1, updated: 1, alreadyGone: 0, unchanged: 0, withoutLabelRoom: 0, failed: 0 },
    );
    assert.equal(updated.flows[0].mark, 0x55);
    const dry = await json(`-D ${filter} --dry-run -o json`);
    assert.equal(dry.flows[0].id, before[0].id);
    assert.deepEqual({ ...dry, flows: 1 }, { flows: 1, dryRun: true, matched: 1, deleted: 0, alreadyGone: 0, failed: 0 });
    const [flow, result, ...rest] = await lines(`-D ${filter} -o ndjson`);
    assert.equal(flow.id, before[0].id);
    assert.deepEqual(result, { matched: 1, deleted: 1, alreadyGone: 0, failed: 0 });
    assert.deepEqual(rest, []);
    const none = await run(`-D ${filter} -o json`);
    assert.equal(none.status, 1);
    assert.deepEqual(JSON.parse(none.stdout.toString()), { flows: [], matched: 0, deleted: 0, alreadyGone: 0, failed: 0 });
    assert.equal(none.stderr.toString(), '');
  });

  test('-E prints an object for each event, as it happens', async () => {
    const watching = await ns.start([UNDER_TEST, '-E', '-p', 'udp', '--dport', '4999', '-o', 'ndjson,timestamp']);
    const key = '-s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 4999';
    await waitFor(async () => {
      await run(`-D ${key}`);
      await ns.must([REFERENCE, ...`-I ${key} -t 100`.split(' ')]);
      return (await ns.ask('written', watching)).stdout.length > 0;
    });
    await ns.must([REFERENCE, ...`-U ${key} -m 9`.split(' ')]);
    await ns.must([REFERENCE, ...`-D ${key}`.split(' ')]);
    await waitFor(async () => Buffer.from((await ns.ask('written', watching)).stdout).includes('DESTROY'));
    await ns.ask('signal', watching, 'SIGINT');
    const result = await ns.ask('finish', watching);
    assert.equal(result.status, 0);
    const events = Buffer.from(result.stdout).toString().split('\n').slice(0, -1).map(parse);
    assert.deepEqual(
      events.slice(-3).map(({ type, flow }) => [type, flow.original.dport, flow.mark]),
      [
        ['NEW', 4999, undefined],
        ['UPDATE', 4999, 9],
        ['DESTROY', 4999, 9],
      ].map(([type, dport, mark]) => [type, dport, mark ?? events.at(-3).flow.mark]),
    );
    for (const { portId, timestamp } of events) {
      assert.ok(portId > 0);
      assert.ok(Math.abs(Number(timestamp) / 1e6 - Date.now()) < 60_000, timestamp);
    }
    for (const line of Buffer.from(result.stderr).toString().split('\n').slice(0, -1)) JSON.parse(line);
  });

  test('-D expect says that one was deleted', async () => {
    const [{ tuple, protocol }] = (await json('-L expect -f ipv4 -o json')).filter(
      (it: { protocol: string }) => it.protocol === 'tcp',
    );
    const key = `-s ${tuple.src} -d ${tuple.dst} -p ${protocol} --sport ${tuple.sport} --dport ${tuple.dport}`;
    assert.equal((await json(`-G expect ${key} -o json`)).tuple.dport, tuple.dport);
    assert.deepEqual(await json(`-D expect ${key} -o json`), { matched: 1, deleted: 1, alreadyGone: 0, failed: 0 });
  });
});
