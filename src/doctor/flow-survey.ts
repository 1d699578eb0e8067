// FlowSurvey: what two lists of a table say of its flows as a whole: who has most, and what looks wrong. The first list is remembered only
// of flows whose change matters; the second is counted. Nothing is allocated per flow.

import { ORIGINAL, REPLY, S, T } from '../ctnetlink/fields.js';
import { IPPROTO_TCP, IPPROTO_UDP } from '../ctnetlink/uapi/in.js';
import { IPS_DST_NAT, IPS_HW_OFFLOAD, IPS_OFFLOAD, IPS_SEEN_REPLY, IPS_SRC_NAT } from '../ctnetlink/uapi/nf-conntrack-common.js';
import type { View } from '../ctnetlink/view.js';
import { ADDRESS, addressOf, putAddress, putAddressText, WHOLE } from '../meter/group-keys.js';
import { HELPER_MODULES } from './helper-modules.js';
import { Tally } from './tally.js';

/** Flows of one source. */
export interface SourceFlows {
  readonly src: string;
  readonly flows: number;
  readonly unreplied: number;
}

/** UDP flows to one place that go on although nothing ever came back. */
export interface OneWayFlows {
  readonly dst: string;
  readonly dport: number;
  readonly flows: number;
  /** How many of them this host translates. */
  readonly translated: number;
  /** How many of them began less than half a minute ago, as far as the kernel keeps when. */
  readonly young: number;
  /** How many of them are translated to an address that this host does not have, and to which one of them is. */
  readonly foreign: number;
  readonly outside?: string;
  /** One of the senders. */
  readonly src: string;
}

/** Connections to one place without an answer. */
export interface UnansweredFlows {
  readonly dst: string;
  readonly dport: number;
  readonly flows: number;
  /** How many of them are older than half a minute. */
  readonly old: number;
}

/** Flows whose source is translated to one address. */
export interface OutsideFlows {
  readonly address: string;
  readonly flows: number;
  /** Whether something came back for them between the lists; `undefined`: it was not looked at, or there are no counters. */
  readonly answered: boolean | undefined;
  /** How many of them began between the lists; only of addresses that this host does not have. */
  readonly begun: number;
}

/** Flows whose destination is translated to one address. */
export interface TargetFlows {
  readonly address: string;
  readonly flows: number;
  readonly unreplied: number;
}

/** Outside ports in use for one remote endpoint. */
export interface PortUse {
  readonly address: string;
  readonly protonum: number;
  readonly dst: string;
  readonly dport: number;
  readonly ports: number;
  /** How many of the flows got another port than they came with. */
  readonly moved: number;
  readonly lowest: number;
  readonly highest: number;
}

/** What two lists say. Lists in it are the largest of their kind. */
export interface FlowSurvey {
  readonly flows: number;
  readonly unreplied: number;
  /** Flows with counters, with the time of their beginning, and with labels. */
  readonly withCounters: number;
  readonly withTimes: number;
  readonly labelled: number;
  readonly sources: readonly SourceFlows[];
  readonly oneWay: readonly OneWayFlows[];
  readonly unanswered: readonly UnansweredFlows[];
  /** TCP connections, and those among them over which nothing has gone for a day. */
  readonly established: number;
  readonly idleForDays: number;
  readonly outside: readonly OutsideFlows[];
  readonly targets: readonly TargetFlows[];
  readonly ports: readonly PortUse[];
  /** Flows that a flowtable forwards, and those among them whose counters stood still. */
  readonly offloaded: number;
  readonly standing: number;
  /** Flows with a helper, by its name, and flows to the port of a helper without one, by its module. */
  readonly helped: Readonly<Record<string, number>>;
  readonly unhelped: Readonly<Record<string, number>>;
}

