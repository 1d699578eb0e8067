// MemoryTable: a connection tracking table for tests, in memory. The library above it is the real one: it sends its requests and decodes
// the answers.

import { putTuple } from '../ctnetlink/encode.js';
import { ORIGINAL, REPLY } from '../ctnetlink/fields.js';
import { type Flow, FlowReader } from '../ctnetlink/flow.js';
import { putFlowChange } from '../ctnetlink/flow-change.js';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { MAX_U32, Members, show } from '../ctnetlink/members.js';
import { type FlowKeyInput, type FlowUpdate, type Number64, toFlowChange, toFlowKey } from '../ctnetlink/new-flow.js';
import { CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ZONE } from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import type { View } from '../ctnetlink/view.js';
import { ValueError } from '../errors.js';
import { EINVAL, ENOENT } from '../wire/errno.js';
import { MessageWriter } from '../wire/message.js';
import type { OpenTransport } from '../wire/transport.js';
import { NFNL_SUBSYS_CTNETLINK, NFNL_SUBSYS_CTNETLINK_EXP } from '../wire/uapi/nfnetlink.js';
import { ExpectationAnswers } from './expectation-answers.js';
import { FlowAnswers } from './flow-answers.js';
import { type Counted, type FlowInit, FlowMaker, refusing, setCounters } from './flow-factory.js';
import { changeFlow } from './flow-rules.js';
import type { MemoryFlow } from './memory-flow.js';
import { type Answer, answerDatagram, type Message, type Put, Refusal } from './netlink-answers.js';
import { QueuedTransport } from './queued-transport.js';
import { flowRequest } from './table-request.js';
import { FLOW, NOBODY, TableState } from './table-state.js';

/** Options of a table in memory. */
export interface MemoryTableOptions {
  /** The initial flows. */
  readonly flows?: Iterable<FlowInit> | undefined;
  /** A further flow is refused with ENOMEM. Default 262144. */
  readonly maxEntries?: number | undefined;
  /** The time at which its clock starts. Default: the beginning of 2026. */
  readonly now?: Date | undefined;
  /** New flows have counters (sysctl nf_conntrack_acct). Default false. */
  readonly accounting?: boolean | undefined;
  /** New flows and events have times (sysctl nf_conntrack_timestamp). Default false. */
  readonly timestamps?: boolean | undefined;
  /** A ruleset uses labels, so that flows have room for them. Default true. */
  readonly labels?: boolean | undefined;
}

/** What packets change in a flow: new values, as in an update, and the traffic so far in each direction. */
export type TrafficUpdate = Partial<FlowUpdate> & {
  readonly original?: TrafficCounters;
  readonly reply?: TrafficCounters;
};

/** Packets and bytes so far; if absent, unchanged. */
export interface TrafficCounters {
  readonly packets?: Number64 | undefined;
  readonly bytes?: Number64 | undefined;
}

/**
 * A connection tracking table in memory, for tests: without root, without recordings, on any system. With its `open` as the transport,
 * `Conntrack.open` works on it as on the kernel's table: lists, filters, changes with all the kernel's refusals, events, live views,
 * expectations. The rules are those of Linux 6.18. Time passes only when you call `advance`, and nothing is left to chance.
 *
 * ```ts
 * const table = new MemoryTable({ flows: [{ protocol: 'udp', original: { src: '10.0.0.1', dport: 53 } }] });
 * await using conntrack = await Conntrack.open({ transport: table.open });
 * await conntrack.update({ protocol: 'udp' }, { mark: 7 });
 * console.log(table.flows[0]?.mark); // 7
 * table.advance(3600);
 * console.log(table.flows.length); // 0
 * ```
 */
export class MemoryTable {
  readonly #state: TableState;
  readonly #flows: FlowAnswers;
  readonly #expectations: ExpectationAnswers;
  readonly #maker = new FlowMaker();
  readonly #reader = new FlowReader();
  readonly #views = new FlowViews();
  readonly #request = flowRequest();
  readonly #message = new MessageWriter();
  #portId = 0;

