// What the dumps of a list ask the kernel for. A dump knows no "or", but several dumps do: if the entries that a filter wants have one
// of a few addresses, a dump for each address makes the kernel send those entries alone. Each dump is for more than is wanted, never
// for less.

import { AF_INET, AF_INET6, AF_UNSPEC } from '../uapi/in.js';
import { mayHold, withoutNames } from './address-ranges.js';
import { compileFilter, type FlowPredicate } from './compile.js';
import {
  addressIs,
  type FlowCondition,
  type FlowFilter,
  numberIs,
  type Side,
  type TupleEnd,
  translatedEnd,
} from './condition.js';
import {
  type Atoms,
  asksAddress,
  atomsOf,
  bothOf,
  requiredFamily,
  requiredLeaves,
  sameAddress,
  type TupleFilter,
} from './kernel-plan.js';
import { leafFilter } from './normal.js';
import { type AddressSet, EMPTY_ADDRESSES, singleAddresses } from './sets.js';

/** What the dumps of a list can ask for. */
export interface KernelRequests {
  /** What all wanted entries have: for one dump, or one of each family. */
  readonly common: Atoms;
  /**
   * For several dumps: what each asks for. Every wanted entry is in one of these dumps at least; `isOf` tells which. One alternative is
   * `common` itself.
   */
  readonly alternatives: readonly Atoms[];
}

/** More dumps than this take longer than one, whatever they find: a walk costs a quarter of what it costs to send all entries. */
const MOST_ALTERNATIVES = 4;

const SIDES = ['original', 'reply'] as const satisfies readonly Side[];
const ENDS = ['src', 'dst'] as const;

/** Asks for nothing. */
const ANYTHING: Atoms = {
  family: AF_UNSPEC,
  protonum: undefined,
  original: {},
  reply: {},
  mark: { value: 0, mask: 0 },
  set: 0,
  clear: 0,
  zone: 0,
};

/**
 * What a list has to ask the kernel for; `undefined`: nothing, since the filter wants nothing.
 * @param several whether the kernel knows CTA_FILTER, so that several dumps can be better than one (Linux 5.8)
 */
export function kernelRequests(filter: FlowFilter, trusted: TupleFilter, several: boolean): KernelRequests | undefined {
  const required = atomsOf(filter);
  if (!required) return undefined;
  const found = alternativesOf(filter, true, trusted);
  if (found.length === 0) return undefined;
  const common = bothOf(required, sharedBy(found));
  if (!common) return undefined;
  if (found.length > 1 && several) {
    // Without an address, a dump of the whole family: it has the entries of all other alternatives of that family, too.
    const owners = withoutCovered(found.map((own) => (hasAddress(own) ? own : { ...ANYTHING, family: own.family })));
    const alternatives = owners.map((own) => bothOf(common, own)).filter((atoms) => atoms !== undefined);
    if (alternatives.length <= 1) return alternatives[0] && { common: alternatives[0], alternatives };
    if (owners.some(hasAddress) && owners.every(({ family }) => family !== AF_UNSPEC)) return { common, alternatives };
  }
  return { common, alternatives: [common] };
}

/** What all alternatives have. */
function sharedBy(alternatives: readonly Atoms[]): Atoms {
  const [first] = alternatives;
  if (alternatives.length === 1) return first!;
  const { family, protonum } = first!;
  return {
    ...ANYTHING,
    family: alternatives.every((other) => other.family === family) ? family : AF_UNSPEC,
    protonum: alternatives.every((other) => other.protonum === protonum) ? protonum : undefined,
  };
}

/** As `kernelRequests`, of a list that resets counters: the kernel is told the family alone, and all of that family comes. */
export function familyRequests(filter: FlowFilter): KernelRequests {
  const common = { ...ANYTHING, family: requiredFamily(filter) };
  return { common, alternatives: [common] };
}

/**
 * Tells whether an entry belongs to the dump of an alternative: compares what stays the same as long as the entry lives and what the
 * kernel has been asked for, which are family, protocol and addresses.
 */
export function isOf(alternative: Atoms, trusted: TupleFilter): FlowPredicate {
  const { family, protonum, original, reply } = constantPart(alternative, trusted);
  const of: FlowFilter[] = [{ kind: 'family', family }];
  if (protonum !== undefined) of.push(numberIs('protocol', protonum));
  for (const [side, tuple] of [['original', original] as const, ['reply', reply] as const])
    for (const end of ENDS) if (tuple[end]) of.push(addressIs(side, end, tuple[end]));
  return compileFilter({ kind: 'all', of })!;
}

/** Family, protocol, and the addresses that the kernel is asked for. */
function constantPart(atoms: Atoms, trusted: TupleFilter): Atoms {
  const addresses = (side: Side) =>
    Object.fromEntries(
      ENDS.flatMap((end) => {
        const address = atoms[side][end];
        return address && asksAddress(address, trusted) ? [[end, address]] : [];
      }),
    );
  const { family, protonum } = atoms;
  return { ...ANYTHING, family, protonum, original: addresses('original'), reply: addresses('reply') };
}

function hasAddress({ original, reply }: Atoms): boolean {
  return [original, reply].some(({ src, dst }) => src || dst);
}