/** What the surveyor has to know beforehand. */
export interface SurveyFacts {
  /** Own addresses; flows translated to others are watched. */
  readonly own: readonly string[];
  /** Seconds: nf_conntrack_tcp_timeout_established and _syn_sent. */
  readonly establishedTimeout: number;
  readonly synSentTimeout: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const DAY = 86_400;
/** Seconds after which a connection should have been answered. */
export const PATIENCE = 30;
const TCP_SYN_SENT = 1;
const TCP_ESTABLISHED = 3;
/** How many groups of a kind a survey tells. */
const MOST_TOLD = 100;
/** Different names of helpers. */
const MOST_HELPERS = 32;
/** A milliard nanoseconds are a second: 2^32 of them are so many. */
const HIGH_WORD_SECONDS = 4.294967296;
const PORT_WORDS = 2 * ADDRESS + 3;
const LEAST_PORTS = 50;

/** Takes two lists, view by view. */
export class FlowSurveyor {
  readonly #facts: SurveyFacts;
  /** Flows of the first list that matter, by id. */
  readonly #before = new Tally(1, ['sent', 'returned', 'timeout', 'protonum', 'dport']);
  readonly #sources = new Tally(ADDRESS, ['flows', 'unreplied']);
  readonly #oneWay = new Tally(ADDRESS + 1, ['flows', 'translated', 'young', 'foreign', 'outside', 'sender']);
  readonly #senders = new Tally(ADDRESS, []);
  readonly #unanswered = new Tally(ADDRESS + 1, ['flows', 'old']);
  readonly #outside = new Tally(ADDRESS, ['flows', 'foreign', 'grown', 'counted', 'begun']);
  readonly #targets = new Tally(ADDRESS, ['flows', 'unreplied']);
  readonly #ports = new Tally(PORT_WORDS, ['flows', 'moved', 'lowest', 'highest']);
  readonly #own = new Tally(ADDRESS, []);
  readonly #helped = new Map<string, number>();
  readonly #unhelped = new Map<string, number>();
  #count = {
    flows: 0,
    unreplied: 0,
    withCounters: 0,
    withTimes: 0,
    labelled: 0,
    established: 0,
    idleForDays: 0,
    offloaded: 0,
    standing: 0,
  };
  /** Seconds between the lists. */
  #seconds = 0;

