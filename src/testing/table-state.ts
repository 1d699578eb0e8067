// TableState: the contents of a table in memory, its clock, and the events that its changes cause.

import type { Flow } from '../ctnetlink/flow.js';
import { putFlowMessage } from '../ctnetlink/flow-message.js';
import { AF_INET, AF_INET6 } from '../ctnetlink/uapi/in.js';
import {
  NF_NETLINK_CONNTRACK_DESTROY,
  NF_NETLINK_CONNTRACK_EXP_DESTROY,
  NF_NETLINK_CONNTRACK_EXP_NEW,
  NF_NETLINK_CONNTRACK_NEW,
  NF_NETLINK_CONNTRACK_UPDATE,
} from '../ctnetlink/uapi/nf-conntrack-common.js';
import {
  CTA_TIMESTAMP_EVENT,
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_NEW,
  IPCTNL_MSG_EXP_DELETE,
  IPCTNL_MSG_EXP_NEW,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { putHost32 } from '../wire/bytes.js';
import { MessageWriter } from '../wire/message.js';
import { NLM_F_CREATE, NLM_F_EXCL } from '../wire/uapi/netlink.js';
import { NFNL_SUBSYS_CTNETLINK, NFNL_SUBSYS_CTNETLINK_EXP } from '../wire/uapi/nfnetlink.js';
import type { FlowTable } from './flow-rules.js';
import {
  type ExpectationEvents,
  type MemoryExpectation,
  MemoryExpectations,
  putMemoryExpectation,
} from './memory-expectations.js';
import type { MemoryFlow, Telling } from './memory-flow.js';
import { MemoryFlows } from './memory-flows.js';
import { MemoryListeners } from './memory-listeners.js';
import { PORT_ID } from './netlink-answers.js';

/** nlmsg_type of entries, and of DESTROY events. */
export const FLOW = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;
const FLOW_ENDED = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
export const EXPECTATION = (NFNL_SUBSYS_CTNETLINK_EXP << 8) | IPCTNL_MSG_EXP_NEW;
const EXPECTATION_ENDED = (NFNL_SUBSYS_CTNETLINK_EXP << 8) | IPCTNL_MSG_EXP_DELETE;

const FLOW_EVENTS = {
  NEW: { group: NF_NETLINK_CONNTRACK_NEW, type: FLOW, flags: NLM_F_CREATE | NLM_F_EXCL },
  UPDATE: { group: NF_NETLINK_CONNTRACK_UPDATE, type: FLOW, flags: 0 },
  DESTROY: { group: NF_NETLINK_CONNTRACK_DESTROY, type: FLOW_ENDED, flags: 0 },
} as const;

/** No request: packets, or time. */
export const NOBODY = 0;

const NANOSECONDS = 1_000_000_000;

/** Settings of a table in memory. */
export interface TableSettings {
  readonly maxEntries: number;
  readonly accounting: boolean;
  readonly timestamps: boolean;
  readonly labels: boolean;
  /** The time at which the table's clock starts, in nanoseconds since the epoch. */
  readonly epoch: bigint;
}

export class TableState implements FlowTable {
  readonly flows = new MemoryFlows();
  readonly expectations = new MemoryExpectations();
  readonly listeners = new MemoryListeners();
  readonly maxEntries: number;
  readonly accounting: boolean;
  readonly labels: boolean;
  now = 0;
  readonly #timestamps: boolean;
  readonly #epoch: bigint;
  readonly #message = new MessageWriter();

  constructor({ maxEntries, accounting, timestamps, labels, epoch }: TableSettings) {
    this.maxEntries = maxEntries;
    this.accounting = accounting;
    this.labels = labels;
    this.#timestamps = timestamps;
    this.#epoch = epoch;
  }

  /** The time, in nanoseconds since the epoch. */
  get time(): bigint {
    return this.#epoch + BigInt(Math.round(this.now * NANOSECONDS));
  }

  get timestamp(): bigint | undefined {
    return this.#timestamps ? this.time : undefined;
  }

  /** Announces a new flow in the table, made by a request or by packets. */
  began(flow: MemoryFlow, portId: number): void {
    this.#tell('NEW', flow, portId);
    this.endIfOver(flow);
  }

  changed(flow: MemoryFlow, portId: number): void {
    this.#tell('UPDATE', flow, portId);
    this.endIfOver(flow);
  }

  /** Removes a flow from the table, with its expectations. */
  remove(flow: MemoryFlow, portId: number): void {
    if (!this.flows.remove(flow)) return;
    if (flow.timestamp) flow.timestamp = { ...flow.timestamp, stop: this.time };
    this.#tell('DESTROY', flow, portId);
    this.endExpectations(({ master }) => master === flow, NOBODY);
  }

  endExpectations(wanted: (expectation: MemoryExpectation) => boolean, portId: number): void {
    this.expectations.removeWhere(wanted, this.expectationEvents(portId).ended);
  }

  /** Lets time pass: whatever has expired ends, in order. */
  advance(seconds: number): void {
    const until = this.now + seconds;
    const { ended } = this.expectationEvents(NOBODY);
    const ends = [
      ...Array.from(this.flows, (flow) => ({ at: flow.deadline, end: () => this.remove(flow, NOBODY) })),
      ...Array.from(this.expectations, (one) => ({ at: one.deadline, end: () => this.expectations.remove(one, ended) })),
    ];
    for (const { at, end } of ends.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)) {
      this.now = Math.max(this.now, at);
      end();
    }
    this.now = until;
  }

  expectationEvents(portId: number): ExpectationEvents {
    return {
      began: (one) => this.#tellExpectation(NF_NETLINK_CONNTRACK_EXP_NEW, EXPECTATION, NLM_F_CREATE | NLM_F_EXCL, one, portId),
      ended: (one) => this.#tellExpectation(NF_NETLINK_CONNTRACK_EXP_DESTROY, EXPECTATION_ENDED, 0, one, portId),
    };
  }

  /** Ends a flow that has no time left. */
  endIfOver(flow: MemoryFlow): void {
    if (flow.deadline <= this.now) this.remove(flow, NOBODY);
  }

  #tell(telling: Exclude<Telling, 'entry'>, flow: MemoryFlow, portId: number): void {
    const { group, type, flags } = FLOW_EVENTS[telling];
    if (!this.listeners.hear(group)) return;
    const message = this.#message;
    message.reset();
    putFlowMessage(message, flow.toFlow(telling, this.now) as Flow, { type, flags });
    if (this.timestamp !== undefined) message.be64(CTA_TIMESTAMP_EVENT, this.timestamp);
    message.end();
    this.#send(group, portId);
  }

  #tellExpectation(group: number, type: number, flags: number, expectation: MemoryExpectation, portId: number): void {
    if (!this.listeners.hear(group)) return;
    const message = this.#message;
    message.reset();
    message.begin(type, flags, 0, expectation.family === 'ipv4' ? AF_INET : AF_INET6);
    putMemoryExpectation(message, expectation, this.now);
    message.end();
    this.#send(group, portId);
  }

  #send(group: number, portId: number): void {
    const { bytes, length } = this.#message;
    putHost32(bytes, PORT_ID, portId);
    this.listeners.tell(group, bytes.slice(0, length));
  }
}
