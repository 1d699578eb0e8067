// Lists that are made of a dump for each of a few addresses, on a table in memory: every entry once, also where the kernel ignores what
// it is asked for; and filters that want nothing, for which it is asked nothing.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { parseAddress } from '../../src/ctnetlink/address.js';
import { type FlowFilter, MATCH_NONE, numberIs } from '../../src/ctnetlink/filter/condition.js';
import { addressSet, unionOfAddresses } from '../../src/ctnetlink/filter/sets.js';
import { Conntrack, type Filter } from '../../src/index.js';
import type { ScanOptions } from '../../src/library/flow-dumps.js';
import { ConntrackTable } from '../../src/library/table.js';
import { type FlowInit, MemoryTable } from '../../src/testing/index.js';
import { host16, putHost16 } from '../../src/wire/bytes.js';
import type { OpenTransport, Transport } from '../../src/wire/transport.js';

const CTA_FILTER = 25;
const UNKNOWN = 0x3ff0;

/** Counts the requests that a transport sends; `ignoring` makes CTA_FILTER an attribute that nobody knows. */
class Requests {
  dumps = 0;
  filtered = 0;
  count = 0;

  readonly #under: OpenTransport;
  readonly #ignoring: boolean;

  constructor(under: OpenTransport, ignoring = false) {
    this.#under = under;
    this.#ignoring = ignoring;
  }

  readonly open: OpenTransport = (options): Transport =>
    new Proxy(this.#under(options), {
      get: (target, name) => {
        if (name === 'send' || name === 'sendAsync')
          return (bytes: Uint8Array, length: number) => {
            this.#note(bytes, length);
            return target[name](bytes, length);
          };
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

  #note(bytes: Uint8Array, length: number): void {
    this.count++;
    if ((host16(bytes, 6) & 0x300) === 0x300) this.dumps++;
    for (let at = 20; at + 4 <= length; at += (host16(bytes, at) + 3) & ~3) {
      if ((host16(bytes, at + 2) & 0x3fff) !== CTA_FILTER) continue;
      this.filtered++;
      if (this.#ignoring) putHost16(bytes, at + 2, UNKNOWN);
    }
  }
}

const address = (n: number) => `10.0.0.${n}`;
/** Clients 1 to 30 have a flow to each of two servers; every third is translated. */
const flows = (): FlowInit[] =>
  Array.from({ length: 60 }, (_, n) => ({
    protocol: 'udp',
    original: { src: address((n % 30) + 1), dst: address(100 + (n & 1)), sport: 1000 + n, dport: 53 },
    ...(n % 3 === 0 && { reply: { src: address(100 + (n & 1)), dst: address(200), sport: 53, dport: 1000 + n } }),
  }));
const host = (...addresses: string[]): FlowFilter => ({
  kind: 'address',
  ends: (['original', 'reply'] as const).flatMap((side) => (['src', 'dst'] as const).map((end) => ({ side, end }))),
  set: unionOfAddresses(addresses.map((text) => addressSet(parseAddress(text)!))),
});

async function list(filter: FlowFilter, options: ScanOptions, ignoring = false) {
  const memory = new MemoryTable({ flows: flows() });
  const requests = new Requests(memory.open, ignoring);
  const table = ConntrackTable.open({ transport: requests.open });
  const seen: string[] = [];
  try {
    await table.scan(
      filter,
      { entry: (view) => seen.push(Buffer.from(view.bytes.subarray(view.start + 20, view.start + 76)).toString('hex')) },
      options,
    );
  } finally {
    table.close();
  }
  return { seen: seen.sort(), requests };
}

suite('a dump for each alternative', () => {
  for (const processors of [1, 2, 8])
    for (const background of [false, true])
      for (const ignoring of [false, true])
        test(`every entry once, ${processors} processors${background ? ', in the background' : ''}${ignoring ? ', kernel ignores' : ''}`, async () => {
          for (const [filter, most] of [
            [host(address(5)), 4],
            [host(address(200)), 4],
            [
              {
                kind: 'address',
                ends: [{ side: 'original', end: 'src' }],
                set: unionOfAddresses([3, 4, 5].map((n) => addressSet(parseAddress(address(n))!))),
              },
              3,
            ],
            [{ kind: 'all', of: [numberIs('protocol', 17), host(address(5))] }, 4],
          ] as const) {
            const one = await list(filter, { processors, background });
            assert.ok(one.seen.length > 1);
            assert.equal(one.requests.dumps, 1);
            const { seen, requests } = await list(filter, { processors, background, severalDumpsFrom: 0 }, ignoring);
            assert.deepEqual(seen, one.seen);
            // And a sample. In turn, a dump that has everything is the last.
            const inTurn = processors === 1 || requests.filtered === 1;
            if (requests.filtered > 1 || ignoring) assert.equal(requests.dumps, 1 + (ignoring && inTurn ? 1 : requests.filtered));
            else assert.fail(`${requests.dumps} dumps`);
            if (!ignoring) assert.equal(requests.filtered, most);
          }
        });
});

test('a filter that wants nothing asks for nothing', async () => {
  const memory = new MemoryTable({ flows: flows() });
  const requests = new Requests(memory.open);
  const table = ConntrackTable.open({ transport: requests.open });
  const none = () => assert.fail('an entry comes');
  for (const options of [{}, { list: 'dying' }, { list: 'unconfirmed' }, { severalDumpsFrom: 0, background: true }] as const)
    await table.scan(MATCH_NONE, { entry: none }, options);
  assert.equal((await table.delete(MATCH_NONE, none)).matched, 0);
  assert.equal((await table.update(MATCH_NONE, { mark: { value: 1, mask: 0xffffffff } }, none)).matched, 0);
  table.close();

  await using conntrack = await Conntrack.open({ transport: requests.open });
  const filters: readonly Filter[] = [{ any: [] }, { protocol: 'udp', all: [{ protocol: 'tcp' }] }, { not: {} }];
  for (const filter of filters) {
    assert.deepEqual(await conntrack.list(filter).toArray(), []);
    assert.equal((await conntrack.count(filter)).entries, 0);
    assert.equal((await conntrack.update(filter, { mark: 1 })).matched, 0);
    assert.equal((await conntrack.delete(filter)).matched, 0);
  }
  assert.equal(requests.count, 0);
  assert.equal(memory.flows.length, 60);
  await conntrack.list({ any: [] }, { zero: true }).toArray();
  assert.equal(requests.dumps, 1, 'counters are reset of entries that are not wanted, too');
});
