// What is asked of a fleet, who takes what comes, and what is said of it in the end.

import type { Signal } from '../library/index.js';
import type { Encoding, PackedBody } from './bodies.js';
import type { ChangeOperation } from './change-request.js';
import type { HostInfo } from './inventory.js';
import type { Operation, QueryBody } from './operations.js';

/** Why there is no complete answer of a host. */
export type MissingReason = 'silent' | 'deadline' | 'overloaded' | 'error' | 'version' | 'hole' | 'stalled' | 'cancelled';

/** A host whose answer is missing or not complete. */
export interface MissingHost {
  readonly host: string;
  readonly why: MissingReason;
  /** Rows that came nevertheless. */
  readonly rows: number;
  /** Milliseconds since it was heard of; absent if that is not known. */
  readonly age?: number | undefined;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string | undefined } | undefined;
}

/** A complete answer. */
export interface AnsweredHost {
  readonly host: string;
  readonly rows: number;
  /** Milliseconds that the host took. */
  readonly ms: number;
}

/** How a question to a fleet ended. */
export interface FleetResult {
  /** Whether every host that was asked gave a complete answer. */
  readonly complete: boolean;
  readonly answered: readonly AnsweredHost[];
  readonly missing: readonly MissingHost[];
  readonly ms: number;
  /** Why the inventory cannot be read: then hosts that did not answer are not known, and not among the missing. */
  readonly unlisted?: string | undefined;
}

/** Takes what comes. A promise makes the hosts wait. */
export interface FleetVisitor {
  /** Flows of a host, as a body of the question's encoding, which is valid during the call. @returns `enough`: no more is wanted */
  rows?(host: string, netns: string | undefined, body: Uint8Array, at?: number): RowsTaken | Promise<RowsTaken>;
  /** Something that is told between rows. */
  note?(host: string, value: unknown): void;
  /** The answer of a host to a question that is answered by one value. */
  value?(host: string, value: unknown): void;
  /** Whether more rows of a host are wanted now. Default: yes. When that changes, call `more` of the query. */
  wants?(host: string): boolean;
  /** A host has begun to answer. */
  begun?(host: string): void;
  /** Of a host no complete answer comes. */
  missed?(missing: MissingHost): void;
  /** No more comes of a host, whatever the reason. */
  ended?(host: string): void | Promise<void>;
}

/** How many rows were taken, and whether no more are wanted. */
export interface RowsTaken {
  readonly rows: number;
  readonly enough?: boolean | undefined;
}

/** What is asked, and whom. */
export interface FleetQuestion {
  readonly op: Operation | ChangeOperation;
  readonly body: QueryBody;
  /** Instead: what each host is asked. */
  readonly bodyOf?: ((host: string) => QueryBody) | undefined;
  /** How rows come. Default `nl1`. */
  readonly encoding?: Encoding | undefined;
  /** Milliseconds after which a host that has said nothing more is given up: those that work for long give signs of life. */
  readonly silence?: number | undefined;
  /** Chunks that may be under way, of all hosts together. Default 32. */
  readonly window?: number | undefined;
  /** Of changes: what each host is asked. Then nobody is asked twice. */
  readonly request?: ((host: string) => PackedBody) | undefined;
  /** Hosts that should answer, or collectors. */
  readonly hosts: readonly HostInfo[];
  readonly collectors?: boolean | undefined;
  /** Every host of these sites is asked at once; `_`: of all. Absent: each of `hosts` by itself. */
  readonly sites?: readonly string[] | undefined;
  /** With `sites`: whether the answer of a host that is not among `hosts` is wanted. */
  readonly isChosen?: ((host: string) => boolean) | undefined;
  /** With `sites`: `hosts` are not all that there are. Whoever else answers within `wait` is waited for. */
  readonly blind?: boolean | undefined;
  /** Milliseconds after which a host that said nothing is silent. */
  readonly wait: number;
  /** Milliseconds that a host may work, and that the asker waits for something to come. */
  readonly deadline: number;
  /** Rows in the order in which they come, or one host after the other, by name. Default `arrival`. */
  readonly order?: 'arrival' | 'host' | undefined;
  readonly signal?: Signal | undefined;
}
