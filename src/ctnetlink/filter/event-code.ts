// A filter as instructions: what compile.ts asks a view, asked of the bytes of an event. Each condition is exact, for every message
// that a view can read in which no attribute comes twice (no kernel sends one twice); event-judgement.ts has replaced those that
// cannot be.
//
// Attributes are found by number, one nest after the other, as a view finds them: what stands where differs too much between events
// (docs/kernel.md 3.12), and asking a fixed offset whether it holds what is expected there costs more than a search.

import { be16, networkToHost32, putHost16 } from '../../wire/bytes.js';
import { NLA_HDRLEN } from '../../wire/uapi/netlink.js';
import { NFNL_ATTRS } from '../../wire/uapi/nfnetlink.js';
import { type Direction, flowFields, MASTER, ORIGINAL, REPLY, S, T, TUPLE_SIZE } from '../fields.js';
import { gre } from '../protocols/gre.js';
import { type Field, KIND_SIZE } from '../schema.js';
import { tupleFields } from '../tuple-fields.js';
import { IPS_DST_NAT_DONE, IPS_EXPECTED, IPS_SRC_NAT_DONE } from '../uapi/nf-conntrack-common.js';
import { CTA_STATUS, CTA_TUPLE_MASTER, CTA_TUPLE_ORIG, CTA_TUPLE_REPLY } from '../uapi/nfnetlink-conntrack.js';
import { withoutNames } from './address-ranges.js';
import { type BpfProgram, type Label, MOST_INSTRUCTIONS, type Size } from './bpf.js';
import { inOrderOfCost, TRACKERS } from './compile.js';
import { type FlowCondition, type FlowFilter, MAX_COUNT, type Presence, type TupleEnd, translatedEnd } from './condition.js';
import { ageDifferences } from './event-ages.js';
import { NUMBER_FIELDS } from './number-fields.js';
import {
  type AddressSet,
  addressSet,
  holds,
  type Ranges,
  rangesOf,
  type SocketAddress,
  toBigInt,
  unionOfAddresses,
} from './sets.js';

/** nfgen_family */
const FAMILY = 16;
/** Bytes of attributes with their headers. */
const STATUS_LENGTH = NLA_HDRLEN + 4;
const LABELS_LENGTH = NLA_HDRLEN + 16;

// Cells of a program.
const FIRST = 0;
const HEADER = 1;
const OTHER_HEADER = 2;

/** Sorted, disjoint ranges of numbers of one to four words: from, to, from, to; both ends in. */
type WordRanges = readonly bigint[];

/** Instructions that go on in one of two places. */
type Part = (yes: Label, no: Label) => void;

/** Where a condition goes on. */
interface Exits {
  readonly yes: Label;
  readonly no: Label;
  /** The kernel did not tell. */
  readonly unknown: Label;
}

/** Writes one filter into a program. */
export class EventCode {
  readonly #program: BpfProgram;
  readonly #accept: Label;

  /** @param accept where an event goes that is not as expected */
  constructor(program: BpfProgram, accept: Label) {
    this.#program = program;
    this.#accept = accept;
  }

  /** Judges an event only if its attributes can be found: not so in a datagram that is in pieces. Every event has a status. */
  beginning(): void {
    this.#find([CTA_STATUS], this.#accept);
    this.#program.toX();
    this.#hasLength(STATUS_LENGTH);
  }

