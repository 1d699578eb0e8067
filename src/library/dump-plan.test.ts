// What is known of a table, and the dumps that are made of it.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../ctnetlink/address.js';
import { putTuple } from '../ctnetlink/encode.js';
import { addressIs, type FlowFilter, MATCH_ALL, markIs, numberIs, portIs } from '../ctnetlink/filter/condition.js';
import { kernelRequests } from '../ctnetlink/filter/kernel-requests.js';
import { addressSet } from '../ctnetlink/filter/sets.js';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../ctnetlink/uapi/in.js';
import { CTA_MARK, CTA_TUPLE_ORIG } from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { createFlowView } from '../ctnetlink/view.js';
import { MessageWriter } from '../wire/message.js';
import { planDumps, Sampler, SEVERAL_DUMPS_FROM, type TableSample } from './dump-plan.js';

const UDP: FlowFilter = numberIs('protocol', 17);
const MARK: FlowFilter = markIs(1, 0xffffffff);
const FROM_IPV4: FlowFilter = addressIs('original', 'src', parseAddress('192.0.2.1')!);
const FROM_IPV6: FlowFilter = addressIs('original', 'src', parseAddress('2001:db8::1')!);
const TO_IPV4: FlowFilter = addressIs('original', 'dst', parseAddress('192.0.2.2')!);
/** Two alternatives, in one family. */
const EITHER: FlowFilter = { kind: 'any', of: [FROM_IPV4, TO_IPV4] };
/** Four alternatives. */
const HOST: FlowFilter = {
  kind: 'address',
  ends: (['original', 'reply'] as const).flatMap((side) => (['src', 'dst'] as const).map((end) => ({ side, end }))),
  set: addressSet(parseAddress('192.0.2.1')!),
};
/** Two alternatives, one of each family. */
const OF_BOTH: FlowFilter = { kind: 'any', of: [FROM_IPV4, FROM_IPV6] };

/**
 * A sample of 120 entries. `both`: how many of IPv4 and of IPv6 come in a dump of both families; `alone`: in one of each;
 * `alternatives`: in the dump of each alternative.
 */
function sampleOf(
  both: readonly [number, number],
  alone = both,
  alternatives: readonly number[] = [both[0] + both[1]],
): TableSample {
  return { entries: 120, ipv4: { both: both[0], alone: alone[0] }, ipv6: { both: both[1], alone: alone[1] }, alternatives };
}

interface Known {
  readonly filter?: FlowFilter;
  readonly zero?: boolean;
  readonly background?: boolean;
  readonly entries?: number;
  readonly processors?: number;
  readonly sample?: TableSample;
}

/** @returns the plan in words, and what was asked for it; what is not given must not be asked for */
async function planOf({ filter = MATCH_ALL, zero = false, background = false, entries, processors, sample }: Known) {
  const facts: string[] = [];
  const known = <T>(what: string, value: T | undefined): T => {
    facts.push(what);
    assert.notEqual(value, undefined, `${what} is asked for`);
    return value!;
  };
  const plan = await planDumps(
    { ...asked(filter), zero, background },
    {
      entries: () => known('entries', entries),
      processors: async () => known('processors', processors),
      sample: async () => known('sample', sample),
    },
  );
  const families = plan.dumps.map(({ family }) => ({ [AF_UNSPEC]: 'both', [AF_INET]: 'ipv4', [AF_INET6]: 'ipv6' })[family]);
  assert.equal(plan.of, plan.dumps.length > 1 && plan.dumps[0]!.atoms !== plan.dumps[1]!.atoms ? 'alternatives' : 'families');
  return { families: families.join(' '), order: plan.order, asked: facts.join(' ') };
}

/** What a list with this filter can ask the kernel for. */
function asked(filter: FlowFilter) {
  return { requests: kernelRequests(filter, 'noIpv6Address', true)!, trusted: 'noIpv6Address' } as const;
}

const large = 200_000;

