import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nkeys } from '@nats-io/nats-core';
import { isPublicKey, isSignedBy, Signer } from './nkey.js';

const DATA = new TextEncoder().encode('udp and dst port 5060');

test('keys and signatures are those of the servers', () => {
  for (let i = 0; i < 50; i++) {
    const theirs = nkeys.createUser();
    const ours = new Signer(theirs.getSeed());
    assert.equal(ours.publicKey, theirs.getPublicKey());
    assert.ok(isPublicKey(ours.publicKey));
    const signature = ours.sign(DATA);
    assert.ok(theirs.verify(DATA, Buffer.from(signature, 'base64url')));
    assert.ok(isSignedBy(ours.publicKey, DATA, Buffer.from(theirs.sign(DATA)).toString('base64url')));
  }
});

test('another key, other bytes, another signature: not signed', () => {
  const [alice, bob] = [new Signer(nkeys.createUser().getSeed()), new Signer(nkeys.createUser().getSeed())];
  const signature = alice.sign(DATA);
  assert.ok(isSignedBy(alice.publicKey, DATA, signature));
  assert.ok(!isSignedBy(bob.publicKey, DATA, signature));
  assert.ok(!isSignedBy(alice.publicKey, DATA.subarray(1), signature));
  for (const wrong of ['', 'x', `${signature}A`, signature.slice(1), `${signature.slice(0, -1)}!`, bob.sign(DATA)])
    assert.ok(!isSignedBy(alice.publicKey, DATA, wrong), wrong);
});

test('what is no key of a user is none', () => {
  const user = nkeys.createUser();
  const key = user.getPublicKey();
  const flipped = `${key.slice(0, 20)}${key[20] === 'A' ? 'B' : 'A'}${key.slice(21)}`;
  for (const wrong of [
    '',
    'U',
    key.toLowerCase(),
    key.slice(0, -1),
    `${key}A`,
    ` ${key}`,
    flipped,
    nkeys.createAccount().getPublicKey(),
  ])
    assert.ok(!isPublicKey(wrong), wrong);
  const seed = new TextDecoder().decode(user.getSeed());
  for (const wrong of ['', seed.slice(1), seed.slice(0, -1), key, new TextDecoder().decode(nkeys.createAccount().getSeed())])
    assert.throws(() => new Signer(new TextEncoder().encode(wrong)), /no seed of a user/);
  assert.equal(new Signer(new TextEncoder().encode(`${seed}\n`)).publicKey, key);
});
