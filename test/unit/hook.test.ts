// Hooks as nfnetlink_hook lists them: messages as Linux 6.12 sends them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHookView, isTracker } from '../../src/ctnetlink/hook.js';
import { attribute, be32, message } from '../support/netlink.js';

/** The verdict on a hook whose function has this name. */
function verdict(name: string | undefined): boolean | undefined {
  const named = name === undefined ? [] : [attribute(4, Buffer.from(`${name}\0`)), attribute(5, Buffer.from('nf_conntrack\0'))];
  const bytes = message(0xc00, 2, 2, be32(1, 0), be32(2, -200 >>> 0), ...named);
  const view = createHookView();
  view.decode(bytes, 0, bytes.length);
  return isTracker(view);
}

test('connection tracking is told from what stands beside it', () => {
  assert.equal(verdict('ipv4_conntrack_in'), true);
  assert.equal(verdict('ipv6_conntrack_in'), true);
  // Puts fragments together for it, and is there for other modules too.
  assert.equal(verdict('ipv4_conntrack_defrag'), false);
  assert.equal(verdict('nft_do_chain_inet'), false);
});

test('a function without a name may be anything', () => assert.equal(verdict(undefined), undefined));