suite('one dump', () => {
  test('of the family that the filter requires; nothing is asked', async () => {
    const plan = (filter: FlowFilter) => planOf({ filter });
    assert.deepEqual(await plan({ kind: 'family', family: AF_INET }), { families: 'ipv4', order: 'in turn', asked: '' });
    assert.deepEqual((await plan(FROM_IPV4)).families, 'ipv4');
    assert.deepEqual((await plan(FROM_IPV6)).families, 'ipv6');
    assert.deepEqual((await plan({ kind: 'all', of: [UDP, FROM_IPV6] })).families, 'ipv6');
  });

  test('of a small table, however large those of other namespaces are', async () => {
    for (const filter of [MATCH_ALL, UDP, MARK])
      assert.deepEqual(await planOf({ filter, entries: 30 }), { families: 'both', order: 'in turn', asked: 'entries' });
    assert.equal((await planOf({ entries: SEVERAL_DUMPS_FROM - 1 })).families, 'both');
  });

  test('where there is no second processor, and the kernel needs no family to filter: no sample, and no thread', async () => {
    const expected = { families: 'both', order: 'on the caller', asked: 'entries processors' };
    assert.deepEqual(await planOf({ entries: large, processors: 1 }), expected);
    assert.deepEqual(await planOf({ entries: large, processors: 1, filter: MARK }), expected);
    assert.deepEqual(await planOf({ entries: large, processors: 1, filter: UDP, zero: true }), expected);
  });

  test('where the caller has no time for a second', async () => {
    const expected = { families: 'both', order: 'in turn', asked: 'entries processors' };
    for (const processors of [1, 2]) assert.deepEqual(await planOf({ entries: large, processors, background: true }), expected);
  });

  test('of a table that is of one family, or nearly', async () => {
    for (const both of [
      [120, 0],
      [0, 120],
      [115, 5],
      [15, 105],
    ] as const) {
      const { families, order } = await planOf({ entries: large, processors: 2, sample: sampleOf(both) });
      assert.deepEqual([families, order], ['both', 'in turn'], `${both}`);
    }
  });

  test('where the kernel lets little through by mark, status or zone', async () => {
    for (const both of [
      [0, 0],
      [1, 1],
      [8, 8],
    ] as const) {
      const { families } = await planOf({ filter: MARK, entries: large, processors: 8, sample: sampleOf(both) });
      assert.equal(families, 'both', `${both}`);
    }
  });

  test('without a thread where little is to come, unless the caller has other work', async () => {
    const plan = (entries: number, mark: number, background = false) =>
      planOf({ filter: MARK, entries, processors: 8, background, sample: sampleOf([mark, 0]) });
    assert.equal((await plan(large, 0)).order, 'on the caller');
    assert.equal((await plan(large, 2)).order, 'on the caller');
    assert.equal((await plan(large, 3)).order, 'in turn');
    assert.equal((await plan(40_000, 11)).order, 'on the caller');
    assert.equal((await plan(large, 0, true)).order, 'in turn');
  });

  test('where nearly all of one family is of the protocol that is wanted', async () => {
    const sample = sampleOf([120, 0], [110, 0]);
    assert.equal((await planOf({ filter: UDP, entries: large, processors: 2, sample })).families, 'both');
    assert.equal((await planOf({ filter: UDP, entries: large, processors: 1, sample })).families, 'both');
  });

  test('where the table has been emptied meanwhile', async () => {
    const sample = { ...sampleOf([0, 0]), entries: 0 };
    assert.equal((await planOf({ entries: large, processors: 2, sample })).families, 'both');
  });
});

