// A line that `conntrack history` printed as ndjson or csv → a row of `flow`. It comes from elsewhere: what is not as we write it is an
// error with its reason, and each row says that it was imported.

import { type AddressBytes, parseAddress } from '../ctnetlink/address.js';
import { TRACKERS } from '../ctnetlink/filter/compile.js';
import { PROTOCOLS } from '../ctnetlink/protocols/index.js';
import { bitOfName, STATUS_NAMES } from '../ctnetlink/status.js';
import { ValueError } from '../errors.js';
import type { SqliteValue } from './driver/sqlite.js';
import { parseMoment } from './moments.js';
import { PAST_COLUMNS } from './past-columns.js';
import {
  type ColumnName,
  END_KINDS,
  END_REASONS,
  END_SHIFT,
  HOW_CLOCK_SET,
  HOW_IMPORTED,
  HOW_INJECTED,
  HOW_OFFLOADED,
  ORIGINAL_ONLY,
  REPLY_ONLY,
  START_KINDS,
} from './record-columns.js';
import { addressValue } from './sql-condition.js';

/** A row of `flow`, without its number; what is left out is NULL. */
export interface ImportedRow {
  readonly columns: Readonly<Partial<Record<ColumnName, SqliteValue>>>;
  /** Name of its network namespace, if it is another than the recorder's. */
  readonly netns: string | undefined;
}

type Columns = ImportedRow['columns'];
type Told = Readonly<Record<string, unknown>>;

const U16 = 0xffff;
const U32 = 0xffff_ffff;
const MOST_NAME = 255;
const ANY_HOW = HOW_CLOCK_SET | HOW_OFFLOADED | HOW_INJECTED | ((1 << (END_SHIFT + 3)) - 1);
const STATES = new Map(TRACKERS.map(({ protonum, states }) => [protonum, states]));

/**
 * The flow of a line of JSON.
 * @returns `undefined` for a flow that lived: its end is not known
 * @throws ValueError
 */
export function rowOfJson(line: string): ImportedRow | undefined {
  const told = objectIn(parsed(line), 'the line');
  if (told['host'] !== undefined) throw new ValueError('it is of several hosts: each has a record of its own');
  const [start, quality] = [told['start'], objectIn(told['quality'], 'quality')];
  if (told['end'] === undefined && start !== undefined) return undefined;
  const [original, reply] = [objectIn(told['original'], 'original'), objectIn(told['reply'], 'reply')];
  const proto = numberIn(original['protonum'], 'protonum', 0xff)!;
  const dport = portOf(original, 'dport');
  const ext = addressIn(reply['dst'], 'reply.dst');
  const dst = addressOr(original['dst'], 'original.dst');
  return {
    columns: {
      ...timesOf(start, told['end'], quality['startSlack'], quality['endSlack']),
      src: addressValue(addressIn(original['src'], 'original.src')),
      sport: idOf(original) ?? portOf(original, 'sport') ?? null,
      dst: dst ? addressValue(dst) : null,
      dport: icmpOf(original) ?? dport ?? null,
      ext: addressValue(ext),
      eport: idOf(reply) ?? portOf(reply, 'dport') ?? null,
      ...responderOf(reply, dst, dport),
      proto,
      status: statusOf(told['status']),
      state: stateOf(proto, told['state']),
      zone: zoneOf(told, original, reply),
      mark: orNull(numberIn(told['mark'], 'mark', U32)),
      opk: counterIn(original['packets'], 'packets'),
      ob: counterIn(original['bytes'], 'bytes'),
      rpk: counterIn(reply['packets'], 'packets'),
      rb: counterIn(reply['bytes'], 'bytes'),
      end_reason: reasonOf(told['endReason']),
      how: howOf(quality),
      ctid: told['id'] === undefined ? null : numberIn(told['id'], 'id', U32)! | 0,
    },
    netns: netnsOf(told['netns']),
  };
}

/** Reads lines of CSV, whose first one has the names of the columns. */
export class CsvRows {
  readonly #places: ReadonlyMap<string, number>;