  /** Lets an event through if the attribute at X has not this length. */
  #hasLength(length: number): void {
    this.#program.loadBehindX(0, 2);
    this.#program.jumpIfEqual(lengthAsLoaded(length), undefined, this.#accept);
  }

  /** To `yes` when a filter is true, to `no` when it is false or unknown. The filter has `not` before conditions only. */
  filter(filter: FlowFilter, yes: Label, no: Label): void {
    switch (filter.kind) {
      case 'all':
      case 'any': {
        const parts = inOrderOfCost(filter.of);
        const all = filter.kind === 'all';
        if (parts.length === 0) this.#program.goTo(all ? yes : no);
        for (const [i, part] of parts.entries()) {
          if (i === parts.length - 1) {
            this.filter(part, yes, no);
            return;
          }
          const next = this.#program.newLabel();
          this.filter(part, all ? next : yes, all ? no : next);
          this.#program.place(next);
        }
        return;
      }
      case 'not':
        if (filter.of.kind === 'all' || filter.of.kind === 'any' || filter.of.kind === 'not')
          throw new Error('`not` has not been pushed down to the conditions');
        this.condition(filter.of, { yes: no, no: yes, unknown: no });
        return;
      default:
        this.condition(filter, { yes, no, unknown: no });
        return;
    }
  }

  condition(c: FlowCondition, exits: Exits): void {
    const program = this.#program;
    if (program.isFull) return;
    const { yes, no, unknown } = exits;
    switch (c.kind) {
      case 'family':
        program.loadAt(FAMILY, 1);
        program.jumpIfEqual(c.family, yes, no);
        return;
      case 'number':
        this.#number(c, exits);
        return;
      case 'address':
        this.#ends(c.ends, exits, (end, yes, no) => this.#address(end, withoutNames(c.set), yes, no));
        return;
      case 'port':
        this.#ends(c.ends, exits, (end, yes, no) => this.#port(end, c.of, c.ranges, yes, no));
        return;
      case 'state':
        this.#state(c.names, exits);
        return;
      case 'mark': {
        this.#load(S.mark, holds(c.ranges, 0) ? yes : no);
        if (c.mask >>> 0 !== 0xffffffff) program.and(c.mask >>> 0);
        this.#ranges(c.ranges.map(BigInt), 32, yes, no);
        return;
      }
      case 'status':
        this.#load(S.status, no);
        program.jumpIfAnyBit((1 << c.bit) >>> 0, yes, no);
        return;
      case 'label':
        this.#labels(c.bits, { yes, no, unknown });
        return;
      case 'nat':
        this.#nat(c.nat, yes, no);
        return;
      case 'natTo': {
        const end = translatedEnd(c.nat);
        const { set, ports } = c;
        const steps: Part[] = [];
        if (set) steps.push((yes, no) => this.#address(end, withoutNames(set), yes, no));
        if (ports) steps.push((yes, no) => this.#portNumber(end, ports, yes, no));
        steps.push((yes, no) => this.#nat(c.nat, yes, no));
        for (const [i, step] of steps.entries()) {
          const next = i === steps.length - 1 ? yes : program.newLabel();
          step(next, no);
          if (next !== yes) program.place(next);
        }
        return;
      }
      case 'counter': {
        if (c.side === undefined) throw new Error('the sum of two counters cannot be judged');
        const slot = SLOTS_OF_COUNTERS[c.of][c.side];
        this.#loadHeader(slot, unknown);
        // What is greater than a literal can say counts as the greatest.
        this.#ranges(
          c.ranges.map((bound, i) => (i % 2 === 1 && bound === MAX_COUNT ? LAST_64 : BigInt(bound))),
          64,
          yes,
          no,
        );
        return;
      }
      case 'age':
        this.#age(c.ranges, exits);
        return;
      case 'time': {
        const slot = c.of === 'start' ? S.timestampStart : S.timestampStop;
        const [from, to] = [c.from ?? 0n, c.before === undefined ? LAST_64 : c.before - 1n];
        this.#loadHeader(slot, unknown);
        this.#ranges(from > to ? [] : [from, to], 64, yes, no);
        return;
      }
      case 'text':
        throw new Error('texts cannot be judged');
      case 'has':
        this.#has(c.what, yes, no);
        return;
      default:
        c satisfies never;
    }
  }

  /** Tries one after the other. */
  #any(parts: readonly Part[], yes: Label, no: Label): void {
    const program = this.#program;
    if (parts.length === 0) program.goTo(no);
    for (const [i, part] of parts.entries()) {
      if (program.isFull) return;
      if (i === parts.length - 1) {
        part(yes, no);
        return;
      }
      const next = program.newLabel();
      part(yes, next);
      program.place(next);
    }
  }

  /** Whether one of the ends is as wanted. What is not known of an expected flow is what the kernel did not tell of its master. */
  #ends(ends: readonly TupleEnd[], { yes, no, unknown }: Exits, of: (end: TupleEnd, ...exits: Parameters<Part>) => void): void {
    const program = this.#program;
    const parts = ends.map(
      (end): Part =>
        (yes, no) =>
          of(end, yes, no),
    );
    if (no === unknown || !ends.some(({ side }) => side === 'master')) {
      this.#any(parts, yes, no);
      return;
    }
    const [none, absent] = [program.newLabel(), program.newLabel()];
    this.#any(parts, yes, none);
    program.place(none);
    this.#find(pathOf(MASTER + T.protonum), absent);
    program.goTo(no);
    program.place(absent);
    this.#load(S.status, no);
    program.jumpIfAnyBit(IPS_EXPECTED, unknown, no);
  }

  #number(c: Extract<FlowCondition, { kind: 'number' }>, { yes, no, unknown }: Exits): void {
    const program = this.#program;
    const { slot, size, absent, protonum } = NUMBER_FIELDS[c.field];
    const bits = 8 * size;
    const ranges = c.ranges.map(BigInt);
    if (absent !== 'unknown' || protonum === undefined || no === unknown) {
      const where = absent === 'zero' ? (holds(c.ranges, 0) ? yes : no) : absent === 'impossible' ? no : unknown;
      this.#load(slot, where);
      this.#ranges(ranges, bits, yes, no);
      return;
    }
    const untold = program.newLabel();
    this.#load(slot, untold);
    this.#ranges(ranges, bits, yes, no);
    program.place(untold);
    this.#load(PROTONUM, no);
    program.jumpIfEqual(protonum, unknown, no);
  }

  #address(end: TupleEnd, set: AddressSet, yes: Label, no: Label): void {
    const { v4, v6, masked, sockets } = set;
    const steps: Part[] = [];
    const [v4Slot, v6Slot] = addressSlots(end);
    if (v4.length > 0)
      steps.push((yes, no) => {
        this.#load(v4Slot, no);
        this.#ranges(v4.map(BigInt), 32, yes, no);
      });
    if (v6.length > 0)
      steps.push((yes, no) => {
        this.#loadHeader(v6Slot, no);
        this.#ranges(v6, 128, yes, no);
      });
    for (const { address, mask } of masked)
      steps.push((yes, no) => {
        this.#loadHeader(address.length === 4 ? v4Slot : v6Slot, no);
        for (let i = 0; i < address.length; i += 4) {
          const [value, bits] = [Number(toBigInt(address.subarray(i, i + 4))), Number(toBigInt(mask.subarray(i, i + 4)))];
          if (bits === 0 && value === 0 && i < address.length - 4) continue;
          this.#program.loadBehindX(NLA_HDRLEN + i, 4);
          this.#program.and(bits);
          this.#program.jumpIfEqual(value, i === address.length - 4 ? yes : undefined, no);
        }
      });
    for (const { ports, addresses } of groupsOf(sockets))
      steps.push((yes, no) => {
        const next = this.#program.newLabel();
        this.#portNumber(end, ports, next, no);
        this.#program.place(next);
        this.#address(end, addresses, yes, no);
      });
    this.#any(steps, yes, no);
  }

  #portNumber(end: TupleEnd, ranges: Ranges, yes: Label, no: Label): void {
    this.#load(portSlot(end), no);
    this.#ranges(ranges.map(BigInt), 16, yes, no);
  }

  #port(end: TupleEnd, of: 'port' | 'key', ranges: Ranges, yes: Label, no: Label): void {
    const program = this.#program;
    const inRanges = program.newLabel();
    this.#portNumber(end, ranges, inRanges, no);
    program.place(inRanges);
    this.#isGre(end.side, of === 'key' ? yes : no, of === 'key' ? no : yes);
  }

  #isGre(side: TupleEnd['side'], yes: Label, no: Label): void {
    this.#load(BASE[side] + T.protonum, no);
    this.#program.jumpIfEqual(gre.number, yes, no);
  }

  #state(names: readonly string[], { yes, no, unknown }: Exits): void {
    const program = this.#program;
    for (const { slot, states } of TRACKERS) {
      const wanted = names.map((name) => states.indexOf(name)).filter((state) => state >= 0);
      if (wanted.length === 0) continue;
      const next = program.newLabel();
      this.#load(slot, next);
      for (const [i, state] of wanted.entries()) program.jumpIfEqual(state, yes, i === wanted.length - 1 ? next : undefined);
      program.place(next);
    }
    if (no === unknown) {
      program.goTo(no);
      return;
    }
    this.#load(PROTONUM, no);
    const trackers = TRACKERS.map((tracker) => ({ ...tracker, label: program.newLabel() }));
    for (const [i, { protonum, label }] of trackers.entries())
      program.jumpIfEqual(protonum, label, i === trackers.length - 1 ? no : undefined);
    for (const { slot, label } of trackers) {
      program.place(label);
      this.#find(pathOf(slot), unknown);
      program.goTo(no);
    }
  }

  #labels(bits: readonly number[], { yes, no, unknown }: Exits): void {
    const program = this.#program;
    const masks = [0, 0, 0, 0];
    for (const bit of bits) masks[bit >> 5]! |= 1 << (bit & 31);
    this.#loadHeader(S.labels, unknown);
    this.#hasLength(LABELS_LENGTH);
    for (const [i, mask] of masks.entries()) {
      if (mask === 0) continue;
      program.loadBehindX(NLA_HDRLEN + 4 * i, 4);
      program.jumpIfAnyBit(networkToHost32(mask >>> 0), yes, undefined);
    }
    program.goTo(no);
  }

  /** Translated: the status says so, and the address or the port of one side is not that of the other. */
  #nat(nat: 'src' | 'dst', yes: Label, no: Label): void {
    const program = this.#program;
    const own: TupleEnd = { side: 'original', end: nat };
    const other = translatedEnd(nat);
    const [v4, v6] = addressSlots(own);
    const [otherV4, otherV6] = addressSlots(other);
    const [done, isV6, onlyOther, ports] = [program.newLabel(), program.newLabel(), program.newLabel(), program.newLabel()];
    this.#load(S.status, no);
    program.jumpIfAnyBit(nat === 'src' ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE, done, no);
    program.place(done);
    this.#load(v4, isV6);
    program.keep(FIRST);
    this.#load(otherV4, yes);
    program.recallToX(FIRST);
    program.jumpIfEqualX(ports, yes);
    program.place(isV6);
    this.#find(pathOf(v6), onlyOther);
    program.keep(HEADER);
    this.#find(pathOf(otherV6), yes);
    program.keep(OTHER_HEADER);
    for (let i = 0; i < 4; i++) {
      program.recallToX(HEADER);
      program.loadBehindX(NLA_HDRLEN + 4 * i, 4);
      program.keep(FIRST);
      program.recallToX(OTHER_HEADER);
      program.loadBehindX(NLA_HDRLEN + 4 * i, 4);
      program.recallToX(FIRST);
      program.jumpIfEqualX(i === 3 ? ports : undefined, yes);
    }
    program.place(onlyOther);
    this.#find(pathOf(otherV6), ports);
    program.goTo(yes);
    program.place(ports);
    this.#portOrZero(portSlot(own));
    program.keep(FIRST);
    this.#portOrZero(portSlot(other));
    program.recallToX(FIRST);
    program.jumpIfEqualX(no, yes);
  }

  #portOrZero(slot: number): void {
    const absent = this.#program.newLabel();
    this.#load(slot, absent); // where it is absent, A is 0
    this.#program.place(absent);
  }

  /** From the upper halves of the two times: their difference is that of the whole times, or one more. */
  #age(ranges: Ranges, { yes, no, unknown }: Exits): void {
    const program = this.#program;
    this.#loadHeader(S.timestampStart, unknown);
    program.loadBehindX(NLA_HDRLEN, 4);
    program.keep(FIRST);
    this.#loadHeader(S.timestampStop, yes); // it lives: only the watcher's clock can tell
    program.loadBehindX(NLA_HDRLEN, 4);
    program.recallToX(FIRST);
    program.subtractX();
    this.#ranges(ageDifferences(ranges).map(BigInt), 32, yes, no);
  }

  #has(what: Presence, yes: Label, no: Label): void {
    const program = this.#program;
    const present = (slots: readonly number[]) =>
      this.#any(
        slots.map(
          (slot): Part =>
            (yes, no) => {
              this.#find(pathOf(slot), no);
              program.goTo(yes);
            },
        ),
        yes,
        no,
      );
    const anyNumber = (slots: readonly number[]) =>
      this.#any(
        slots.map(
          (slot): Part =>
            (yes, no) => {
              this.#load(slot, no);
              program.jumpIfEqual(0, no, yes);
            },
        ),
        yes,
        no,
      );
    switch (what) {
      case 'port':
      case 'key': {
        this.#find(pathOf(ORIGINAL + T.sport), no);
        this.#isGre('original', what === 'key' ? yes : no, what === 'key' ? no : yes);
        return;
      }
      case 'state':
        present(TRACKERS.map(({ slot }) => slot));
        return;
      case 'zone':
        present([S.zone, ORIGINAL + T.tupleZone, REPLY + T.tupleZone]);
        return;
      case 'label':
        this.#labels(
          Array.from({ length: 128 }, (_, bit) => bit),
          { yes, no, unknown: no },
        );
        return;
      case 'seqadj':
        anyNumber([
          S.seqAdjOriginalPos,
          S.seqAdjOriginalBefore,
          S.seqAdjOriginalAfter,
          S.seqAdjReplyPos,
          S.seqAdjReplyBefore,
          S.seqAdjReplyAfter,
        ]);
        return;
      case 'synproxy':
        anyNumber([S.synproxyIsn, S.synproxyIts, S.synproxyTsoff]);
        return;
      case 'mark':
      case 'helper':
      case 'timeout':
      case 'id':
      case 'use':
      case 'secmark':
      case 'secctx':
        present([S[what]]);
        return;
      case 'bytes':
        present([S.bytesOriginal]);
        return;
      case 'packets':
        present([S.packetsOriginal]);
        return;
      case 'start':
        present([S.timestampStart]);
        return;
      case 'stop':
        present([S.timestampStop]);
        return;
      case 'master':
        present([MASTER + T.protonum]);
        return;
      default:
        what satisfies never;
    }
  }

  /** A = the header of an attribute. To `absent` with A = 0 when there is none. */
  #find(path: readonly number[], absent: Label): void {
    this.#program.constant(NFNL_ATTRS);
    for (const [depth, type] of path.entries()) {
      if (depth === 0) this.#program.findAttribute(type);
      else this.#program.findNested(type);
      this.#program.jumpIfEqual(0, absent, undefined);
    }
  }

  /** X = the header of an attribute. */
  #loadHeader(slot: number, absent: Label): void {
    this.#find(pathOf(slot), absent);
    this.#program.toX();
  }

  /** A = a number of up to 32 bits. */
  #load(slot: number, absent: Label): void {
    this.#loadHeader(slot, absent);
    this.#program.loadBehindX(NLA_HDRLEN, KIND_SIZE[rowOf(slot).kind] as Size);
  }

  /**
   * Whether a number is in. One of up to 32 bits is in A; of a longer one, X is the attribute's header. Each word chooses by halves
   * where to go on: to an answer, or to the next word.
   */
  #ranges(ranges: WordRanges, bits: number, yes: Label, no: Label, word = 0): void {
    const program = this.#program;
    if (ranges.length > 2 * MOST_INSTRUCTIONS) program.fill(); // each takes one, at least
    if (program.isFull) return;
    if (bits > 32 || word > 0) program.loadBehindX(NLA_HDRLEN + 4 * word, 4);
    const rest = BigInt(Math.max(0, bits - 32));
    const last = (1n << rest) - 1n;
    const steps: Step[] = [];
    const below: { readonly label: Label; readonly ranges: bigint[] }[] = [];
    let partly = -1;
    const whole = (from: number, to: number) => {
      if (from <= to) steps.push({ from, to, target: yes });
    };
    const part = (at: number, from: bigint, to: bigint) => {
      if (at !== partly) {
        const label = program.newLabel();
        below.push({ label, ranges: [] });
        steps.push({ from: at, to: at, target: label });
        partly = at;
      }
      below.at(-1)!.ranges.push(from, to);
    };
    for (let i = 0; i < ranges.length; i += 2) {
      const [first, end] = [Number(ranges[i]! >> rest), Number(ranges[i + 1]! >> rest)];
      const [low, high] = [ranges[i]! & last, ranges[i + 1]! & last];
      if (first === end) {
        if (low === 0n && high === last) whole(first, end);
        else part(first, low, high);
        continue;
      }
      if (low !== 0n) part(first, low, last);
      whole(low === 0n ? first : first + 1, high === last ? end : end - 1);
      if (high !== last) part(end, 0n, high);
    }
    this.#choose(withGaps(steps, no));
    for (const { label, ranges } of below) {
      program.place(label);
      this.#ranges(ranges, Number(rest), yes, no, word + 1);
    }
  }

  /** Goes where A belongs. Steps are sorted and leave nothing out. */
  #choose(steps: readonly Step[]): void {
    const program = this.#program;
    if (program.isFull) return;
    if (steps.length === 1) {
      program.goTo(steps[0]!.target);
      return;
    }
    const singles = singlesOf(steps);
    if (singles) {
      for (const [i, { from, target }] of singles.some.entries())
        program.jumpIfEqual(from, target, i === singles.some.length - 1 ? singles.others : undefined);
      return;
    }
    const middle = steps.length >> 1;
    const [lower, upper] = [steps.slice(0, middle), steps.slice(middle)];
    const [high, low] = [upper, lower].map((half) => (half.length === 1 ? half[0]!.target : program.newLabel()));
    program.jumpIfAtLeast(upper[0]!.from, high, low);
    for (const [half, label] of [
      [lower, low],
      [upper, high],
    ] as const)
      if (half.length > 1) {
        program.place(label!);
        this.#choose(half);
      }
  }
}

