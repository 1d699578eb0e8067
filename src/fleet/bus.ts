// What a fleet needs of the servers between its machines. nats.ts has it from the NATS client; tests may have it from elsewhere.

import type { Signal } from '../library/index.js';

/** A message that came. */
export interface BusMessage {
  readonly subject: string;
  readonly reply: string | undefined;
  readonly data: Uint8Array;
  /** Status of the server, such as 503: nobody listens. 0 for messages of others. */
  readonly status: number;
  header(name: string): string | undefined;
}

/** What is said with a message. */
export interface PublishOptions {
  readonly reply?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface BusSubscription {
  unsubscribe(): void;
}

/** A value of a bucket. */
export interface BucketEntry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
  /** When the server took it: milliseconds since the epoch, by its clock. */
  readonly at: number;
}

/** All values of a bucket. */
export interface BucketContents {
  readonly entries: readonly BucketEntry[];
  /** The server's time, in milliseconds since the epoch. */
  readonly now: number;
}

/** How a bucket is made. */
export interface BucketConfig {
  readonly replicas: number;
  /** Milliseconds that a value is kept. */
  readonly ttl: number;
}

/** How a stream is made: messages that the servers keep, each confirmed by them. Nobody may take single ones out of it. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  /** Milliseconds that a message is kept; absent: for ever. */
  readonly maxAge?: number | undefined;
  readonly maxBytes: number;
  /** Bytes of one message. */
  readonly maxMessage: number;
  /** When it is full: `refuse` what comes, or `drop` the oldest. */
  readonly full: 'refuse' | 'drop';
}

/** How a message is added to a stream. */
export interface AppendOptions {
  readonly id?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds. */
  readonly timeout: number;
}

/** A message of a stream. */
export interface StreamMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly sequence: number;
  /** When the server took it: milliseconds since the epoch, by its clock. */
  readonly at: number;
}

/** A message of a stream that is read as it grows. */
export interface FollowedMessage extends StreamMessage {
  /** Messages behind it that are there already. */
  readonly pending: number;
  header(name: string): string | undefined;
}

/** What the servers say of a stream. */
export interface StreamState {
  /** When it was made: another time is another stream of the same name. */
  readonly created: string;
  /** Numbers of its first and last message; the first is above the last if there is none. */
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

/** How a stream is kept, or what keeps a bucket. */
export interface StreamHealth {
  readonly subjects: readonly string[];
  readonly replicas: number;
  /** Below 0: as much as there is room for. */
  readonly maxBytes: number;
  /** Milliseconds; absent: for ever. */
  readonly maxAge: number | undefined;
  /** Bytes of one message; below 0: any. */
  readonly maxMessage: number;
  readonly full: StreamConfig['full'];
  /** Nobody may take single messages out of it. */
  readonly isProtected: boolean;
  readonly onDisk: boolean;
  readonly bytes: number;
  /** Streams of sites that it takes in: how many messages wait there, and milliseconds since it heard of them, if it has. */
  readonly sites: readonly { readonly site: string; readonly lag: number; readonly silent: number | undefined }[];
  /** When the servers took its first message: milliseconds since the epoch; absent if there is none. */
  readonly since: number | undefined;
  /** The server that leads; absent if none does at the moment, or if it is alone. */
  readonly leader: string | undefined;
  readonly followers: readonly {
    readonly name: string;
    /** It has everything. */
    readonly current: boolean;
    readonly offline: boolean;
    /** Messages that it lacks. */
    readonly lag: number;
  }[];
}

/** Somebody else has written the value meanwhile. */
export class RevisionError extends Error {}

/** A connection to the servers. */
export interface Bus {
  /** The server that it is connected to, as host:port. */
  readonly server: string;
  /** Its version. */
  readonly serverVersion: string;
  /** Whether there is a connection at the moment. */
  readonly connected: boolean;
  publish(subject: string, data: Uint8Array, options?: PublishOptions): void;
  /** `refused` is told why the server does not allow it; without it, the log is. */
  subscribe(subject: string, take: (message: BusMessage) => void, refused?: (reason: string) => void): BusSubscription;
  /** Settles when the server has everything that was published. */
  flush(): Promise<void>;
  /** Whether the server can keep buckets and has this one. @throws FleetError `NOT_SET_UP` if it keeps none at all */
  hasBucket(bucket: string): Promise<boolean>;
  makeBucket(bucket: string, config: BucketConfig): Promise<void>;
  /** Every value. @throws FleetError `NOT_SET_UP` if there is no such bucket */
  readBucket(bucket: string): Promise<BucketContents>;
  readKey(bucket: string, key: string): Promise<BucketEntry | undefined>;
  /** Writes a value if it has this revision; 0: if there is none. @returns the new revision. @throws RevisionError */
  writeKey(bucket: string, key: string, value: Uint8Array, revision: number): Promise<number>;
  /** @throws FleetError `NOT_SET_UP` if the server keeps nothing at all */
  hasStream(name: string): Promise<boolean>;
  /** How a stream is kept; `undefined` if there is none. @throws FleetError */
  streamHealth(name: string): Promise<StreamHealth | undefined>;
  /** As `streamHealth`, of a bucket. */
  bucketHealth(bucket: string): Promise<StreamHealth | undefined>;
  /** What there is already stays as it is. `site`: on the servers of a site, a JetStream domain. @throws FleetError */
  makeStream(config: StreamConfig, replicas: number, site?: string): Promise<void>;
  /** Lets a stream take in what the stream of the same name of a site has. @returns whether it is new @throws FleetError */
  addSite(name: string, site: string): Promise<boolean>;
  /**
   * Publishes to the stream that keeps this subject, and settles when the servers keep it; `id`: a copy within two minutes is not kept
   * again. @returns its sequence number @throws FleetError `UNAVAILABLE` without an answer in `timeout` milliseconds, or if it is refused
   */
  append(subject: string, data: Uint8Array, options: AppendOptions): Promise<number>;
  /** What a stream has of a subject at the moment, from a time on (milliseconds since the epoch). @throws FleetError */
  readStream(
    name: string,
    options: { readonly subject: string; readonly from?: number | undefined },
  ): AsyncIterable<StreamMessage>;
  /** `undefined`: there is no such stream. @throws FleetError */
  streamState(name: string): Promise<StreamState | undefined>;
  /**
   * Messages of a stream from a number on, in their order and none twice, those that come as well. It ends with the signal, and when nothing
   * is heard of the servers any more: whoever follows begins anew behind the last message. @throws FleetError
   */
  followStream(
    name: string,
    options: { readonly subject: string; readonly from: number; readonly signal: Signal },
  ): AsyncIterable<FollowedMessage>;
  /** Calls back with `lost` when the connection is lost, and with `back` when it is there again. @returns what ends that */
  onConnection(callback: (what: 'lost' | 'back') => void): () => void;
  /**
   * Calls back with the subject of what was published and the servers do not let pass: the key does not allow it. `true` says that it is
   * told to whoever asked; otherwise the log is told. @returns what ends that
   */
  onRefusal(callback: (subject: string) => boolean): () => void;
  /** Leaves this server for another one. */
  reconnect(): void;
  /** Sends what was published, and ends. Idempotent. */
  close(): Promise<void>;
}
