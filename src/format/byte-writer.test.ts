import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress, parseAddress } from '../ctnetlink/address.js';
import { ByteWriter, token } from './byte-writer.js';

/** What `write` appends, as text. */
function written(write: (out: ByteWriter) => void): string {
  let text = '';
  const out = new ByteWriter((bytes, length) => {
    text += Buffer.from(bytes.subarray(0, length)).toString('latin1');
  });
  write(out);
  out.flush();
  return text;
}

const data = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

test('decimal numbers of every length', () => {
  for (let n = 1; n <= 2 ** 32; n = n * 10 - 1 < 2 ** 32 ? n * 10 : n * 2)
    for (const value of [n - 1, n, n + 1].filter((v) => v <= 0xffffffff))
      assert.equal(
        written((out) => out.decimal(value)),
        String(value),
      );
  fc.assert(fc.property(fc.nat(0xffffffff), (value) => written((out) => out.decimal(value)) === String(value)));
  fc.assert(fc.property(fc.maxSafeNat(), (value) => written((out) => out.decimal(value)) === String(value)));
});

test('64-bit numbers from two halves are exact', () => {
  const text = (value: bigint) => written((out) => out.decimal64(Number(value >> 32n), Number(value & 0xffffffffn)));
  for (const value of [0n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 64n - 1n, 10n ** 18n, 10n ** 18n - 1n])
    assert.equal(text(value), String(value));
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => text(value) === String(value)));
});

test('hexadecimal without leading zeros', () => {
  for (let value = 0; value < 0x10000; value++)
    assert.equal(
      written((out) => out.hex(value)),
      value.toString(16),
    );
});

test('IPv4 addresses', () => {
  for (let value = 0; value < 256; value++)
    assert.equal(
      written((out) => out.ipv4(data(Uint8Array.of(value, 255 - value, value, 0)), 0)),
      `${value}.${255 - value}.${value}.0`,
    );
});

const IPV6: readonly string[] = [
  '::',
  '::1',
  '1::',
  '::ffff:192.0.2.1',
  '::192.0.2.1',
  '::1:0',
  '2001:db8::1',
  '2001:db8:0:1:1:1:1:1',
  '2001:0:0:1::1',
  '2001:db8::1:0:0:1',
  'fe80::1:2:3:4',
  '1:2:3:4:5:6:7:8',
  '0:1:2:3:4:5:6:7',
  '1:0:0:2:0:0:0:3',
];

test('IPv6 addresses are compressed as inet_ntop(3) does', () => {
  for (const text of IPV6) {
    const address = parseAddress(text)!;
    const canonical = text === '2001:0:0:1::1' ? '2001:0:0:1::1' : text === '1:0:0:2:0:0:0:3' ? '1:0:0:2::3' : text;
    assert.equal(
      written((out) => out.ipv6(data(address), 0)),
      canonical === '::1:0' ? '::0.1.0.0' : canonical,
    );
  }
});

test('the two ways to write an address agree, and parse back', () => {
  const sparse = fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .chain((bytes) =>
      fc.uint8Array({ minLength: 8, maxLength: 8, max: 1 }).map((keep) => bytes.map((byte, i) => (keep[i >> 1] ? byte : 0))),
    );
  fc.assert(
    fc.property(sparse, (address) => {
      const text = written((out) => out.ipv6(data(address), 0));
      assert.equal(text, formatAddress(address));
      assert.deepEqual([...parseAddress(text)!], [...address]);
    }),
  );
});

test('a full buffer is handed over, and an entry larger than the buffer fits', () => {
  const pieces: number[] = [];
  const out = new ByteWriter((_, length) => pieces.push(length), 100);
  for (let i = 0; i < 30; i++) {
    out.reserve(10);
    out.token(token('0123456789'));
    out.endEntry();
  }
  out.reserve(100_000);
  out.raw(new Uint8Array(100_000), 0, 100_000);
  out.flush();
  assert.deepEqual(pieces, [100, 100, 100, 100_000]);
});