/** Numbers from one to another, and where they lead. */
interface Step {
  readonly from: number;
  readonly to: number;
  readonly target: Label;
}

/** The steps, and between them those that lead to `no`. */
function withGaps(steps: readonly Step[], no: Label): Step[] {
  const all: Step[] = [];
  let next = 0;
  for (const step of steps) {
    if (step.from > next) all.push({ from: next, to: step.from - 1, target: no });
    all.push(step);
    next = step.to + 1;
  }
  if (next <= LAST_32) all.push({ from: next, to: LAST_32, target: no });
  return all;
}

/** So many numbers are asked for one after the other. */
const LINEAR = 4;

/** Steps as a few single numbers, and all others, which lead to one place. */
function singlesOf(steps: readonly Step[]): { readonly some: readonly Step[]; readonly others: Label } | undefined {
  const wide = steps.filter(({ from, to }) => from !== to);
  const others = (wide[0] ?? steps.at(-1)!).target;
  if (wide.some(({ target }) => target !== others)) return undefined;
  const some = steps.filter(({ from, to, target }) => from === to && target !== others);
  return some.length <= LINEAR ? { some, others } : undefined;
}

const LAST_32 = 0xffffffff;
const LAST_64 = 0xffffffffffffffffn;
const PROTONUM = ORIGINAL + T.protonum;
const BASE: Readonly<Record<TupleEnd['side'], Direction>> = { original: ORIGINAL, reply: REPLY, master: MASTER };
const SLOTS_OF_COUNTERS = {
  bytes: { original: S.bytesOriginal, reply: S.bytesReply },
  packets: { original: S.packetsOriginal, reply: S.packetsReply },
} as const;
/** Index = base / TUPLE_SIZE. */
const TUPLES = [CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_TUPLE_MASTER] as const;

