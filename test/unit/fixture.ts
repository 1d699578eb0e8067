// Reads test/fixtures/*.nlmsg: hexadecimal with # comments, one attribute a line, then `---`, then what a view must find.

import { readdirSync, readFileSync } from 'node:fs';
import { EXPECTED_MASK, EXPECTED_MASTER, EXPECTED_TUPLE, expectationFields, X } from '../../src/ctnetlink/expectation-fields.js';
import { flowFields, MASTER, ORIGINAL, REPLY, S, T } from '../../src/ctnetlink/fields.js';
import type { Field, Fields } from '../../src/ctnetlink/schema.js';
import {
  CPU_STATISTICS,
  createStatisticsView,
  EXPECTATION_STATISTICS,
  GLOBAL_STATISTICS,
} from '../../src/ctnetlink/statistics.js';
import { type TupleField, tupleFields } from '../../src/ctnetlink/tuple-fields.js';
import { createExpectationView, createFlowView, type View } from '../../src/ctnetlink/view.js';

const FOLDER = new URL('../../../test/fixtures/', import.meta.url);

/** What a value reads as in the JSON part of a fixture. */
export type Value = number | string | number[];

/** The JSON part of a fixture, and what `snapshot` makes of a view. */
export interface Snapshot {
  view: ViewName;
  type: number;
  flags: number;
  portId: number;
  family: number;
  resourceId: number;
  values: Record<string, Value>;
}

export interface Fixture {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly expected: Snapshot;
  /** The comments in front of the bytes: how the message came about. */
  readonly head: readonly string[];
}

export type ViewName = 'flow' | 'expectation' | 'stats-cpu' | 'stats-global' | 'stats-expect';

/** Every fixture, by name. */
export function readFixtures(): Fixture[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.nlmsg'));
  return files.sort().map((file) => parseFixture(file.slice(0, -'.nlmsg'.length), readFileSync(new URL(file, FOLDER), 'utf8')));
}

function parseFixture(name: string, text: string): Fixture {
  const [hex = '', json = ''] = text.split('\n---\n');
  const lines = hex.split('\n');
  const digits = lines.map((line) => line.replace(/#.*/, '').replace(/\s+/g, '')).join('');
  if (!/^([0-9a-f]{2})+$/.test(digits)) throw new Error(`${name}: not hexadecimal`);
  const bytes = new Uint8Array(digits.length / 2).map((_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
  return { name, bytes, expected: JSON.parse(json), head: lines.filter((line) => line.startsWith('#')) };
}

/** A kind of view, and every slot of it with its name and its row. */
export interface Kind {
  create(): View;
  readonly slots: readonly { name: string; slot: number; row: Field }[];
}

export const KINDS: Readonly<Record<ViewName, Kind>> = {
  flow: { create: createFlowView, slots: slotsOf({ original: ORIGINAL, reply: REPLY, master: MASTER }, flowFields, S) },
  expectation: {
    create: createExpectationView,
    slots: slotsOf({ tuple: EXPECTED_TUPLE, mask: EXPECTED_MASK, master: EXPECTED_MASTER }, expectationFields, X),
  },
  'stats-cpu': statistics(CPU_STATISTICS),
  'stats-global': statistics(GLOBAL_STATISTICS),
  'stats-expect': statistics(EXPECTATION_STATISTICS),
};

function slotsOf(bases: Record<string, number>, fields: Fields, numbers: Readonly<Record<string, number>>): Kind['slots'] {
  const tuples = Object.entries(bases).flatMap(([side, base]) =>
    Object.entries<Field>(tupleFields).map(([name, row]) => ({
      name: `${side}.${name}`,
      slot: base + T[name as TupleField],
      row,
    })),
  );
  return [...tuples, ...Object.entries(fields).map(([name, row]) => ({ name, slot: numbers[name]!, row }))];
}

function statistics(names: readonly string[]): Kind {
  const slots = names.map((name, slot) => ({ name, slot, row: { path: [slot + 1], kind: 'be32', doc: '' } as Field }));
  return { create: () => createStatisticsView(names), slots };
}

/** Everything a view holds, through its own reading methods. Absent values are left out. */
export function snapshot(kind: ViewName, view: View): Snapshot {
  const values: Record<string, Value> = {};
  for (const { name, slot, row } of KINDS[kind].slots) if (view.has(slot)) values[name] = read(view, slot, row);
  const { type, flags, portId, family, resourceId } = view;
  return { view: kind, type, flags, portId, family, resourceId, values };
}

function read(view: View, slot: number, row: Field): Value {
  const bytes = (size: number) => view.bytes.slice(view.offset(slot), view.offset(slot) + size);
  const hex = (list: Uint8Array) => Array.from(list, (byte) => byte.toString(16).padStart(2, '0')).join('');
  switch (row.kind) {
    case 'u8':
      return view.u8(slot);
    case 'be16':
      return view.be16(slot);
    case 'be32':
      return view.be32(slot);
    case 'be64':
      return `${view.be64(slot)}`;
    case 'pair8':
      return [...bytes(2)];
    case 'ipv4':
      return bytes(4).join('.');
    case 'ipv6':
      return hex(bytes(16))
        .replace(/.{4}(?!$)/g, '$&:')
        .replace(/\b0{1,3}/g, '');
    case 'string':
      return new TextDecoder('latin1').decode(bytes(view.stringLength(slot)));
    case 'bytes':
      return hex(bytes(view.length(slot)));
    case 'labels': {
      const set: number[] = [];
      for (let bit = 0; bit < view.length(slot) * 8; bit++)
        if ((view.labelWord(slot, bit >> 5) >>> (bit & 31)) & 1) set.push(bit);
      return set;
    }
  }
}
