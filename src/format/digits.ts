// Numbers and addresses as text: each function stores at `at` and returns where the text ends. A store may reach 3 bytes past that end.
// The table is an argument and has no named columns, because a bundled program looks up each name of a module every time.

import { zeroRun } from '../ctnetlink/address.js';

const ZERO = 48;
const LETTER_A = 97 - 10;
const DOT = 46;
const COLON = 58;

/**
 * Four words for each of 0 to 999: three digits and a dot, as ASCII bytes, the first lowest; the same without leading zeros; how many
 * bytes that is. The fourth is for 0 to 255: two hexadecimal digits, and in higher bits a `zeroRun`, filled in at its first use.
 */
export const DIGITS = new Int32Array(4000);
for (let hundreds = 0, at = 0; hundreds < 10; hundreds++)
  for (let tens = 0; tens < 10; tens++) {
    const upper = (ZERO + hundreds) | ((ZERO + tens) << 8) | (DOT << 24);
    for (let ones = 0; ones < 10; ones++, at += 4) {
      const digits = upper | ((ZERO + ones) << 16);
      const zeros = hundreds > 0 ? 0 : tens > 0 ? 1 : 2;
      DIGITS[at] = digits;
      DIGITS[at + 1] = digits >>> (8 * zeros);
      DIGITS[at + 2] = 4 - zeros;
    }
  }
for (let high = 0, at = 3; high < 16; high++)
  for (let low = 0; low < 16; low++, at += 4) DIGITS[at] = hexDigit(high) | (hexDigit(low) << 8);

function hexDigit(value: number): number {
  return value < 10 ? ZERO + value : LETTER_A + value;
}

function learnZeroRun(digits: Int32Array, zeros: number): number {
  const run = zeroRun(zeros);
  digits[4 * zeros + 3]! |= run << 16;
  return run;
}

/** Constant text: words `from` to `to` of eight bytes. It does not return where the text ends, which may be within the last word. */
export function putWords(text: DataView, at: number, words: Float64Array, from: number, to: number): void {
  for (let word = from, place = at; word < to; word = (word + 1) | 0, place = (place + 8) | 0)
    text.setFloat64(place, words[word]!, true);
}

/** Unsigned 32 bits, passed signed or not: passed signed, a number of 2^31 or more needs no object. */
export function putDecimal(text: DataView, at: number, digits: Int32Array, value: number): number {
  const number = value >>> 0;
  if (number < 1000) {
    text.setInt32(at, digits[(4 * number + 1) | 0]!, true);
    return (at + digits[(4 * number + 2) | 0]! - 1) | 0;
  }
  const thousands = (number / 1000) >>> 0;
  let end: number;
  if (thousands < 1000) {
    text.setInt32(at, digits[(4 * thousands + 1) | 0]!, true);
    end = (at + digits[(4 * thousands + 2) | 0]! - 1) | 0;
  } else end = putMillions(text, at, digits, thousands);
  text.setInt32(end, digits[(4 * (number - thousands * 1000)) | 0]!, true);
  return (end + 3) | 0;
}

/** The part before the last three digits of a number of a million or more. */
function putMillions(text: DataView, at: number, digits: Int32Array, thousands: number): number {
  const millions = (thousands / 1000) >>> 0;
  let end: number;
  if (millions < 1000) {
    text.setInt32(at, digits[(4 * millions + 1) | 0]!, true);
    end = (at + digits[(4 * millions + 2) | 0]! - 1) | 0;
  } else {
    const billions = (millions / 1000) >>> 0; // one digit
    text.setInt8(at, ZERO + billions);
    text.setInt32((at + 1) | 0, digits[(4 * (millions - billions * 1000)) | 0]!, true);
    end = (at + 4) | 0;
  }
  text.setInt32(end, digits[(4 * (thousands - millions * 1000)) | 0]!, true);
  return (end + 3) | 0;
}