  /** @throws ValueError; KernelError for a flow that cannot coexist with those before it */
  constructor(options: MemoryTableOptions = {}) {
    const members = new Members(options, '', false);
    this.#state = new TableState({
      maxEntries: members.number('maxEntries', MAX_U32) ?? DEFAULT_ENTRIES,
      accounting: members.boolean('accounting') ?? false,
      timestamps: members.boolean('timestamps') ?? false,
      labels: members.boolean('labels') ?? true,
      epoch: timeOf(members, 'now') ?? DEFAULT_NOW,
    });
    const flows = members.get('flows') ?? [];
    members.end();
    if (typeof (flows as Partial<Iterable<FlowInit>>)[Symbol.iterator] !== 'function' || typeof flows === 'string')
      throw new ValueError(`flows must be an array, or another iterable, not ${show(flows)}`);
    this.#flows = new FlowAnswers(this.#state);
    this.#expectations = new ExpectationAnswers(this.#state);
    for (const flow of flows as Iterable<FlowInit>) this.#maker.add(flow, this.#state);
  }

  /** For the option `transport`. */
  readonly open: OpenTransport = ({ groups = 0, receiveBuffer = DEFAULT_BUFFER }) => {
    const portId = ++this.#portId;
    const { listeners } = this.#state;
    const transport: QueuedTransport = new QueuedTransport(
      portId,
      {
        answer: (request) => answerDatagram(request, portId, (message) => this.#answer(message)),
        drops: () => listeners.drops(transport),
        closed: () => listeners.remove(transport),
      },
      2 * receiveBuffer,
    );
    if (groups !== 0) listeners.add(transport, groups);
    return transport;
  };

  /** All current flows, from the oldest to the newest. */
  get flows(): Flow[] {
    return Array.from(this.#state.flows, (flow) => this.#read(flow));
  }

  /** The time by the table's clock. */
  get now(): Date {
    return new Date(Number(this.#state.time / 1_000_000n));
  }

  /**
   * Begins a flow, as if packets had begun it, with a NEW event. @throws ValueError; KernelError with `code` EEXIST if a flow with its
   * tuples exists, ENOMEM if the table is full
   */
  add(flow: FlowInit): Flow {
    const added = this.#maker.add(flow, this.#state);
    const read = this.#read(added);
    this.#state.began(added, NOBODY);
    return read;
  }

  /**
   * Changes a flow, as if packets had changed it, with an UPDATE event unless only its timeout and counters differ.
   * @throws ValueError; KernelError with `code` ENOENT if it does not exist
   */
  change(key: FlowKeyInput, change: TrafficUpdate): Flow {
    const flow = this.#find(key);
    const { original, reply, ...update } = change;
    const counters = { original: countersOf(original, 'original'), reply: countersOf(reply, 'reply') };
    if (Object.keys(update).length > 0) {
      const view = this.#look(flow);
      this.#compose(view.family, (message) => putFlowChange(message, view, toFlowChange(update as FlowUpdate, flow.protonum)));
      refusing('CT_NEW', () => changeFlow(this.#request, flow, this.#state));
    }
    if (counters.original) setCounters(flow, 'original', counters.original);
    if (counters.reply) setCounters(flow, 'reply', counters.reply);
    const read = this.#read(flow);
    if (Object.keys(update).some((name) => name !== 'timeout')) this.#state.changed(flow, NOBODY);
    else this.#state.endIfOver(flow);
    return read;
  }

  /**
   * Ends a flow as if its time were over, with a DESTROY event. @throws ValueError; KernelError with `code` ENOENT if it does not exist
   */
  expire(key: FlowKeyInput): void {
    const flow = this.#find(key);
    flow.deadline = this.#state.now;
    this.#state.endIfOver(flow);
  }

  /** Lets seconds pass: timeouts count down, and whatever has no time left ends, in order. @throws ValueError */
  advance(seconds: number): void {
    if (!Number.isFinite(seconds) || seconds < 0)
      throw new ValueError(`time goes forward by a number of seconds, not by ${show(seconds)}`);
    this.#state.advance(seconds);
  }

  /**
   * Makes current listeners lose the next `count` events, as if their receive buffers were full: they are told (ENOBUFS), and how many
   * were lost. @throws ValueError
   */
  loseEvents(count: number): void {
    const members = new Members({ count }, '', false);
    this.#state.listeners.lose(members.number('count', MAX_U32)!);
  }

  /** Settles when the listeners have taken all events. A paused stream takes none. */
  delivered(): Promise<void> {
    return this.#state.listeners.taken();
  }

  #answer(message: Message): Answer {
    const number = message.type & 0xff;
    switch (message.type >> 8) {
      case NFNL_SUBSYS_CTNETLINK:
        return this.#flows.answer(number, message);
      case NFNL_SUBSYS_CTNETLINK_EXP:
        return this.#expectations.answer(number, message);
      default:
        throw new Refusal(EINVAL);
    }
  }

  #look(flow: MemoryFlow): View {
    return this.#views.of(flow.toFlow('entry', this.#state.now) as Flow);
  }

  #read(flow: MemoryFlow): Flow {
    return this.#reader.read(this.#look(flow));
  }

  /** Makes a request of its own. */
  #compose(family: number, put: Put): void {
    const message = this.#message;
    message.reset();
    message.begin(FLOW, 0, 0, family);
    put(message);
    message.end();
    this.#request.readFrom(message);
  }

  #find(key: FlowKeyInput): MemoryFlow {
    const { family, original, reply, zone, id } = toFlowKey(key);
    this.#compose(family, (message) => {
      if (original) putTuple(message, CTA_TUPLE_ORIG, original);
      else putTuple(message, CTA_TUPLE_REPLY, reply!);
      if (zone !== undefined) message.be16(CTA_ZONE, zone);
    });
    const base = original ? ORIGINAL : REPLY;
    return refusing('CT_GET', () => {
      const found = this.#state.flows.find(this.#request.tuple(base), this.#request.zone(base));
      if (!found || (id !== undefined && id !== found.id)) throw new Refusal(ENOENT);
      return found;
    });
  }
}

/** The kernel's default, before it is doubled. */
const DEFAULT_BUFFER = 106_496;
const DEFAULT_ENTRIES = 262_144;
const DEFAULT_NOW = nanoseconds(Date.UTC(2026, 0, 1));

function nanoseconds(milliseconds: number): bigint {
  return BigInt(milliseconds) * 1_000_000n;
}

/** A date in nanoseconds. @throws ValueError */
function timeOf(members: Members, name: string): bigint | undefined {
  const value = members.get(name);
  if (value === undefined) return undefined;
  // Not `instanceof`: tests may run in a separate realm.
  const time = Object.prototype.toString.call(value) === '[object Date]' ? (value as Date).getTime() : Number.NaN;
  if (Number.isNaN(time)) throw new ValueError(`${name} must be a Date, not ${show(value)}`);
  return nanoseconds(time);
}

/** @throws ValueError */
function countersOf(value: TrafficCounters | undefined, name: string): Counted | undefined {
  if (value === undefined) return undefined;
  const members = new Members(value, name, false);
  const counters = { packets: members.number64('packets'), bytes: members.number64('bytes') };
  members.end();
  return counters;
}
