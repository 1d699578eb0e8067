// What the dumps of a list ask the kernel for: which dumps, and that no wanted entry is missing from all of them or shown by two.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { parseAddress } from '../../src/ctnetlink/address.js';
import { MASTER, S, T } from '../../src/ctnetlink/fields.js';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import {
  type End,
  type FlowFilter,
  MATCH_ALL,
  MATCH_NONE,
  markIs,
  natIs,
  numberIs,
  portIs,
  type Side,
} from '../../src/ctnetlink/filter/condition.js';
import { type Atoms, putAtoms, type TupleFilter } from '../../src/ctnetlink/filter/kernel-plan.js';
import { isOf, kernelRequests } from '../../src/ctnetlink/filter/kernel-requests.js';
import { addressSet, socketSet, unionOfAddresses } from '../../src/ctnetlink/filter/sets.js';
import { createFlowView, type View } from '../../src/ctnetlink/view.js';
import { MessageWriter } from '../../src/wire/message.js';
import { KERNELS, kernelSends } from '../support/kernel-filter.js';
import { Random } from '../support/random.js';
import { randomEvent } from '../support/random-event.js';
import { randomAlternatives, randomFilter } from '../support/random-filter.js';

const A = '192.0.2.1';
const B = '192.0.2.2';
const A6 = '2001:db8::1';
const B6 = '2001:db8::2';

const all = (...of: FlowFilter[]): FlowFilter => ({ kind: 'all', of });
const any = (...of: FlowFilter[]): FlowFilter => ({ kind: 'any', of });
const not = (of: FlowFilter): FlowFilter => ({ kind: 'not', of });
const set = (...addresses: string[]) => unionOfAddresses(addresses.map((text) => addressSet(parseAddress(text)!)));
const ends = (side: Side, end: End, ...addresses: string[]): FlowFilter => ({
  kind: 'address',
  ends: [{ side, end }],
  set: set(...addresses),
});
const src = (...addresses: string[]) => ends('original', 'src', ...addresses);
const dst = (...addresses: string[]) => ends('original', 'dst', ...addresses);
const FOUR_ENDS = (['original', 'reply'] as const).flatMap((side) => (['src', 'dst'] as const).map((end) => ({ side, end })));
const host = (...addresses: string[]): FlowFilter => ({
  kind: 'address',
  ends: FOUR_ENDS,
  set: set(...addresses),
});
const TCP = numberIs('protocol', 6);
const UDP = numberIs('protocol', 17);
const ASSURED: FlowFilter = { kind: 'status', bit: 2 };

/** What each dump asks for, in words: family, protocol, addresses, and what else there is. */
function words(filter: FlowFilter, trusted: TupleFilter = 'noIpv6Address', several = true): string[] | undefined {
  return kernelRequests(filter, trusted, several)?.alternatives.map(inWords);
}

function inWords({ family, protonum, original, reply, mark, set, clear }: Atoms): string {
  const address = (bytes: Uint8Array) =>
    [A, B, A6, B6].find((text) => Buffer.compare(parseAddress(text)!, bytes) === 0) ?? Buffer.from(bytes).toString('hex');
  const parts = [{ 0: 'all', 2: 'ip', 10: 'ip6' }[family] ?? `family ${family}`];
  if (protonum !== undefined) parts.push(`proto ${protonum}`);
  for (const [side, tuple] of [['', original] as const, ['reply ', reply] as const]) {
    if (tuple.src) parts.push(`${side}src ${address(tuple.src)}`);
    if (tuple.dst) parts.push(`${side}dst ${address(tuple.dst)}`);
    if (tuple.dport !== undefined) parts.push(`${side}dport ${tuple.dport}`);
  }
  if (mark.mask !== 0) parts.push(`mark ${mark.value}`);
  if ((set | clear) !== 0) parts.push(`status ${set}/${(set | clear) >>> 0}`);
  return parts.join(' ');
}

