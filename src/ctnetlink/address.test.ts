import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { test } from 'node:test';
import { formatAddress, parseAddress, readIpv4, readIpv6 } from './address.js';

const PARTS = ['', '0', '1', 'db8', 'FFFF', '00a1', '10000', 'g', '2001', '192.0.2.1', '1.2.3', '01.2.3.4', '255.255.255.255'];

const parseIpv6 = (text: string) => (text.includes(':') ? parseAddress(text) : undefined);

/** How Node.js parses an IPv6 address: eight groups, from the URL parser's canonical text. */
function groups(text: string): string {
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

test('IPv6 texts are taken or refused as Node.js does, and mean the same', () => {
  let taken = 0;
  let tried = 0;
  const check = (text: string) => {
    const address = parseIpv6(text);
    assert.equal(address !== undefined, isIPv6(text), text);
    tried++;
    if (!address) return;
    taken++;
    assert.equal(groups(formatAddress(address)), groups(text), text);
  };
  // Every way to put 1 to 9 parts side by side with one or two colons between them, from few parts.
  for (let count = 1; count <= 9; count++)
    for (let n = 0; n < 3000; n++) {
      let text = n % 7 === 0 ? '::' : n % 11 === 0 ? ':' : '';
      for (let part = 0; part < count; part++) {
        const pick =
          (n * 31 + part * 17 + count * 7 + ((n >> part) & 3)) % (part === count - 1 ? PARTS.length : n % 3 ? 5 : PARTS.length);
        text += PARTS[pick]! + (part === count - 1 ? '' : (n * 13 + part * 5) % 9 === 0 ? '::' : ':');
      }
      check(n % 13 === 0 ? `${text}::` : text);
    }
  for (const text of [
    '',
    ':',
    '::',
    ':::',
    '1::',
    '::1',
    '1',
    '::1%lo',
    '[::1]',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:8::',
    '::ffff:192.0.2.1',
    '1:2:3:4:5:6:1.2.3.4',
    '1::2::3',
    '٣::',
    `${'0'.repeat(70)}::`,
  ])
    if (!text.includes('%')) check(text);
  assert.equal(parseIpv6('::1%lo'), undefined, 'no scope');
  assert.ok(taken > 200 && taken < tried / 2, `${taken} of ${tried} taken`);
});

test('readers tell where the address ends', () => {
  const bytes = (text: string) => Buffer.from(text, 'latin1');
  const v4 = new Uint8Array(4);
  const v6 = new Uint8Array(16);
  assert.equal(readIpv4(bytes('x192.0.2.17:80'), 1, 14, v4), 11);
  assert.deepEqual([...v4], [192, 0, 2, 17]);
  assert.equal(readIpv4(bytes('192.0.2.177'), 0, 10, v4), 10);
  assert.deepEqual([...v4], [192, 0, 2, 17]);
  for (const wrong of ['', '1', '1.2.3', '1.2.3.', '1..2.3', '.1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.x'])
    assert.equal(readIpv4(bytes(wrong), 0, wrong.length, v4), -1, wrong);
  assert.equal(readIpv6(bytes('[2001:db8::7]:80'), 1, 16, v6), 12);
  assert.equal(formatAddress(v6), '2001:db8::7');
  assert.equal(readIpv6(bytes('1::2 3'), 0, 6, v6), 4);
  assert.equal(formatAddress(v6), '1::2');
});

test('IPv4 is read as inet_aton does', () => {
  for (const [text, meant] of [
    ['192.0.2', '192.0.0.2'],
    ['3221225985', '192.0.2.1'],
    ['0xc0000201', '192.0.2.1'],
    ['0300.0.2.1', '192.0.2.1'],
    ['0', '0.0.0.0'],
  ] as const)
    assert.equal(formatAddress(parseAddress(text)!), meant);
  for (const wrong of [
    '',
    ' 1.2.3.4',
    '1.2.3.4 ',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.65536',
    'host',
    '08.1.1.1',
    '1.2.3.4x'.repeat(20),
  ])
    assert.equal(parseAddress(wrong), undefined, wrong);
});
