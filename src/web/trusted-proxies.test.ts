// Whose word counts about who asks.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { ValueError } from '../errors.js';
import { TrustedProxies } from './trusted-proxies.js';
import type { Peer } from './web-options.js';

const from = (address: string): Peer => ({ address, port: 1, localAddress: '127.0.0.1', localPort: 8466 });
const ask = (proxies: readonly string[], peer: string, headers: Readonly<Record<string, string>>) =>
  new TrustedProxies(proxies).clientOf(from(peer), new Headers(headers));

suite('X-Forwarded-For', () => {
  const PROXIES = ['127.0.0.1', '10.0.0.0/8', 'fd00::/16'];
  for (const [peer, value, client] of [
    ['127.0.0.1', '192.0.2.7', '192.0.2.7'],
    ['127.0.0.1', ' 192.0.2.7 ', '192.0.2.7'],
    ['::ffff:127.0.0.1', '192.0.2.7', '192.0.2.7'],
    ['127.0.0.1', '2001:db8::7', '2001:db8::7'],
    ['127.0.0.1', '[2001:db8::7]:443', '2001:db8::7'],
    ['127.0.0.1', '192.0.2.7:5000', '192.0.2.7'],
    ['127.0.0.1', '::ffff:192.0.2.7', '192.0.2.7'],
    // What stands in front of the first that is not trusted, somebody has made up.
    ['127.0.0.1', '198.51.100.1, 192.0.2.7', '192.0.2.7'],
    ['127.0.0.1', '198.51.100.1, 192.0.2.7, 10.1.2.3', '192.0.2.7'],
    ['127.0.0.1', '198.51.100.1, 192.0.2.7, 10.1.2.3, fd00::1', '192.0.2.7'],
    ['127.0.0.1', '10.1.2.3', '10.1.2.3'],
    ['127.0.0.1', '192.0.2.7, unknown, 10.1.2.3', '10.1.2.3'],
    ['127.0.0.1', '192.0.2.7, unknown', undefined],
    ['127.0.0.1', '', undefined],
    ['127.0.0.1', 'a, b', undefined],
    ['127.0.0.1', 'fe80::1%eth0', 'fe80::1'],
    ['127.0.0.1', '\x7f', undefined],
    // From others it says nothing.
    ['127.0.0.2', '192.0.2.7', undefined],
    ['192.0.2.9', '192.0.2.7', undefined],
    ['::1', '192.0.2.7', undefined],
    ['', '192.0.2.7', undefined],
  ] as const)
    test(`'${value}' from '${peer}'`, () => assert.equal(ask(PROXIES, peer, { 'x-forwarded-for': value }), client));

  test('from a socket in the file system, if that is trusted', () => {
    assert.equal(ask(['unix'], '', { 'x-forwarded-for': '192.0.2.7' }), '192.0.2.7');
    assert.equal(ask(['unix'], '127.0.0.1', { 'x-forwarded-for': '192.0.2.7' }), undefined);
  });
});

suite('Forwarded', () => {
  for (const [value, client] of [
    ['for=192.0.2.7', '192.0.2.7'],
    ['For="192.0.2.7:4711";proto=https; by=10.0.0.1', '192.0.2.7'],
    ['proto=https;for="[2001:db8:cafe::17]:4711"', '2001:db8:cafe::17'],
    ['for=198.51.100.1, for=192.0.2.7;host="a, for=203.0.113.1"', '192.0.2.7'],
    ['for="198.51.100.1\\"", for=192.0.2.7', '192.0.2.7'],
    ['for=192.0.2.7, for=127.0.0.1', '192.0.2.7'],
    ['for=_hidden', undefined],
    ['for=unknown', undefined],
    ['for=192.0.2.7, proto=http', undefined],
    ['host="x', undefined],
    ['for=192.0.2.7, "', undefined],
    ['', undefined],
  ] as const)
    test(value, () => assert.equal(ask(['127.0.0.1'], '127.0.0.1', { forwarded: value }), client));

  test('beside X-Forwarded-For says nothing: one of them is not of the proxy', () =>
    assert.equal(ask(['127.0.0.1'], '127.0.0.1', { forwarded: 'for=192.0.2.7', 'x-forwarded-for': '192.0.2.8' }), undefined));

  test('takes no longer for what is long', () => {
    for (const text of [
      'for=1;'.repeat(1300),
      `for="${'\\a'.repeat(4000)}`,
      ','.repeat(8000),
      `for=${'a'.repeat(8000)}`,
      `${'a'.repeat(8000)}`,
    ]) {
      const began = performance.now();
      ask(['127.0.0.1'], '127.0.0.1', { forwarded: text });
      ask(['127.0.0.1'], '127.0.0.1', { 'x-forwarded-for': text });
      assert.ok(performance.now() - began < 200, text.slice(0, 20));
    }
  });
});

test('whatever stands in front, the client is who the last proxy saw', () => {
  const word = fc.string({ unit: fc.constantFrom(...'0123456789abcdef.:, []";=\\for'), maxLength: 40 });
  fc.assert(
    fc.property(word, (text) => {
      assert.equal(ask(['127.0.0.1'], '127.0.0.1', { 'x-forwarded-for': `${text}, 192.0.2.7` }), '192.0.2.7');
      const client = ask(['127.0.0.1'], '127.0.0.1', { forwarded: `${text}, for=192.0.2.7` });
      assert.ok(client === '192.0.2.7' || client === undefined, `${text}: ${client}`);
    }),
    { numRuns: 3000 },
  );
});

test('what is no proxy is refused', () => {
  for (const name of ['', 'proxy.example', '10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0'])
    assert.throws(() => new TrustedProxies([name]), ValueError, name);
});
