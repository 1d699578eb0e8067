// Bodies of messages: headers that say what they are, compression, and bounds on what unpacking may cost.

import { gunzipSync, gzipSync } from 'node:zlib';
import { host32 } from '../wire/bytes.js';
import { FleetError } from './fleet-error.js';
import { isShallow } from './json-object.js';
import { MAX_BODY } from './nl1.js';
import { PROTOCOL_VERSION } from './subjects.js';

/** Headers, each in one place. */
export const H = {
  version: 'Ct-V',
  encoding: 'Ct-Enc',
  zip: 'Ct-Zip',
  /** The number of the query. */
  query: 'Ct-Q',
  /** Milliseconds from receipt. */
  deadline: 'Ct-Deadline',
  /** Bytes that an answer in one message may have. */
  inline: 'Ct-Inline',
  /** Chunks that may be sent unasked. */
  credit: 'Ct-Credit',
  /** What the asker reads besides what version 1 always had: `columns`, for COLUMNS in nl1. */
  reads: 'Ct-Reads',
  /** This start of an agent. */
  instance: 'Ct-I',
  /** The number of a message of an answer, from 0. */
  number: 'Ct-N',
  rows: 'Ct-Rows',
  kind: 'Ct-K',
  netns: 'Ct-Netns',
  /** Of events: when they came, in milliseconds since the epoch, by the clock of the host. */
  at: 'Ct-At',
  end: 'Ct-End',
  /** Of changes: the public key of who signed, and the signature. */
  key: 'Ct-Key',
  signature: 'Ct-Sig',
  /** Of records: whose they are, the number of the first, and when they were sent (milliseconds since the epoch). */
  recorder: 'Ct-R',
  first: 'Ct-First',
  sent: 'Ct-Sent',
} as const;

/** What this version reads besides what version 1 always had. */
export const READS_COLUMNS = 'columns';

/** Values of `Ct-Enc`. */
export const ENCODINGS = ['nl1', 'jc1', 'json'] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Bytes of a compressed body. */
export const MAX_ZIPPED = 256 << 10;
/** Bytes of a piece of what is unpacked, and those that stay free, which tells that there is no more. */
const LEAST_CHUNK = 1024;
const MOST_CHUNK = 1 << 20;
const SPARE = 64;
/** Below this, compression costs more than it saves. */
const WORTH_ZIPPING = 512;
/** Others cost more than they save. */
const LEVEL = 1;

const encoder = new TextEncoder();
/** Making one takes longer than decoding a question. */
const decoder = new TextDecoder();

/** A body as it is sent. */
export interface PackedBody {
  readonly data: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Copies a body that is not compressed: it may be borrowed. */
export function packBody(encoding: Encoding, body: Uint8Array): PackedBody {
  const zip = body.length >= WORTH_ZIPPING;
  return {
    data: zip ? gzipSync(body, { level: LEVEL }) : body.slice(),
    headers: { [H.version]: PROTOCOL_VERSION, [H.encoding]: encoding, [H.zip]: zip ? 'gzip' : 'none' },
  };
}

export function packJson(value: unknown): PackedBody {
  return packBody('json', encoder.encode(JSON.stringify(value)));
}

/** What came, before it is unpacked. */
export interface Received {
  readonly data: Uint8Array;
  header(name: string): string | undefined;
}

/** @throws FleetError `ENCODING`, `VERSION` */
export function unpackBody(received: Received, encoding: Encoding): Uint8Array {
  const { data } = received;
  const version = received.header(H.version);
  if (version !== PROTOCOL_VERSION) throw new FleetError('VERSION', `a message of version ${version ?? 'none'}`);
  const told = received.header(H.encoding);
  if (told !== encoding) throw new FleetError('ENCODING', `the encoding ${told ?? 'none'} instead of ${encoding}`);
  const zip = received.header(H.zip) ?? 'none';
  if (zip === 'none') {
    if (data.length > MAX_BODY) throw new FleetError('ENCODING', `a body of ${data.length} bytes`);
    return data;
  }
  if (zip !== 'gzip') throw new FleetError('ENCODING', `the compression ${zip} is not known`);
  if (data.length > MAX_ZIPPED) throw new FleetError('ENCODING', `a compressed body of ${data.length} bytes`);
  try {
    return gunzipSync(data, { maxOutputLength: MAX_BODY, chunkSize: unpackedSize(data) });
  } catch (error) {
    throw new FleetError('ENCODING', `a body that cannot be unpacked: ${(error as Error).message}`, { cause: error });
  }
}

/** Bytes of memory for what is unpacked, so that it comes in one piece: as many as its last four bytes promise, if that is true. */
function unpackedSize(data: Uint8Array): number {
  const told = data.length < 4 ? 0 : host32(data, data.length - 4);
  return Math.min(Math.max(told, LEAST_CHUNK) + SPARE, MOST_CHUNK);
}

/** @throws FleetError `ENCODING`, `VERSION` */
export function unpackJson(received: Received): unknown {
  const text = decoder.decode(unpackBody(received, 'json'));
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch (error) {
    throw new FleetError('ENCODING', 'a body that is no JSON', { cause: error });
  }
  if (!isShallow(told)) throw new FleetError('ENCODING', 'a body that is nested too deep');
  return told;
}

/** A header with a number from `least` to `most`; what is not one is `otherwise`. */
export function numberHeader(received: Received, name: string, otherwise: number, least: number, most: number): number {
  const text = received.header(name);
  const value = text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : otherwise;
}

/** A header of any text; `undefined` if there is none that can be read. */
export function decoded(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
