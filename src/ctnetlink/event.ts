// FlowEvent, ExpectationEvent: what happened to an entry, as owned objects.

import { eventType } from './event-type.js';
import type { Expectation } from './expectation.js';
import type { Flow } from './flow.js';
import { INSPECT, type Json, toJson, toPlain } from './plain.js';
import { ORIGIN_INITIAL, ORIGIN_KERNEL, type View } from './view.js';

/** What happened: the entry is new, was changed, or is gone. */
export type EventType = 'NEW' | 'UPDATE' | 'DESTROY';
export const EVENT_TYPES = ['NEW', 'UPDATE', 'DESTROY'] as const satisfies readonly EventType[];

/** The multicast groups of some types, a bit each. */
export function eventGroups(types: readonly EventType[]): number {
  return types.reduce((groups, type) => groups | (1 << EVENT_TYPES.indexOf(type)), 0);
}

/** Members that events of flows and of expectations have in common. */
export interface EventInfo {
  readonly type: EventType;
  /** When it happened, in nanoseconds since the epoch. Absent unless the kernel sends it (sysctl nf_conntrack_timestamp, Linux 6.14). */
  readonly timestamp?: bigint | undefined;
  /** Netlink port id of the program whose request caused it, 1 to 2^32 - 1. Absent if packets or time caused it. */
  readonly portId?: number | undefined;
  /**
   * Name of the program that owns that socket: text from outside, up to 15 bytes that the program chose itself. Only with the option
   * `program`, and absent if the program has ended, belongs to another network namespace, or lookups have taken too long.
   */
  readonly program?: string | undefined;
  /** Process id of that program. Absent as `program`. */
  readonly pid?: number | undefined;
  /** Absent for the kernel's own events. `initial`: the entry existed when the watch began. `resync`: replaces events that were lost. */
  readonly origin?: 'initial' | 'resync' | undefined;
}

/** Something that happened to a flow. */
export interface FlowEvent extends EventInfo {
  /** The flow as the kernel sends it with the event: without `use`, and with counters only in DESTROY events. */
  readonly flow: Flow;
  /** The same as a line of `-E -o ndjson`; see docs/json.md. */
  toJSON(): Json<FlowEvent>;
}

/** Something that happened to an expectation: it was created, or is gone. */
export interface ExpectationEvent extends EventInfo {
  readonly expectation: Expectation;
  /** The same as a line of `-E expect -o ndjson`. */
  toJSON(): Json<ExpectationEvent>;
}

/** Who caused an event. */
export interface EventProgram {
  readonly name: Uint8Array;
  readonly pid: number;
}

abstract class Base implements EventInfo {
  readonly type: EventType;
  readonly timestamp: bigint | undefined;
  readonly portId: number | undefined;
  readonly program: string | undefined;
  readonly pid: number | undefined;
  readonly origin: 'initial' | 'resync' | undefined;

  constructor(view: View, timestamp: bigint | undefined, program: EventProgram | undefined) {
    this.type = EVENT_TYPES[eventType(view)]!;
    this.timestamp = timestamp;
    this.portId = view.portId === 0 ? undefined : view.portId;
    this.program = program && new TextDecoder().decode(program.name);
    this.pid = program?.pid;
    this.origin = view.origin === ORIGIN_KERNEL ? undefined : view.origin === ORIGIN_INITIAL ? 'initial' : 'resync';
  }

  [INSPECT](): object {
    return toPlain(this);
  }
}

class FlowEventObject extends Base implements FlowEvent {
  readonly flow: Flow;

  constructor(view: View, timestamp: bigint | undefined, flow: Flow, program: EventProgram | undefined) {
    super(view, timestamp, program);
    this.flow = flow;
  }

  toJSON(): Json<FlowEvent> {
    return toJson<FlowEvent>(this);
  }
}

class ExpectationEventObject extends Base implements ExpectationEvent {
  readonly expectation: Expectation;

  constructor(view: View, expectation: Expectation, program: EventProgram | undefined) {
    super(view, undefined, program);
    this.expectation = expectation;
  }

  toJSON(): Json<ExpectationEvent> {
    return toJson<ExpectationEvent>(this);
  }
}

/** The event in a view, given its flow. `timestamp`: CTA_TIMESTAMP_EVENT. */
export function flowEvent(view: View, timestamp: bigint | undefined, flow: Flow, program?: EventProgram): FlowEvent {
  return new FlowEventObject(view, timestamp, flow, program);
}

/** The event in a view, given its expectation. */
export function expectationEvent(view: View, expectation: Expectation, program?: EventProgram): ExpectationEvent {
  return new ExpectationEventObject(view, expectation, program);
}