suite('two dumps', () => {
  test('at the same time, of a table of both families', async () => {
    const plan = (processors: number, background = false) =>
      planOf({ entries: large, processors, background, sample: sampleOf([80, 40]) });
    const asked = 'entries processors sample';
    assert.deepEqual(await plan(2), { families: 'ipv4 ipv6', order: 'shared thread', asked });
    assert.deepEqual(await plan(3), { families: 'ipv4 ipv6', order: 'threads', asked });
    assert.deepEqual(await plan(3, true), { families: 'ipv4 ipv6', order: 'threads', asked });
  });

  test('the larger first', async () => {
    assert.equal((await planOf({ entries: large, processors: 2, sample: sampleOf([40, 80]) })).families, 'ipv6 ipv4');
    assert.equal(
      (await planOf({ filter: UDP, entries: large, processors: 2, sample: sampleOf([80, 40], [5, 30]) })).families,
      'ipv6 ipv4',
    );
  });

  test('where the kernel lets much through by mark, status or zone', async () => {
    const sample = sampleOf([70, 40]);
    assert.equal((await planOf({ filter: MARK, entries: large, processors: 2, sample })).families, 'ipv4 ipv6');
  });

  test('where the kernel can filter by tuple, which needs a family', async () => {
    const sample = sampleOf([120, 0], [24, 0]);
    const plan = (processors: number, background = false) =>
      planOf({ filter: UDP, entries: large, processors, background, sample });
    const asked = 'entries processors sample';
    assert.deepEqual(await plan(1), { families: 'ipv4 ipv6', order: 'on the caller', asked });
    assert.deepEqual(await plan(2, true), { families: 'ipv4 ipv6', order: 'in turn', asked });
    assert.deepEqual(await plan(2), { families: 'ipv4 ipv6', order: 'shared thread', asked });
    assert.deepEqual(await plan(8, true), { families: 'ipv4 ipv6', order: 'threads', asked });
  });
});

suite('a dump for each alternative', () => {
  const facts = 'entries processors sample';
  const plan = (filter: FlowFilter, alternatives: readonly number[], known: Known = {}) =>
    planOf({
      filter,
      entries: large,
      processors: 2,
      sample: sampleOf([80, filter === EITHER ? 0 : 40], undefined, alternatives),
      ...known,
    });

  test('where few entries are of them: on a thread each, if there is another processor', async () => {
    const threads = { families: 'ipv4 ipv4', order: 'threads', asked: facts };
    assert.deepEqual(await plan(EITHER, [0, 0]), threads);
    assert.deepEqual(await plan(EITHER, [1, 1], { background: true }), threads);
    assert.deepEqual(await plan(EITHER, [1, 1], { processors: 8 }), threads);
    assert.deepEqual(await plan(EITHER, [1, 1], { processors: 1 }), { ...threads, order: 'on the caller' });
    assert.deepEqual(await plan(EITHER, [1, 1], { processors: 1, background: true }), { ...threads, order: 'in turn' });
  });

  test('where some are, as those of families', async () => {
    assert.equal((await plan(EITHER, [9, 5])).order, 'shared thread');
    assert.equal((await plan(EITHER, [9, 5], { processors: 8 })).order, 'threads');
    assert.deepEqual(await plan(EITHER, [9, 5], { background: true }), { families: 'ipv4 ipv4', order: 'in turn', asked: facts });
    assert.deepEqual(await plan(OF_BOTH, [0, 40]), { families: 'ipv4 ipv6', order: 'shared thread', asked: facts });
  });

  test('leaves threads to the program in the background', async () => {
    const lanes = async (background: boolean, processors: number) => {
      const four = asked(HOST);
      const sample = sampleOf([120, 0], undefined, [1, 0, 0, 1]);
      const found = await planDumps(
        { ...four, zero: false, background },
        { entries: () => large, processors: async () => processors, sample: async () => sample },
      );
      assert.equal(found.dumps.length, 4);
      return found.lanes;
    };
    assert.deepEqual([await lanes(false, 1), await lanes(false, 2), await lanes(false, 8)], [1, 2, 4]);
    assert.deepEqual([await lanes(true, 1), await lanes(true, 2), await lanes(true, 8)], [1, 2, 2]);
  });

  test('not where most are, nor in a small table', async () => {
    assert.deepEqual(await plan(EITHER, [80, 80]), { families: 'ipv4', order: 'in turn', asked: facts });
    assert.deepEqual(await planOf({ filter: EITHER, entries: 1000 }), { families: 'ipv4', order: 'in turn', asked: 'entries' });
  });

  test('not while counters are reset: all entries of the family come', async () => {
    assert.deepEqual(await planOf({ filter: FROM_IPV4, zero: true }), { families: 'ipv4', order: 'in turn', asked: '' });
  });
});

