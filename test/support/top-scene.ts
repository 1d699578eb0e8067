// `conntrack top` on a pseudo-terminal, in a private namespace with a small table.

import assert from 'node:assert/strict';
import { Namespace } from './namespace.js';
import { UNDER_TEST } from './project.js';
import { PseudoTerminal, type PseudoTerminalOptions } from './pseudo-terminal.js';

/** A table: two clients that are answered, one that scans, and a translated flow. */
const TABLE = [
  ...many(
    12,
    (n) =>
      `-A -s 10.1.1.1 -d 203.0.113.1 -p tcp --sport ${2000 + n} --dport 443 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 600`,
  ),
  ...many(5, (n) => `-A -s 10.1.1.2 -d 203.0.113.2 -p udp --sport ${3000 + n} --dport 53 -u SEEN_REPLY -t 600`),
  ...many(130, (n) => `-A -s 10.1.9.9 -d 203.0.113.3 -p tcp --sport ${4000 + n} --dport ${1 + n} --state SYN_SENT -t 600`),
  '-A -s 10.1.1.3 -d 203.0.113.4 -n 198.51.100.7 -p tcp --sport 5000 --dport 80 --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 600',
];

function many(count: number, line: (n: number) => string): string[] {
  return Array.from({ length: count }, (_, n) => line(n));
}

export async function filled(name: string, ...before: readonly string[][]): Promise<Namespace> {
  const namespace = await Namespace.create(name);
  for (const argv of before) assert.equal((await namespace.run(argv)).status, 0);
  await namespace.run(['sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=1']);
  const { status } = await namespace.run([UNDER_TEST, '-R', '-'], { input: Buffer.from(`${TABLE.join('\n')}\n`) });
  assert.equal(status, 0);
  return namespace;
}

export async function top(
  namespace: Namespace,
  words: readonly string[] = [],
  options: PseudoTerminalOptions = {},
): Promise<PseudoTerminal> {
  const terminal = PseudoTerminal.start([UNDER_TEST, 'top', ...words], { columns: 100, rows: 30, namespace, ...options });
  await terminal.waitForText('every');
  await terminal.waitForText(' of ');
  return terminal;
}
