// What is printed is not cut as on a screen: who reads it later cannot make it wider.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MeteredFlow } from '../meter/index.js';
import { FLOW_COLUMNS } from './flow-cells.js';
import { printTable } from './printed-table.js';

const flow = (src: string, dst: string, outside: string, target: string) =>
  ({
    number: 1,
    age: 10,
    counters: 'kernel',
    flow: {
      family: src.includes(':') ? 'ipv6' : 'ipv4',
      protocol: 'udp',
      original: { src, dst, sport: 1000, dport: 443, protonum: 17, packets: 1n, bytes: 100n },
      reply: { src: target, dst: outside, sport: 8443, dport: 61_000, protonum: 17, packets: 1n, bytes: 100n },
      status: ['SEEN_REPLY', 'SRC_NAT', 'DST_NAT'],
      timeout: 30,
    },
  }) as unknown as MeteredFlow;

test('addresses and both translations are whole, and columns stay below their titles', () => {
  const v4 = flow('10.100.200.101', '203.0.113.180', '198.51.100.172', '10.200.100.180');
  const v6 = flow('2001:db8:1111:2222:3333:4444:5555:6666', '2001:db8::1', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff', 'fd00::1');
  for (const ascii of [false, true]) {
    const [head, ...lines] = printTable(FLOW_COLUMNS, [v4, v6], ascii);
    assert.match(
      lines[0]!,
      / 10\.100\.200\.101:1000 +203\.0\.113\.180:443 +s 198\.51\.100\.172:61000 d 10\.200\.100\.180:8443 +\S/,
    );
    assert.match(
      lines[1]!,
      / \[2001:db8:1111:2222:3333:4444:5555:6666\]:1000 .* s \[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff\]:61000 d \[/,
    );
    for (const line of lines) assert.equal(line.indexOf('s '), head!.indexOf(' NAT') + 1);
    assert.ok(!lines.some((line) => /[…~]/.test(line)));
  }
});