suite('alternatives', () => {
  test('ends and addresses of one condition', () => {
    assert.deepEqual(words(host(A)), [`ip src ${A}`, `ip dst ${A}`, `ip reply src ${A}`, `ip reply dst ${A}`]);
    assert.deepEqual(words(dst(A, B)), [`ip dst ${A}`, `ip dst ${B}`]);
    assert.deepEqual(words({ kind: 'natTo', nat: 'src', set: set(A, B) }), [
      `ip reply dst ${A} status 128/128`,
      `ip reply dst ${B} status 128/128`,
    ]);
    assert.deepEqual(words(all(TCP, markIs(5), dst(A, B))), [`ip proto 6 dst ${A} mark 5`, `ip proto 6 dst ${B} mark 5`]);
  });

  test('a disjunction at the top, below the top conjunction, or in one of its alternatives', () => {
    assert.deepEqual(words(any(src(A), dst(B))), [`ip src ${A}`, `ip dst ${B}`]);
    assert.deepEqual(words(all(TCP, any(src(A), dst(B)))), [`ip proto 6 src ${A}`, `ip proto 6 dst ${B}`]);
    assert.deepEqual(words(not(all(not(src(A)), not(dst(B))))), [`ip src ${A}`, `ip dst ${B}`]);
    assert.deepEqual(words(any(all(TCP, dst(A, B)), src(B))), [`ip proto 6 dst ${A}`, `ip proto 6 dst ${B}`, `ip src ${B}`]);
    assert.deepEqual(words(natIs('any', parseAddress(A)!)), [`ip reply dst ${A}`, `ip reply src ${A}`]);
  });

  test('of what may change, and of ports, nothing is asked', () => {
    assert.deepEqual(words(any(all(src(A), ASSURED, markIs(1)), all(dst(B), portIs('original', 'dst', 53), UDP))), [
      `ip src ${A}`,
      `ip proto 17 dst ${B}`,
    ]);
  });

  test('an IPv6 address where the kernel gets it right, else the family', () => {
    assert.deepEqual(words(dst(A, A6)), [`ip dst ${A}`, 'ip6']);
    assert.deepEqual(words(dst(A, A6, B6)), [`ip dst ${A}`, 'ip6']);
    assert.deepEqual(words(dst(A, A6), 'everything'), [`ip dst ${A}`, `ip6 dst ${A6}`]);
    assert.deepEqual(words(host(A6), 'everything')!.length, 4);
    assert.deepEqual(words(host(A6)), ['ip6']);
    assert.deepEqual(words(any(dst(A), all(TCP, src(A6)), all(UDP, src(B6)))), [`ip dst ${A}`, 'ip6']);
  });

  test('an alternative that another one covers is none', () => {
    assert.deepEqual(words(any(src(A), all(src(A), TCP))), [`ip src ${A}`]);
    assert.deepEqual(words(any(all(src(A), TCP), src(A), dst(B))), [`ip src ${A}`, `ip dst ${B}`]);
    const sockets = unionOfAddresses([1, 2, 3, 4, 5, 6].map((port) => socketSet(parseAddress(A)!, port)));
    assert.deepEqual(words({ kind: 'address', ends: [{ side: 'reply', end: 'dst' }], set: sockets }), [`ip reply dst ${A}`]);
    assert.deepEqual(words(any(dst(A), { kind: 'family', family: 2 }, dst(A6))), ['all']);
  });

  test('the fewest of several disjunctions', () => {
    assert.deepEqual(words(all(host(A), dst(A, B))), [`ip dst ${A}`, `ip dst ${B}`]);
    assert.deepEqual(words(all(src(A), host(B))), [`ip src ${A}`], 'one address is enough');
  });

  test('one dump', () => {
    assert.deepEqual(words(MATCH_ALL), ['all']);
    assert.deepEqual(words(host(A, B)), ['ip'], 'eight alternatives are too many');
    assert.deepEqual(words(any(all(src(A), ASSURED), portIs('original', 'dst', 53))), ['all'], 'a port may be that of most');
    assert.deepEqual(words(dst(A, B), 'noIpv6Address', false), ['ip'], 'before Linux 5.8');
    assert.deepEqual(words(any(src(A6), dst(B6))), ['ip6']);
    assert.deepEqual(words(not(dst(A, B))), ['all']);
    assert.deepEqual(
      words(any(all(TCP, dst(A, B)), all(TCP, host(A)))),
      ['ip proto 6'],
      'of the family and the protocol that all have',
    );
  });

  test('nothing is asked where nothing is wanted', () => {
    for (const filter of [
      MATCH_NONE,
      all(TCP, UDP),
      all(TCP, MATCH_NONE),
      not(MATCH_ALL),
      any(all(TCP, UDP), all(src(A), dst(A6))),
      all({ kind: 'family', family: 10 }, dst(A, B)),
      all(markIs(1), markIs(2)),
    ])
      assert.equal(words(filter), undefined, inspect(filter, { depth: 9 }));
    assert.deepEqual(words(all({ kind: 'family', family: 2 }, dst(A, A6))), [`ip dst ${A}`], 'an impossible alternative is none');
  });
});

