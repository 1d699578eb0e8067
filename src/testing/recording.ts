// The file that a recorder writes and a replay reads: one JSON object per line, in the order of events. docs/testing.md documents the
// format; only this file reads and writes it.

import { ConntrackError } from '../errors.js';
import { HOST_BYTE_ORDER } from '../wire/bytes.js';

/** The file is not a recording, or one that cannot be replayed here. */
export class RecordingError extends ConntrackError {
  readonly code = 'RECORDING';
}

/** The first line. */
export interface Header {
  readonly format: 'conntrack-recording';
  readonly version: 1;
  /** Netlink headers are in the order of the machine they were recorded on. */
  readonly byteOrder: 'little' | 'big';
}

/** What happened on one transport. `at`: milliseconds since the recording began. Bytes are Base64. */
export type Step =
  /** `filter`: a program that let only some messages of the groups through; absent if it received all of them. */
  | {
      readonly at: number;
      readonly transport: number;
      readonly kind: 'open';
      readonly groups: number;
      readonly portId: number;
      readonly filter?: Uint8Array;
    }
  | { readonly at: number; readonly transport: number; readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly at: number; readonly transport: number; readonly kind: 'receive'; readonly bytes: Uint8Array }
  /** A receive failed with this errno, such as 105 for ENOBUFS. */
  | { readonly at: number; readonly transport: number; readonly kind: 'fail'; readonly errno: number }
  /** The library asked for the number of lost datagrams. */
  | { readonly at: number; readonly transport: number; readonly kind: 'drops'; readonly count: number };

export const HEADER: Header = { format: 'conntrack-recording', version: 1, byteOrder: HOST_BYTE_ORDER };

/** A line, with its newline. */
export function formatStep(step: Step): string {
  const members = Object.entries(step).map(([name, value]) => [name, value instanceof Uint8Array ? toBase64(value) : value]);
  return `${JSON.stringify(Object.fromEntries(members))}\n`;
}

/** The steps of a recording. @throws RecordingError that names the line */
export function parseRecording(text: string): Step[] {
  const lines = text.split('\n');
  const header = parseLine(lines[0] ?? '', 1) as Partial<Header>;
  if (header.format !== HEADER.format)
    throw new RecordingError('this is not a recording: its first line has no format "conntrack-recording"');
  if (header.version !== HEADER.version)
    throw new RecordingError(`recordings of version ${header.version} are not supported here`);
  if (header.byteOrder !== HEADER.byteOrder)
    throw new RecordingError(
      `the recording is from a ${header.byteOrder}-endian machine and this one is ${HEADER.byteOrder}-endian`,
    );
  return lines.flatMap((line, i) => (i === 0 || line.trim() === '' ? [] : [toStep(parseLine(line, i + 1), i + 1)]));
}

function parseLine(line: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new RecordingError(`line ${number} of the recording is not a JSON object`);
}

/** The numbers that a step of each kind has besides `at` and `transport`. */
const NUMBERS: Readonly<Record<Step['kind'], readonly string[]>> = {
  open: ['groups', 'portId'],
  send: [],
  receive: [],
  fail: ['errno'],
  drops: ['count'],
};

function toStep(value: Record<string, unknown>, line: number): Step {
  const kind = String(value['kind']) as Step['kind'];
  if (!Object.hasOwn(NUMBERS, kind))
    throw new RecordingError(`line ${line} of the recording: unknown kind ${JSON.stringify(value['kind'])}`);
  for (const key of ['at', 'transport', ...NUMBERS[kind]])
    if (!Number.isSafeInteger(value[key]))
      throw new RecordingError(`line ${line} of the recording: ${key} is not a whole number`);
  const name = kind === 'send' || kind === 'receive' ? 'bytes' : kind === 'open' && value['filter'] !== undefined ? 'filter' : '';
  if (name === '') return value as unknown as Step;
  const text = value[name];
  if (typeof text !== 'string' || !BASE64.test(text))
    throw new RecordingError(`line ${line} of the recording: ${name} is not in Base64`);
  return { ...value, [name]: fromBase64(text) } as unknown as Step;
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
