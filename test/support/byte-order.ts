// A machine with the other byte order: the sources with another `wire/byte-order.js`, and messages as that machine's kernel would send
// them. Host-order numbers are byte-swapped: headers of messages and attributes, results, flags, words of labels. Network-order numbers
// stay.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expectationPolicy } from '../../src/ctnetlink/expectation-fields.js';
import { flowPolicy } from '../../src/ctnetlink/fields.js';
import type { Policy } from '../../src/ctnetlink/policy.js';

const BUILD = fileURLToPath(new URL('../../', import.meta.url));

/** The compiled sources, on a machine with the other byte order. Remove it with `[Symbol.dispose]`. */
export class OtherMachine implements Disposable {
  // Next to the sources, so that they find the same packages.
  readonly #folder = mkdtempSync(join(BUILD, 'other-order-'));

  constructor() {
    process.on('exit', () => this[Symbol.dispose]());
    cpSync(join(BUILD, 'src'), this.#folder, { recursive: true });
    writeFileSync(
      join(this.#folder, 'wire/byte-order.js'),
      'export const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1;\n',
    );
  }

  /** A module of src/, such as `ctnetlink/view`. Its types are those of the real one. */
  load<T>(name: string): Promise<T> {
    return import(pathToFileURL(join(this.#folder, `${name}.js`)).href) as Promise<T>;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const FLOWS = flowPolicy();
const EXPECTATIONS = expectationPolicy();

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_MIN_TYPE = 0x10;
const CTA_LABELS = 22;
const CTA_LABELS_MASK = 23;
const CTA_FILTER = 25;
const NESTED = 0x8000;

/** A byte-swapped datagram of messages. */
export function turned(datagram: Uint8Array): Uint8Array {
  const from = Buffer.from(datagram); // a copy, read in this machine's order
  const to = Buffer.from(datagram);
  let at = 0;
  while (at + 16 <= from.length) {
    const length = from.readUInt32LE(at);
    if (length < 16 || at + length > from.length) break;
    message(from, to, at, at + length);
    at += (length + 3) & ~3;
  }
  return new Uint8Array(to);
}

/** Recognizes nests without the flag, by message type; statistics have none. */
function policyOf(type: number): Policy | undefined {
  return type <= 0x102 ? FLOWS : type >= 0x200 && type <= 0x202 ? EXPECTATIONS : undefined;
}

function message(from: Buffer, to: Buffer, at: number, end: number): void {
  const type = from.readUInt16LE(at + 4);
  header(to, at);
  if (type === NLMSG_ERROR || type === NLMSG_DONE) {
    if (at + 20 <= end) word(to, at + 16);
    if (type === NLMSG_ERROR && at + 36 <= end) {
      header(to, at + 20);
      const echoed = from.readUInt32LE(at + 20);
      // Without NLM_F_CAPPED, the whole request follows the header, and the kernel's remarks follow the request.
      const said = at + 20 + ((from.readUInt16LE(at + 6) & 0x100) !== 0 ? 16 : (echoed + 3) & ~3);
      if (said > at + 36) message(from, Buffer.from(to), at + 20, Math.min(end, at + 20 + echoed));
      for (let tlv = said; tlv + 4 <= end; tlv += (from.readUInt16LE(tlv) + 3) & ~3 || 4) {
        const kind = from.readUInt16LE(tlv + 2);
        half(to, tlv);
        half(to, tlv + 2);
        if (kind === 2) word(to, tlv + 4); // NLMSGERR_ATTR_OFFS
      }
    }
  } else if (type >= NLMSG_MIN_TYPE) attributes(from, to, at + 20, end, 0, [], policyOf(type));
}

function attributes(
  from: Buffer,
  to: Buffer,
  at: number,
  end: number,
  nest: number,
  path: readonly number[],
  policy?: Policy,
): void {
  while (at + 4 <= end) {
    const length = from.readUInt16LE(at);
    const whole = from.readUInt16LE(at + 2);
    const type = whole & 0x3fff;
    half(to, at);
    half(to, at + 2);
    if (length < 4 || at + length > end) return;
    const top = path.length === 0 && policy === FLOWS;
    const inner = type < 32 && policy ? policy.action[nest + type]! : 0;
    if (inner < 0 || (whole & NESTED) !== 0)
      attributes(from, to, at + 4, at + length, inner < 0 ? -inner : 0, [...path, type], inner < 0 ? policy : undefined);
    else if ((top && (type === CTA_LABELS || type === CTA_LABELS_MASK)) || path[0] === CTA_FILTER)
      for (let i = at + 4; i + 4 <= at + length; i += 4) word(to, i);
    at += (length + 3) & ~3;
  }
}

function header(to: Buffer, at: number): void {
  word(to, at);
  half(to, at + 4);
  half(to, at + 6);
  word(to, at + 8);
  word(to, at + 12);
}

function half(to: Buffer, at: number): void {
  to.subarray(at, at + 2).swap16();
}

function word(to: Buffer, at: number): void {
  to.subarray(at, at + 4).swap32();
}