  /** @param header the first line @throws ValueError */
  constructor(header: string) {
    const names = cellsOf(header);
    this.#places = new Map(names.map((name, place) => [name, place]));
    const known = new Set(PAST_COLUMNS.map(({ name }) => name));
    const strange = names.find((name) => !known.has(name));
    if (strange !== undefined) throw new ValueError(`${JSON.stringify(strange)} is no column of conntrack history -o csv`);
    for (const name of ['start', 'end', 'protocol', 'src', 'outside', 'how'])
      if (!this.#places.has(name)) throw new ValueError(`the column ${name} is missing`);
  }

  /** @returns `undefined` for a flow that lived @throws ValueError */
  row(line: string): ImportedRow | undefined {
    const cells = cellsOf(line);
    if (cells.length !== this.#places.size) throw new ValueError(`it has ${cells.length} cells, not ${this.#places.size}`);
    const cell = (name: string) => cells[this.#places.get(name) ?? -1] || undefined;
    if (cell('end') === undefined && cell('start') !== undefined) return undefined;
    const number = (name: string, most: number) => orAbsent(numberIn(digitsIn(cell(name), name), name, most));
    const address = (name: string) => {
      const found = addressOr(cell(name), name);
      return found ? addressValue(found) : null;
    };
    const proto = protocolOf(cell('protocol'));
    return {
      columns: {
        ...timesOf(
          cell('start'),
          cell('end'),
          digitsIn(cell('start_slack'), 'start_slack'),
          digitsIn(cell('end_slack'), 'end_slack'),
        ),
        src: addressValue(addressIn(cell('src'), 'src')),
        sport: number('sport', U16),
        dst: address('dst'),
        dport: number('dport', U16),
        ext: addressValue(addressIn(cell('outside'), 'outside')),
        eport: number('outside_port', U16),
        rsrc: address('responder'),
        rsport: number('responder_port', U16),
        proto,
        status: number('status', U32),
        state: stateOf(proto, cell('state')),
        zone: orNull(number('zone', U16)),
        mark: orNull(number('mark', U32)),
        opk: counterIn(cell('packets'), 'packets'),
        ob: counterIn(cell('bytes'), 'bytes'),
        rpk: counterIn(cell('reply_packets'), 'reply_packets'),
        rb: counterIn(cell('reply_bytes'), 'reply_bytes'),
        end_reason: reasonOf(cell('end_reason')),
        how: (number('how', U16)! & ANY_HOW) | HOW_IMPORTED,
      },
      netns: netnsOf(cell('netns')?.replace(/^'(?=[=+\-@\t\r])/, '')),
    };
  }
}

/** RFC 4180, a line of it. */
function cellsOf(line: string): string[] {
  const cells: string[] = [];
  const cell = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (;;) {
    const parts = cell.exec(line);
    if (!parts) throw new ValueError('its quotation marks do not fit');
    cells.push(parts[1] === undefined ? parts[2]! : parts[1].replaceAll('""', '"'));
    if (parts[3] === '') return cells;
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new ValueError('it is no JSON');
  }
}

function objectIn(value: unknown, name: string): Told {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ValueError(`${name} is no object`);
  return value as Told;
}

/** `undefined` if it is absent. @throws ValueError for anything but a whole number from 0 to the most */
function numberIn(value: unknown, name: string, most: number): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
  throw new ValueError(`${name} is no whole number from 0 to ${most}`);
}

function digitsIn(value: string | undefined, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,16}$/.test(value)) throw new ValueError(`${name} is no number`);
  return Number(value);
}

function orAbsent(value: number | undefined): number | null {
  return value ?? null;
}

/** What is 0 is not written. */
function orNull(value: number | null | undefined): number | null {
  return value || null;
}

function addressOr(value: unknown, name: string): AddressBytes | undefined {
  return value === undefined ? undefined : addressIn(value, name);
}

function addressIn(value: unknown, name: string): AddressBytes {
  const address = typeof value === 'string' ? parseAddress(value) : undefined;
  if (!address) throw new ValueError(`${name} is no address`);
  return address;
}

function momentIn(value: unknown, name: string): number {
  if (typeof value !== 'string' || !/^\d{4}-/.test(value)) throw new ValueError(`${name} is no time`);
  return parseMoment(value, 0).from;
}

function timesOf(begun: unknown, ended: unknown, startSlack: unknown, endSlack: unknown): Columns {
  const [start, end] = [momentIn(begun, 'start'), momentIn(ended, 'end')];
  if (end < start) throw new ValueError('it ends before it begins');
  const slack = (value: unknown, name: string) => numberIn(value, name, Number.MAX_SAFE_INTEGER) ?? 0;
  return { start, dur: end - start, sslack: slack(startSlack, 'startSlack'), eslack: slack(endSlack, 'endSlack') };
}

function portOf(side: Told, name: 'sport' | 'dport'): number | undefined {
  return numberIn(side[name], name, U16);
}

function idOf(side: Told): number | undefined {
  return numberIn(side['icmpId'], 'icmpId', U16);
}

function icmpOf(side: Told): number | undefined {
  const [type, code] = [numberIn(side['icmpType'], 'icmpType', 0xff), numberIn(side['icmpCode'], 'icmpCode', 0xff)];
  return type === undefined ? undefined : type * 256 + (code ?? 0);
}

/** Who really answered, if that is not the destination. */
function responderOf(reply: Told, dst: AddressBytes | undefined, dport: number | undefined): Columns {
  const src = addressOr(reply['src'], 'reply.src');
  const sport = portOf(reply, 'sport');
  if (!src || !dst || (Buffer.from(src).equals(dst) && sport === dport)) return {};
  return { rsrc: addressValue(src), rsport: sport ?? null };
}

function statusOf(value: unknown): number | null {
  if (value === undefined) return null;
  if (!Array.isArray(value)) throw new ValueError('status is no list');
  return value.reduce((bits: number, name: unknown) => {
    const bit = typeof name === 'string' ? bitOfName(STATUS_NAMES, name) : undefined;
    if (bit === undefined) throw new ValueError(`${JSON.stringify(name)} is no status`);
    return (bits | (1 << bit)) >>> 0;
  }, 0);
}

function stateOf(proto: number, value: unknown): number | null {
  if (value === undefined) return null;
  const number = typeof value === 'string' ? (STATES.get(proto)?.indexOf(value) ?? -1) : -1;
  if (number < 0) throw new ValueError(`${JSON.stringify(value)} is no state of that protocol`);
  return number;
}

function protocolOf(value: string | undefined): number {
  const known = PROTOCOLS.find(({ name }) => name === value)?.number;
  return known ?? numberIn(digitsIn(value, 'protocol'), 'protocol', 0xff) ?? 0;
}

function zoneOf(told: Told, original: Told, reply: Told): number | null {
  const both = numberIn(told['zone'], 'zone', U16);
  if (both !== undefined) return orNull(both);
  const [first, second] = [numberIn(original['zone'], 'zone', U16), numberIn(reply['zone'], 'zone', U16)];
  return first !== undefined ? ORIGINAL_ONLY + first : second !== undefined ? REPLY_ONLY + second : null;
}

/** Of 64 bits, as SQLite has them: with a sign. */
function counterIn(value: unknown, name: string): SqliteValue {
  if (value === undefined) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) throw new ValueError(`${name} is no counter`);
  const wide = BigInt(value);
  return wide <= Number.MAX_SAFE_INTEGER ? Number(wide) : BigInt.asIntN(64, wide);
}

function reasonOf(value: unknown): number | null {
  if (value === undefined) return null;
  const place = (END_REASONS as readonly unknown[]).indexOf(value);
  if (place < 0) throw new ValueError(`${JSON.stringify(value)} is no reason of an end`);
  return place + 1;
}

function howOf({ start, end, counters, clockSet, injected }: Told): number {
  const kind = (kinds: readonly unknown[], value: unknown, name: string) => {
    const place = kinds.indexOf(value);
    if (place < 0) throw new ValueError(`quality.${name} is not known`);
    return place;
  };
  return (
    kind(START_KINDS, start, 'start') |
    (kind(END_KINDS, end, 'end') << END_SHIFT) |
    (counters === 'partial' ? HOW_OFFLOADED : 0) |
    (clockSet === true ? HOW_CLOCK_SET : 0) |
    (injected === true ? HOW_INJECTED : 0) |
    HOW_IMPORTED
  );
}

function netnsOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value !== '' && value.length <= MOST_NAME) return value;
  throw new ValueError('netns is no name');
}
