// Keys of a fleet: Ed25519, written as the servers have them (nkeys), in Base32 with what they are for and a checksum. Signing and
// verifying is Node.js's own.

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { FleetError } from './fleet-error.js';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** `S`, and `U` behind it or alone: seeds and public keys of users. */
const SEED = 18 << 3;
const USER = 20 << 3;
const KEY_BYTES = 32;
const CHECKSUM_BYTES = 2;
/** RFC 8410: what stands before the bytes of a private and of a public key. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** Signs in the name of whoever has the seed. */
export class Signer {
  /** As `conntrack fleet auth` writes it: U and 55 letters and digits. */
  readonly publicKey: string;
  readonly #key: KeyObject;

  /** @throws FleetError `CONFIG` for what is no seed of a user */
  constructor(seed: Uint8Array) {
    const bytes = decode(new TextDecoder().decode(seed).trim());
    // Two bytes: five bits of S, eight bits of the kind, three of nothing.
    const isSeed = bytes?.length === 2 + KEY_BYTES && (bytes[0]! & 0xf8) === SEED && kindOf(bytes) === USER;
    if (!isSeed) throw new FleetError('CONFIG', 'that is no seed of a user');
    this.#key = createPrivateKey({ key: Buffer.concat([PKCS8, bytes.subarray(2)]), format: 'der', type: 'pkcs8' });
    const spki = createPublicKey(this.#key).export({ format: 'der', type: 'spki' });
    this.publicKey = encode(Buffer.concat([Buffer.of(USER), spki.subarray(SPKI.length)]));
  }

  /** The signature of these bytes, in Base64url. */
  sign(data: Uint8Array): string {
    return sign(undefined, data, this.#key).toString('base64url');
  }
}

function kindOf(seed: Uint8Array): number {
  return ((seed[0]! & 7) << 5) | ((seed[1]! & 0xf8) >> 3);
}

/** Whether a text is the public key of a user. */
export function isPublicKey(text: string): boolean {
  return publicBytes(text) !== undefined;
}

/** Whether whoever has this key signed these bytes. False, too, for what is no key or no signature. */
export function isSignedBy(publicKey: string, data: Uint8Array, signature: string): boolean {
  const bytes = publicBytes(publicKey);
  if (!bytes || !/^[\w-]{86}$/.test(signature)) return false;
  const key = createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: 'der', type: 'spki' });
  return verify(undefined, data, key, Buffer.from(signature, 'base64url'));
}

function publicBytes(text: string): Uint8Array | undefined {
  const bytes = decode(text);
  return bytes?.length === 1 + KEY_BYTES && bytes[0] === USER ? bytes.subarray(1) : undefined;
}

function encode(bytes: Uint8Array): string {
  const all = [...bytes, ...checksum(bytes)];
  let [text, kept, bits] = ['', 0, 0];
  for (const byte of all) {
    kept = (kept << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += LETTERS[(kept >> (bits - 5)) & 31];
    kept &= 31;
  }
  return bits > 0 ? text + LETTERS[(kept << (5 - bits)) & 31] : text;
}

/** The bytes without their checksum; `undefined` if it is wrong, or what there is no Base32. */
function decode(text: string): Buffer | undefined {
  if (text.length > 100) return undefined;
  const bytes: number[] = [];
  let [kept, bits] = [0, 0];
  for (const letter of text) {
    const value = LETTERS.indexOf(letter);
    if (value < 0) return undefined;
    kept = ((kept << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((kept >> bits) & 0xff);
    }
  }
  // One text for each key: what is left over is nothing.
  if (bits >= 5 || (kept & ((1 << bits) - 1)) !== 0) return undefined;
  const all = Buffer.from(bytes);
  if (all.length <= CHECKSUM_BYTES) return undefined;
  const data = all.subarray(0, -CHECKSUM_BYTES);
  return checksum(data).every((byte, i) => byte === all[data.length + i]) ? data : undefined;
}

/** CRC-16/XMODEM, the low byte first. */
function checksum(bytes: Uint8Array): readonly number[] {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return [crc & 0xff, crc >> 8];
}