/** Exactly `size` digits, with leading zeros, of a number below 2^32. */
export function putPadded(text: DataView, at: number, value: number, size: number): number {
  const end = (at + size) | 0;
  let rest = value >>> 0;
  for (let place = end - 1; place >= at; place--) {
    const next = (rest / 10) >>> 0;
    text.setInt8(place, ZERO + rest - next * 10);
    rest = next;
  }
  return end;
}

function hexPair(digits: Int32Array, byte: number): number {
  return digits[(4 * byte + 3) | 0]! & 0xffff;
}

/** Lower-case hexadecimal without leading zeros, of a number below 2^16. */
export function putHex(text: DataView, at: number, digits: Int32Array, value: number): number {
  const size = value < 0x100 ? (value < 0x10 ? 1 : 2) : value < 0x1000 ? 3 : 4;
  const all = hexPair(digits, value >>> 8) | (hexPair(digits, value & 0xff) << 16);
  text.setInt32(at, all >>> ((4 - size) << 3), true);
  return (at + size) | 0;
}

/** The IPv4 address in `address`, the first octet highest. Each octet's digits are followed by the dot. */
export function putIpv4(text: DataView, at: number, digits: Int32Array, address: number): number {
  const a = address >>> 24;
  text.setInt32(at, digits[(4 * a + 1) | 0]!, true);
  let end = (at + digits[(4 * a + 2) | 0]!) | 0;
  const b = (address >>> 16) & 255;
  text.setInt32(end, digits[(4 * b + 1) | 0]!, true);
  end = (end + digits[(4 * b + 2) | 0]!) | 0;
  const c = (address >>> 8) & 255;
  text.setInt32(end, digits[(4 * c + 1) | 0]!, true);
  end = (end + digits[(4 * c + 2) | 0]!) | 0;
  const d = address & 255;
  text.setInt32(end, digits[(4 * d + 1) | 0]!, true);
  return (end + digits[(4 * d + 2) | 0]! - 1) | 0;
}

/** The IPv6 address at `from` of a message: compressed, lower-case, with an IPv4 tail where inet_ntop(3) shows one. */
export function putIpv6(text: DataView, at: number, digits: Int32Array, message: DataView, from: number): number {
  let zeros = 0;
  for (let i = 0; i < 8; i = (i + 2) | 0) {
    const groups = message.getInt32((from + 2 * i) | 0, false);
    if (groups >>> 16 === 0) zeros |= 1 << i;
    if ((groups & 0xffff) === 0) zeros |= 2 << i;
  }
  let run = digits[(4 * zeros + 3) | 0]! >>> 16;
  if (run === 0 && (zeros & (zeros >> 1)) !== 0) run = learnZeroRun(digits, zeros);
  const start = run >> 4;
  const size = run & 15;
  let end = at;
  for (let i = 0; i < 8; i = (i + 1) | 0) {
    if (i === start && size > 0) {
      text.setInt16(end, COLON | (COLON << 8), true);
      end = (end + (i === 0 ? 2 : 1)) | 0; // there is one already after a group
      i = (i + size - 1) | 0;
      continue;
    }
    if (i === 6 && start === 0 && (size === 6 || (size === 5 && message.getUint16(from + 10, false) === 0xffff)))
      return putIpv4(text, end, digits, message.getInt32(from + 12, false));
    const group = message.getUint16((from + 2 * i) | 0, false);
    const high = hexPair(digits, group >>> 8);
    const low = hexPair(digits, group & 0xff);
    if (group >= 0x1000) {
      text.setInt32(end, high | (low << 16), true);
      end = (end + 4) | 0;
    } else if (group >= 0x100) {
      text.setInt32(end, (high >>> 8) | (low << 8), true);
      end = (end + 3) | 0;
    } else {
      const one = group < 0x10 ? 1 : 0;
      text.setInt16(end, low >>> (one << 3), true);
      end = (end + 2 - one) | 0;
    }
    text.setInt8(end, COLON);
    end = (end + (i === 7 ? 0 : 1)) | 0;
  }
  return end;
}