  constructor(facts: SurveyFacts) {
    this.#facts = facts;
    for (const text of facts.own) if (putAddressText(this.#own.key, text)) this.#own.slot();
  }

  /** Between the lists. */
  begin(seconds: number): void {
    this.#seconds = seconds;
  }

  /** A flow of the first list. */
  remember(view: View): void {
    const status = view.be32(S.status);
    const oneWay = view.u8(PROTONUM) === IPPROTO_UDP && (status & IPS_SEEN_REPLY) === 0;
    if (!oneWay && (status & OFFLOADED) === 0 && !this.#foreign(view, status)) return;
    const before = this.#before;
    before.key[0] = view.be32(S.id);
    const slot = before.slot();
    if (slot === 0) return;
    before.column('sent')[slot] = packets(view, S.packetsOriginal);
    before.column('returned')[slot] = packets(view, S.packetsReply);
    before.column('timeout')[slot] = view.be32(S.timeout);
    before.column('protonum')[slot] = view.u8(PROTONUM);
    before.column('dport')[slot] = view.be16(ORIGINAL + T.dport);
  }

  /** A flow of the second list. */
  count(view: View): void {
    const count = this.#count;
    const status = view.be32(S.status);
    const unreplied = (status & IPS_SEEN_REPLY) === 0;
    const protonum = view.u8(PROTONUM);
    count.flows++;
    if (unreplied) count.unreplied++;
    if (view.has(S.packetsOriginal)) count.withCounters++;
    if (view.has(S.timestampStart)) count.withTimes++;
    if (view.has(S.labels)) count.labelled++;
    const sources = this.#sources;
    putAddress(sources.key, 0, view, ORIGINAL + T.v4Src, ORIGINAL + T.v6Src, WHOLE);
    const source = sources.slot();
    sources.column('flows')[source]!++;
    if (unreplied) sources.column('unreplied')[source]!++;
    if (protonum === IPPROTO_TCP) this.#tcp(view, unreplied);
    else if (protonum === IPPROTO_UDP && unreplied) this.#udp(view, status);
    if (status & OFFLOADED) {
      count.offloaded++;
      const slot = this.#known(view);
      if (slot !== 0 && view.has(S.packetsOriginal) && !this.#hasSent(view, slot) && !this.#hasReturned(view, slot))
        count.standing++;
    }
    if (status & IPS_SRC_NAT) this.#translatedSource(view, status, protonum);
    if (status & IPS_DST_NAT) this.#translatedTarget(view, unreplied);
    this.#helper(view, protonum);
  }

  /** What the lists say. */
  survey(): FlowSurvey {
    return {
      ...this.#count,
      sources: this.#toldSources(),
      oneWay: this.#toldOneWay(),
      unanswered: this.#toldUnanswered(),
      outside: this.#toldOutside(),
      targets: this.#toldTargets(),
      ports: this.#toldPorts(),
      helped: Object.fromEntries(this.#helped),
      unhelped: Object.fromEntries(this.#unhelped),
    };
  }

  #tcp(view: View, unreplied: boolean): void {
    if (!view.has(S.tcpState)) return;
    const state = view.u8(S.tcpState);
    const timeout = view.be32(S.timeout);
    if (state === TCP_ESTABLISHED) {
      this.#count.established++;
      if (timeout < this.#facts.establishedTimeout - DAY) this.#count.idleForDays++;
    } else if (state === TCP_SYN_SENT && unreplied) {
      const tally = this.#unanswered;
      putAddress(tally.key, 0, view, ORIGINAL + T.v4Dst, ORIGINAL + T.v6Dst, WHOLE);
      tally.key[ADDRESS] = view.be16(ORIGINAL + T.dport);
      const slot = tally.slot();
      tally.column('flows')[slot]!++;
      const old = view.has(S.timestampStart) ? !this.#isYoung(view) : timeout <= this.#facts.synSentTimeout - PATIENCE;
      if (old) tally.column('old')[slot]!++;
    }
  }

  #udp(view: View, status: number): void {
    if (toMany(view)) return;
    const before = this.#known(view);
    if (before === 0) return;
    const goesOn = view.has(S.packetsOriginal)
      ? this.#hasSent(view, before)
      : // Without a packet, it would be less by the time between, in whole seconds.
        view.be32(S.timeout) > this.#before.column('timeout')[before]! - Math.floor(this.#seconds);
    if (!goesOn) return;
    const tally = this.#oneWay;
    putAddress(tally.key, 0, view, ORIGINAL + T.v4Dst, ORIGINAL + T.v6Dst, WHOLE);
    tally.key[ADDRESS] = view.be16(ORIGINAL + T.dport);
    const slot = tally.slot();
    tally.column('flows')[slot]!++;
    if (status & TRANSLATED) tally.column('translated')[slot]!++;
    if (view.has(S.timestampStart) && this.#isYoung(view)) tally.column('young')[slot]!++;
    if (this.#foreign(view, status)) {
      tally.column('foreign')[slot]!++;
      if (tally.column('outside')[slot] === 0) {
        putAddress(this.#outside.key, 0, view, REPLY + T.v4Dst, REPLY + T.v6Dst, WHOLE);
        tally.column('outside')[slot] = this.#outside.slot();
      }
    }
    if (tally.column('sender')[slot] !== 0) return;
    putAddress(this.#senders.key, 0, view, ORIGINAL + T.v4Src, ORIGINAL + T.v6Src, WHOLE);
    tally.column('sender')[slot] = this.#senders.slot();
  }

  #translatedSource(view: View, status: number, protonum: number): void {
    const outside = this.#outside;
    putAddress(outside.key, 0, view, REPLY + T.v4Dst, REPLY + T.v6Dst, WHOLE);
    const slot = outside.slot();
    outside.column('flows')[slot]!++;
    if (this.#foreign(view, status)) {
      outside.column('foreign')[slot] = 1;
      const before = this.#known(view);
      if (before === 0 && !this.#before.overflowed) outside.column('begun')[slot]!++;
      if (before !== 0 && view.has(S.packetsReply)) {
        outside.column('counted')[slot]!++;
        if (this.#hasReturned(view, before)) outside.column('grown')[slot]!++;
      }
    }
    if (!view.has(REPLY + T.dport)) return;
    const { key } = this.#ports;
    for (let w = 0; w < ADDRESS; w++) key[w] = outside.key[w]!;
    putAddress(key, ADDRESS, view, REPLY + T.v4Src, REPLY + T.v6Src, WHOLE);
    key[2 * ADDRESS] = protonum;
    key[2 * ADDRESS + 1] = view.be16(REPLY + T.sport);
    key[2 * ADDRESS + 2] = view.be16(S.zone);
    const port = view.be16(REPLY + T.dport);
    const use = this.#ports.slot();
    const lowest = this.#ports.column('lowest');
    const highest = this.#ports.column('highest');
    const seen = this.#ports.column('flows')[use]!++;
    if (port !== view.be16(ORIGINAL + T.sport)) this.#ports.column('moved')[use]!++;
    if (seen === 0 || port < lowest[use]!) lowest[use] = port;
    if (port > highest[use]!) highest[use] = port;
  }

  #translatedTarget(view: View, unreplied: boolean): void {
    const targets = this.#targets;
    putAddress(targets.key, 0, view, REPLY + T.v4Src, REPLY + T.v6Src, WHOLE);
    const slot = targets.slot();
    targets.column('flows')[slot]!++;
    if (unreplied) targets.column('unreplied')[slot]!++;
  }

  #helper(view: View, protonum: number): void {
    if (view.has(S.helper)) {
      const at = view.offset(S.helper);
      const name = new TextDecoder().decode(view.bytes.subarray(at, at + view.stringLength(S.helper)));
      if (this.#helped.has(name) || this.#helped.size < MOST_HELPERS) this.#helped.set(name, (this.#helped.get(name) ?? 0) + 1);
      return;
    }
    // Who answers nobody needs no helper.
    if ((view.be32(S.status) & IPS_SEEN_REPLY) === 0) return;
    const port = view.be16(ORIGINAL + T.dport);
    for (let i = 0; i < HELPER_MODULES.length; i++) {
      const row = HELPER_MODULES[i]!;
      if (row.port === port && row.protonum === protonum)
        this.#unhelped.set(row.module, (this.#unhelped.get(row.module) ?? 0) + 1);
    }
  }

  /** Where the first list had this flow; 0: not, or nothing of it mattered. Another one may have got its id. */
  #known(view: View): number {
    const before = this.#before;
    before.key[0] = view.be32(S.id);
    const slot = before.find();
    if (slot === 0 || before.column('protonum')[slot] !== view.u8(PROTONUM)) return 0;
    return before.column('dport')[slot] === view.be16(ORIGINAL + T.dport) ? slot : 0;
  }

  /** Whether there were packets in the original direction since the first list had it in `slot`. */
  #hasSent(view: View, slot: number): boolean {
    return packets(view, S.packetsOriginal) > this.#before.column('sent')[slot]!;
  }

  /** As `#hasSent`, in the reply direction. */
  #hasReturned(view: View, slot: number): boolean {
    return packets(view, S.packetsReply) > this.#before.column('returned')[slot]!;
  }

  /** Whether a flow that has the time of its beginning began less than half a minute ago. */
  #isYoung(view: View): boolean {
    return this.#facts.now() / 1000 - startOf(view) < PATIENCE;
  }

  /** Whether its source is translated to an address that this host does not have. */
  #foreign(view: View, status: number): boolean {
    if ((status & IPS_SRC_NAT) === 0) return false;
    putAddress(this.#own.key, 0, view, REPLY + T.v4Dst, REPLY + T.v6Dst, WHOLE);
    return this.#own.find() === 0;
  }

  #toldSources(): SourceFlows[] {
    const tally = this.#sources;
    return tally.largest('flows', MOST_TOLD).flatMap((slot) => {
      const src = addressOf(tally.keyOf(slot), 0);
      return src === undefined ? [] : [{ src, flows: tally.column('flows')[slot]!, unreplied: tally.column('unreplied')[slot]! }];
    });
  }

  #toldOneWay(): OneWayFlows[] {
    const tally = this.#oneWay;
    return tally.largest('flows', MOST_TOLD).flatMap((slot) => {
      const key = tally.keyOf(slot);
      const dst = addressOf(key, 0);
      const dport = key[ADDRESS]!;
      const src = addressOf(this.#senders.keyOf(tally.column('sender')[slot]!), 0);
      if (dst === undefined || src === undefined) return [];
      const of = (name: 'flows' | 'translated' | 'young' | 'foreign') => tally.column(name)[slot]!;
      const rest = { flows: of('flows'), translated: of('translated'), young: of('young'), foreign: of('foreign') };
      const lost = tally.column('outside')[slot]!;
      const outside = lost === 0 ? undefined : addressOf(this.#outside.keyOf(lost), 0);
      return [{ dst, dport, ...rest, ...(outside === undefined ? {} : { outside }), src }];
    });
  }

  #toldUnanswered(): UnansweredFlows[] {
    const tally = this.#unanswered;
    return tally.largest('flows', MOST_TOLD).flatMap((slot) => {
      const key = tally.keyOf(slot);
      const dst = addressOf(key, 0);
      return dst === undefined
        ? []
        : [{ dst, dport: key[ADDRESS]!, flows: tally.column('flows')[slot]!, old: tally.column('old')[slot]! }];
    });
  }

  #toldOutside(): OutsideFlows[] {
    const tally = this.#outside;
    return tally.largest('flows', MOST_TOLD).flatMap((slot) => {
      const address = addressOf(tally.keyOf(slot), 0);
      const looked = tally.column('counted')[slot]! > 0;
      const answered = looked ? tally.column('grown')[slot]! > 0 : undefined;
      const [flows, begun] = [tally.column('flows')[slot]!, tally.column('begun')[slot]!];
      return address === undefined ? [] : [{ address, flows, answered, begun }];
    });
  }

  #toldTargets(): TargetFlows[] {
    const tally = this.#targets;
    return tally.largest('flows', MOST_TOLD).flatMap((slot) => {
      const address = addressOf(tally.keyOf(slot), 0);
      return address === undefined
        ? []
        : [{ address, flows: tally.column('flows')[slot]!, unreplied: tally.column('unreplied')[slot]! }];
    });
  }

  #toldPorts(): PortUse[] {
    const tally = this.#ports;
    const flows = tally.column('flows');
    return tally
      .largest('flows', MOST_TOLD, (slot) => flows[slot]! >= LEAST_PORTS)
      .flatMap((slot) => {
        const key = tally.keyOf(slot);
        const [address, dst] = [addressOf(key, 0), addressOf(key, ADDRESS)];
        if (address === undefined || dst === undefined) return [];
        const of = (name: 'moved' | 'lowest' | 'highest') => tally.column(name)[slot]!;
        const ends = { protonum: key[2 * ADDRESS]!, dport: key[2 * ADDRESS + 1]! };
        const use = { ports: flows[slot]!, moved: of('moved'), lowest: of('lowest'), highest: of('highest') };
        return [{ address, dst, ...ends, ...use }];
      });
  }
}

const PROTONUM = ORIGINAL + T.protonum;
const OFFLOADED = IPS_OFFLOAD | IPS_HW_OFFLOAD;
const TRANSLATED = IPS_SRC_NAT | IPS_DST_NAT;

function packets(view: View, slot: number): number {
  return (view.high32(slot) >>> 0) * 4294967296 + (view.low32(slot) >>> 0);
}

/** When a flow began, in seconds since the epoch. */
function startOf(view: View): number {
  return (view.high32(S.timestampStart) >>> 0) * HIGH_WORD_SECONDS + (view.low32(S.timestampStart) >>> 0) / 1e9;
}

/** Whether it goes to a group or to everybody: nobody answers that. */
function toMany(view: View): boolean {
  if (view.has(ORIGINAL + T.v4Dst)) return view.bytes[view.offset(ORIGINAL + T.v4Dst)]! >= 224;
  return view.has(ORIGINAL + T.v6Dst) && view.bytes[view.offset(ORIGINAL + T.v6Dst)] === 0xff;
}