test('every family is dumped once, whatever is known', async () => {
  const counts = fc.tuple(fc.nat(120), fc.nat(120), fc.nat(120), fc.nat(120));
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        filter: fc.constantFrom(MATCH_ALL, UDP, MARK, FROM_IPV4, FROM_IPV6),
        zero: fc.boolean(),
        background: fc.boolean(),
        entries: fc.constantFrom(0, SEVERAL_DUMPS_FROM - 1, SEVERAL_DUMPS_FROM, 10_000_000),
        processors: fc.integer({ min: 1, max: 9 }),
      }),
      counts,
      async (known, [a, b, c, d]) => {
        const { families, order } = await planOf({ ...known, sample: sampleOf([a, b], [c, d]) });
        if (known.filter === FROM_IPV4 || known.filter === FROM_IPV6) assert.match(families, /^ipv[46]$/);
        else assert.ok(['both', 'ipv4 ipv6', 'ipv6 ipv4'].includes(families), families);
        if (known.processors === 1 || !families.includes(' ')) assert.match(order, /^(in turn|on the caller)$/);
        if (known.background) assert.doesNotMatch(order, /caller|shared/);
      },
    ),
  );
});

suite('a sample', () => {
  /** An entry with an original tuple and a mark. */
  const entry = (version: 4 | 6, protonum: number, mark: number) => {
    const message = new MessageWriter();
    message.begin(0x100, 2, 1, version === 4 ? AF_INET : AF_INET6);
    const [src, dst] = (version === 4 ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2']).map(
      (text) => parseAddress(text)!,
    );
    putTuple(message, CTA_TUPLE_ORIG, { src: src!, dst: dst!, protonum, sport: 1000, dport: 53 });
    message.be32(CTA_MARK, mark);
    message.end();
    const view = createFlowView();
    view.decode(message.bytes, 0, message.length);
    return view;
  };
  const TABLE = [entry(4, 6, 0), entry(4, 6, 1), entry(4, 17, 1), entry(6, 17, 0), entry(6, 17, 1), entry(6, 6, 0)];
  const sampled = (filter: FlowFilter, zero = false) => {
    const { entries, ipv4, ipv6 } = TABLE.reduce(
      (sampler, view) => sampler.add(view),
      new Sampler({ ...asked(filter), zero, background: false }),
    );
    return { entries, ipv4, ipv6 };
  };

  test('counts families', () => {
    assert.deepEqual(sampled(MATCH_ALL), { entries: 6, ipv4: { both: 3, alone: 3 }, ipv6: { both: 3, alone: 3 } });
  });

  test('counts what the kernel lets through: by mark in any dump, by protocol and port in one of a family', () => {
    assert.deepEqual(sampled(MARK), { entries: 6, ipv4: { both: 2, alone: 2 }, ipv6: { both: 1, alone: 1 } });
    assert.deepEqual(sampled(UDP), { entries: 6, ipv4: { both: 3, alone: 1 }, ipv6: { both: 3, alone: 2 } });
    const all: FlowFilter = { kind: 'all', of: [UDP, MARK, portIs('original', 'dst', 53)] };
    assert.deepEqual(sampled(all), { entries: 6, ipv4: { both: 2, alone: 1 }, ipv6: { both: 1, alone: 1 } });
  });

  test('what the kernel cannot filter comes, and so does everything whose counters are reset', () => {
    const all = { entries: 6, ipv4: { both: 3, alone: 3 }, ipv6: { both: 3, alone: 3 } };
    assert.deepEqual(sampled({ kind: 'state', names: ['ESTABLISHED'] }), all);
    assert.deepEqual(sampled({ kind: 'not', of: MARK }), all);
    assert.deepEqual(sampled(portIs('original', 'dst', 80)), all);
    assert.deepEqual(sampled({ kind: 'all', of: [UDP, MARK] }, true), all);
  });

  test('is full at a bound', () => {
    const sampler = new Sampler({ ...asked(MATCH_ALL), zero: false, background: false });
    while (!sampler.full) sampler.add(TABLE[0]!);
    assert.equal(sampler.entries, 128);
  });
});