/** Whether entries that have all of `b` have all of `a`, of constant parts. */
function covers(a: Atoms, b: Atoms): boolean {
  if (a.family !== AF_UNSPEC && a.family !== b.family) return false;
  if (a.protonum !== undefined && a.protonum !== b.protonum) return false;
  return SIDES.every((side) =>
    ENDS.every((end) => {
      const [mine, other] = [a[side][end], b[side][end]];
      return !mine || (other !== undefined && sameAddress(mine, other));
    }),
  );
}

/** Leaves out alternatives all of whose entries belong to another one. */
function withoutCovered(alternatives: readonly Atoms[]): readonly Atoms[] {
  const kept: Atoms[] = [];
  for (const next of alternatives) {
    if (kept.some((other) => covers(other, next))) continue;
    for (let i = kept.length - 1; i >= 0; i--) if (covers(next, kept[i]!)) kept.splice(i, 1);
    kept.push(next);
  }
  return kept;
}

/** Constant parts one of which every wanted entry has. None: nothing is wanted. */
function alternativesOf(filter: FlowFilter, wanted: boolean, trusted: TupleFilter): readonly Atoms[] {
  switch (filter.kind) {
    case 'not':
      return alternativesOf(filter.of, !wanted, trusted);
    case 'all':
    case 'any': {
      const parts = filter.of.map((part) => alternativesOf(part, wanted, trusted));
      if ((filter.kind === 'all') === wanted) return alternativesOfAll(filter, wanted, parts, trusted);
      const alternatives = withoutCovered(parts.flat());
      return few(alternatives) ?? [sharedBy(alternatives)];
    }
    default:
      return wanted
        ? (alternativesOfLeaf(filter, trusted) ?? required(filter, wanted, trusted))
        : required(filter, wanted, trusted);
  }
}

/** One of the parts may have alternatives: those are chosen that are fewest. */
function alternativesOfAll(
  filter: FlowFilter,
  wanted: boolean,
  parts: readonly (readonly Atoms[])[],
  trusted: TupleFilter,
): readonly Atoms[] {
  if (parts.some((part) => part.length === 0)) return [];
  let base: Atoms | undefined = required(filter, wanted, trusted)[0];
  for (const part of parts) if (base && part.length === 1) base = bothOf(base, part[0]!);
  if (!base) return [];
  if (hasAddress(base)) return [base]; // one dump is as good
  const candidates = parts.filter((part) => part.length > 1 && part.every((own) => own.family !== AF_UNSPEC));
  const [fewest] = candidates.sort((a, b) => a.length - b.length);
  if (!fewest) return [base];
  return fewest.map((own) => bothOf(base, own)).filter((own) => own !== undefined);
}

/** What every wanted entry has, as the only alternative. */
function required(filter: FlowFilter, wanted: boolean, trusted: TupleFilter): readonly Atoms[] {
  const of = requiredLeaves(filter, wanted).map(leafFilter);
  const atoms = atomsOf({ kind: 'all', of });
  return atoms ? [constantPart(atoms, trusted)] : [];
}

/** An alternative for each end and address of a condition; `undefined` if there are too many, or none. */
function alternativesOfLeaf(c: FlowCondition, trusted: TupleFilter): readonly Atoms[] | undefined {
  switch (c.kind) {
    case 'address':
      return c.ends.some(({ side }) => side === 'master') ? undefined : alternativesOfAddresses(c.ends, c.set, trusted);
    case 'natTo':
      return c.set && alternativesOfAddresses([translatedEnd(c.nat)], c.set, trusted);
    case 'family':
    case 'number':
    case 'port':
    case 'state':
    case 'mark':
    case 'status':
    case 'label':
    case 'nat':
    case 'counter':
    case 'age':
    case 'time':
    case 'text':
    case 'has':
      return undefined;
    default:
      return c satisfies never;
  }
}

function alternativesOfAddresses(
  ends: readonly TupleEnd[],
  named: AddressSet,
  trusted: TupleFilter,
): readonly Atoms[] | undefined {
  const set = withoutNames(named);
  const found = ([4, 16] as const).flatMap((size): readonly Atoms[] => {
    if (!mayHold(set, size)) return [];
    const family = size === 4 ? AF_INET : AF_INET6;
    const addresses = fewAddresses(set, size, trusted);
    if (!addresses) return [{ ...ANYTHING, family }];
    return addresses.flatMap((address) => ends.map(({ side, end }) => ({ ...ANYTHING, family, [side]: { [end]: address } })));
  });
  return few(withoutCovered(found));
}

/** The addresses of one family, with those of sockets; `undefined` if the kernel cannot be asked for each of them. */
function fewAddresses(set: AddressSet, size: 4 | 16, trusted: TupleFilter) {
  const alone = singleAddresses(
    {
      ...EMPTY_ADDRESSES,
      ...(size === 4 ? { v4: set.v4 } : { v6: set.v6 }),
      masked: set.masked.filter(({ address }) => address.length === size),
    },
    MOST_ALTERNATIVES,
  );
  const addresses = alone && [...alone, ...set.sockets.map(({ address }) => address).filter(({ length }) => length === size)];
  return addresses?.every((address) => asksAddress(address, trusted)) ? addresses : undefined;
}

function few(alternatives: readonly Atoms[]): readonly Atoms[] | undefined {
  return alternatives.length > MOST_ALTERNATIVES ? undefined : alternatives;
}