function addressSlots({ side, end }: TupleEnd): readonly [v4: number, v6: number] {
  return end === 'src' ? [BASE[side] + T.v4Src, BASE[side] + T.v6Src] : [BASE[side] + T.v4Dst, BASE[side] + T.v6Dst];
}

function portSlot({ side, end }: TupleEnd): number {
  return BASE[side] + (end === 'src' ? T.sport : T.dport);
}

/** The row of a slot: fields.ts gives slots in the order of the rows, behind those of the tuples. */
function rowOf(slot: number): Field {
  return slot < TUPLES.length * TUPLE_SIZE
    ? Object.values<Field>(tupleFields)[slot % TUPLE_SIZE]!
    : Object.values<Field>(flowFields)[slot - TUPLES.length * TUPLE_SIZE]!;
}

/** The numbers of an attribute and of the nests that it is in, from the top level down. */
function pathOf(slot: number): readonly number[] {
  const { path } = rowOf(slot);
  return slot < TUPLES.length * TUPLE_SIZE ? [TUPLES[Math.floor(slot / TUPLE_SIZE)]!, ...path] : path;
}

/** Socket addresses by port, or by address, whichever makes fewer groups. */
function groupsOf(sockets: readonly SocketAddress[]): { readonly ports: Ranges; readonly addresses: AddressSet }[] {
  const byPort = grouped(sockets, ({ port }) => String(port));
  const byAddress = grouped(sockets, ({ address }) => address.join());
  return (byPort.length <= byAddress.length ? byPort : byAddress).map((group) => ({
    ports: rangesOf(group.map(({ port }) => [port, port])),
    addresses: unionOfAddresses(group.map(({ address }) => addressSet(address))),
  }));
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return [...groups.values()];
}

/** The length of an attribute is in the host's order, but a program loads network order. */
function lengthAsLoaded(length: number): number {
  const bytes = new Uint8Array(2);
  putHost16(bytes, 0, length);
  return be16(bytes, 0);
}