/** A listed entry, and what the kernel would not send made whole: who has a master is expected. */
function randomEntry(random: Random, view: View): Uint8Array {
  const bytes = randomEvent(random);
  const [type, flags] = [0x100, 2];
  new DataView(bytes.buffer).setUint16(4, type, true);
  new DataView(bytes.buffer).setUint16(6, flags, true);
  view.decode(bytes, 0, bytes.length);
  if (view.has(MASTER + T.protonum)) {
    bytes[view.offset(S.status) + 3]! |= 1;
    view.decode(bytes, 0, bytes.length);
  }
  return bytes;
}

function requestOf(atoms: Atoms, family: number, trusted: TupleFilter): Uint8Array {
  const message = new MessageWriter();
  message.begin(0x101, 0x305, 1, family);
  putAtoms(message, atoms, family, trusted);
  message.end();
  return message.bytes.slice(0, message.length);
}

test('every wanted entry is sent, and shown by one dump, on every kernel', () => {
  const view = createFlowView();
  let wantedEntries = 0;
  let several = 0;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const random = new Random(seed);
      const filter = random.chance(0.5) ? randomFilter(random) : randomAlternatives(random);
      const wanted = compileFilter(filter, Date.now) ?? (() => true);
      const plans = KERNELS.map((kernel) => {
        const trusted: TupleFilter = kernel.ipv6 === 'equal' ? 'everything' : 'noIpv6Address';
        const requests = kernelRequests(filter, trusted, kernel.tuples);
        if (!requests) return { kernel, dumps: [], common: [] };
        const { common, alternatives } = requests;
        assert.ok(alternatives.length <= 4 && alternatives.length > 0);
        if (alternatives.length > 1) several++;
        return {
          kernel,
          common: (common.family === 0 ? [0, 2, 10] : [common.family]).map((family) => requestOf(common, family, trusted)),
          dumps: alternatives.map((atoms) => ({
            request: requestOf(atoms, atoms.family, trusted),
            isOwn: alternatives.length === 1 ? () => true : isOf(atoms, trusted),
          })),
        };
      });
      for (let n = 0; n < 20; n++) {
        const bytes = randomEntry(random, view);
        if (!wanted(view)) continue;
        wantedEntries++;
        for (const { kernel, common, dumps } of plans) {
          const owners = dumps.filter(({ isOwn }) => isOwn(view));
          // One of both families, and those of one.
          const [one, ...byFamily] = common;
          if (
            owners.length === 0 ||
            !owners.every(({ request }) => kernelSends(kernel, request, bytes)) ||
            !kernelSends(kernel, one!, bytes) ||
            (byFamily.length > 0 && !byFamily.some((request) => kernelSends(kernel, request, bytes)))
          )
            assert.fail(`${kernel.name}: an entry is missing, ${inspect(filter, { depth: 20 })}`);
        }
      }
    }),
    { numRuns: 1500 },
  );
  assert.ok(wantedEntries > 2000 && several > 500, `${wantedEntries} entries, ${several} plans of several dumps`);
});
