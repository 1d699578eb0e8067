// Tokens: who is let in, and that nobody can be locked out.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isAccepted, Tokens } from './auth.js';

const CHANGE = 'c'.repeat(32);
const READ = 'r'.repeat(32);
const request = (authorization?: string) =>
  new Request('http://localhost/', { headers: authorization === undefined ? {} : { authorization } });

function tokens(now?: () => number): Tokens {
  const made = new Tokens(now);
  made.add(CHANGE, 'change');
  made.add(READ, 'read');
  return made;
}

suite('tokens', () => {
  test('have their roles', () => {
    for (const [text, role] of [
      [`Bearer ${CHANGE}`, 'change'],
      [`Bearer ${READ}`, 'read'],
      [`bearer ${READ}`, 'read'],
      [`BEARER   ${READ}`, 'read'],
    ] as const)
      assert.equal(tokens().roleOf(request(text)), role, text);
  });

  test('the wrong ones of one address do not count for others', () => {
    const known = tokens(() => 0);
    const wrong = (asker: string) => {
      try {
        return known.roleOf(request('Bearer wrong'), asker);
      } catch (error) {
        return (error as { status: number }).status;
      }
    };
    for (const asker of ['192.0.2.1', '2001:db8:0:1::1']) {
      for (let n = 0; n < 10; n++) assert.equal(wrong(asker), 401);
      assert.equal(wrong(asker), 429);
    }
    assert.equal(wrong('192.0.2.2'), 401);
    assert.equal(wrong('2001:db8:0:1:ffff::2'), 429, 'of the same 64 bits');
    assert.equal(wrong('2001:db8:0:2::1'), 401);
    assert.equal(wrong(''), 401);
    // So many addresses at the same time are nobody's friends, and take no memory.
    const statuses = Array.from({ length: 3000 }, (_, n) => wrong(`10.0.${n >> 8}.${n & 255}`));
    assert.ok(statuses.includes(429) && statuses.indexOf(429) < 1000);
    assert.equal(known.roleOf(request(`Bearer ${READ}`), '10.9.9.9'), 'read');
  });

  test('missing, malformed and other ones are refused', () => {
    const wrong = [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      `Bearer\t${READ}`,
      `Bearer${READ}`,
      READ,
      `Basic ${Buffer.from(`x:${READ}`).toString('base64')}`,
      `Digest ${READ}`,
      `Token ${READ}`,
      `Bearer ${READ}x`,
      `Bearer ${READ.slice(1)}`,
      `Bearer ${READ.toUpperCase()}`,
      `Bearer ${READ} ${CHANGE}`,
      `Bearer ${READ}, Bearer ${CHANGE}`,
      `Bearer "${READ}"`,
      `Bearer ${'x'.repeat(8000)}`,
      `Bearer é${READ}`,
    ];
    for (const text of wrong) assert.throws(() => tokens().roleOf(request(text)), { status: 401, code: 'TOKEN' }, text);
    assert.throws(() => new Tokens().roleOf(request('Bearer x')), { status: 401 });
  });

  test('a right one is good however many wrong ones there are', () => {
    let now = 5000;
    const known = tokens(() => now);
    const statusOf = (text?: string) => {
      try {
        return known.roleOf(request(text));
      } catch (error) {
        return (error as { status: number }).status;
      }
    };
    for (let n = 0; n < 100; n++) assert.equal(statusOf(), 401, 'none at all is not counted');
    const statuses = Array.from({ length: 1000 }, (_, n) => statusOf(`Bearer wrong${n}`));
    assert.deepEqual([statuses.indexOf(429), statuses.lastIndexOf(401)], [10, 9]);
    assert.equal(statusOf(`Bearer ${CHANGE}`), 'change');
    assert.equal(statusOf(`Bearer ${READ}`), 'read');
    assert.equal(statusOf(), 401);
    now += 1000;
    assert.equal(statusOf('Bearer wrong'), 401);
  });
});

test('types are accepted as RFC 9110 says', () => {
  const json = 'application/json';
  for (const [accept, is] of [
    [null, true],
    ['', true],
    ['application/json', true],
    ['text/html,application/xhtml+xml,*/*;q=0.8', true],
    ['application/*;q=0.1', true],
    ['application/json;q=0', false],
    ['application/json; q=0.0 , text/html', false],
    ['application/jsonx', false],
    ['*', false],
    [','.repeat(5000), false],
  ] as const)
    assert.equal(isAccepted(accept, json), is, String(accept).slice(0, 40));
});
