// What a handler is made with.

import type { FlowHistory } from '../history/index.js';
import type { FlowMeter, Namespaces } from '../meter/index.js';
import type { FetchRequest } from './fetch-types.js';

/** What somebody may do. */
export type Role = 'read' | 'change';

/** Options of `createHandler`. */
export interface HandlerOptions {
  /** What it shows; stays the caller's, who closes it. */
  readonly meter: FlowMeter;
  /** The tables of the meter: the flows of answers are asked of them, and deleted from them. A map may change with the meter. */
  readonly conntracks: Namespaces;
  /**
   * Who asks, by the headers of the request and the connection, if that is known: `read`, `change`, or anything else, which is answered with 401. May throw a Response of its
   * own. Default: everybody reads; give one unless something in front of the handler does.
   */
  readonly authorize?: ((request: FetchRequest, peer?: Peer) => Role | undefined | Promise<Role | undefined>) | undefined;
  /** Flows can be deleted by those who may change. Default false: the routes do not exist. */
  readonly allowChanges?: boolean | undefined;
  /** Host names, besides loopback ones, under which it is asked. Default: any. */
  readonly hosts?: readonly string[] | undefined;
  /** Proxies whose X-Forwarded-For or Forwarded says who asks: addresses, networks, or `unix`. For logs, and what is bounded by address. */
  readonly trustProxy?: readonly string[] | undefined;
  /** What precedes all paths, such as `/ct`. */
  readonly basePath?: string | undefined;
  /** The filter of the meter, if it has one: deletions stay within it. */
  readonly scope?: string | undefined;
  /** Name of this machine, for titles. Default: that of the system. */
  readonly name?: string | undefined;
  /** What `status` says of the version. */
  readonly version?: string | undefined;
  /** Streams that may be open at the same time. Default 64. */
  readonly maxStreams?: number | undefined;
  /** Nothing but health and metrics. */
  readonly metricsOnly?: boolean | undefined;
  /** Metrics need no token. */
  readonly metricsOpen?: boolean | undefined;
  /** The largest groups of these groupings have metrics of their own: 1 to 100 of each, 4 groupings at most. */
  readonly metricsTop?: readonly { readonly by: string; readonly limit: number }[] | undefined;
  /** The record of flows that is asked for what the meter does not remember; stays the caller's. Default: none. */
  readonly history?: Pick<FlowHistory, 'flows' | 'top'> | undefined;
  /** Milliseconds between lists of the meter while nobody has asked for a minute and no stream is open. Default: as always. */
  readonly idleInterval?: number | undefined;
  /** Gets every change, refusal and unexpected error. */
  readonly log?: ((entry: LogEntry) => void) | undefined;
}

/** Something that is worth a line in a log. */
export interface LogEntry {
  readonly what: 'deletion' | 'refused' | 'error';
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Who asks, if it is known: the other end of the connection, or, behind a trusted proxy, the address that it tells. */
  readonly peer?: string;
  readonly role?: Role;
  /** Of a deletion. */
  readonly filter?: string;
  readonly netns?: string;
  readonly deleted?: number;
  readonly failed?: number;
  /** Of an unexpected error: with its stack. */
  readonly error?: string;
  /** Refusals before this one that have no entry of their own: there were too many in a second. */
  readonly untold?: number;
}

/** The connection that a request came by; without an address, a socket in the file system. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The address of who asks, as a trusted proxy tells it; set from `trustProxy`. */
  readonly client?: string | undefined;
  /** Ends the connection: for a reader of a stream that takes nothing. */
  readonly cut?: (() => void) | undefined;
}
