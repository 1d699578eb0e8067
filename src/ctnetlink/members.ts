// Checked reading of objects from callers or JSON: every mistake is a ValueError that names the member.

import { ValueError } from '../errors.js';
import { suggest } from '../nearest.js';
import { type AddressBytes, parseAddress } from './address.js';

export const MAX_U8 = 0xff;
export const MAX_U16 = 0xffff;
export const MAX_U32 = 0xffffffff;

export class Members {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #path: string;
  /** Members that were read, some of them twice: a list costs less than a set. */
  readonly #known: string[] = [];

  /**
   * @param path the path of the object, for messages; '' for the outermost
   * @param strict whether a member with the value `undefined` is a mistake: in a filter, it would match everything
   */
  constructor(value: unknown, path: string, strict: boolean) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ValueError(`${path || 'the value'} must be an object, not ${show(value)}`);
    this.#object = value as Record<string, unknown>;
    this.#path = path;
    if (!strict) return;
    for (const [name, member] of Object.entries(value))
      if (member === undefined)
        throw new ValueError(`${this.at(name)} is undefined`, { hint: 'leave the member out, or give it a value' });
  }

  /** The path of a member. */
  at(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  get(name: string): unknown {
    this.#known.push(name);
    return this.#object[name];
  }

  /** A whole number from 0 to `max`. */
  number(name: string, max: number): number | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : numberOf(value, max, this.at(name));
  }

  boolean(name: string): boolean | undefined {
    const value = this.get(name);
    if (value !== undefined && typeof value !== 'boolean')
      throw new ValueError(`${this.at(name)} must be true or false, not ${show(value)}`);
    return value;
  }

  /** A 64-bit number: a bigint, a number, or a string of digits as in JSON. */
  number64(name: string): bigint | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    const right =
      typeof value === 'bigint' || Number.isSafeInteger(value) || (typeof value === 'string' && /^\d{1,20}$/.test(value));
    const number = right ? BigInt(value as bigint | number | string) : -1n;
    if (number < 0n || number >= 2n ** 64n)
      throw new ValueError(`${this.at(name)} must be a number from 0 to 2^64 - 1, not ${show(value)}`);
    return number;
  }

  /** A name as the kernel keeps them: at most `longest` printable characters without blanks. */
  name(name: string, longest: number): string | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value.length > longest || !/^[\x21-\x7e]+$/.test(value))
      throw new ValueError(`${this.at(name)} must be a name of 1 to ${longest} characters without blanks, not ${show(value)}`);
    return value;
  }

  /** A string of the kernel: any characters but NUL. */
  string(name: string): string | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || value.includes('\0'))
      throw new ValueError(`${this.at(name)} must be a string without NUL, not ${show(value)}`);
    return value;
  }

  /** Bytes as pairs of hexadecimal digits. */
  hex(name: string): Uint8Array | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || !/^(?:[0-9a-f]{2})*$/i.test(value))
      throw new ValueError(`${this.at(name)} must be pairs of hexadecimal digits, not ${show(value)}`);
    return Uint8Array.from({ length: value.length / 2 }, (_, i) => Number.parseInt(value.slice(2 * i, 2 * i + 2), 16));
  }

  oneOf<W extends string>(name: string, words: readonly W[]): W | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (!words.includes(value as W))
      throw new ValueError(`${this.at(name)} must be one of ${words.join(', ')}, not ${show(value)}`);
    return value as W;
  }

  address(name: string): AddressBytes | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : addressOf(value, this.at(name));
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.get(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) throw new ValueError(`${this.at(name)} must be an array, not ${show(value)}`);
    return value;
  }

  /** An object as a member. */
  members(name: string, strict: boolean): Members | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : new Members(value, this.at(name), strict);
  }

  /** Refuses members that were not read, except `ignored` ones: otherwise a misspelled member would be ignored. */
  end(ignored: readonly string[] = []): void {
    for (const name of Object.keys(this.#object))
      if (!this.#known.includes(name) && !ignored.includes(name))
        throw new ValueError(`${this.at(name)} is not known here`, { hint: suggest(name, [...new Set(this.#known)]) });
  }
}

export function numberOf(value: unknown, max: number, path: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max)
    throw new ValueError(`${path} must be a whole number from 0 to ${max}, not ${show(value)}`);
  return value;
}

export function addressOf(value: unknown, path: string): AddressBytes {
  const bytes = typeof value === 'string' ? parseAddress(value) : undefined;
  if (!bytes) throw new ValueError(`${path} must be an IPv4 or IPv6 address, not ${show(value)}`);
  return bytes;
}

const LONGEST = 60;

/** A value for a message. */
export function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  const text =
    typeof value === 'object' && value !== null ? (Array.isArray(value) ? 'an array' : 'an object') : JSON.stringify(value);
  return text === undefined ? String(value) : text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
}
