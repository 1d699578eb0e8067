// The SSH connection through which this command was typed, as a filter that leaves it out. sshd(8) names it in SSH_CONNECTION; sudo(8)
// removes that variable, so this also reads the environments of the parent processes.

import { readFileSync } from 'node:fs';
import { parseAddress } from '../ctnetlink/address.js';
import { addressIs, type FlowFilter, numberIs, portIs } from '../ctnetlink/filter/condition.js';
import { tcp } from '../ctnetlink/protocols/tcp.js';
import { UsageError } from './usage-error.js';

/** Generations of parents to read; more than any shell in a shell in a sudo. */
const GENERATIONS = 32;

/** Everything but the flow of this SSH session, seen from either end. @throws UsageError if there is no session to protect */
export function notThisSsh(): FlowFilter {
  const session = sshConnection();
  if (!session)
    throw new UsageError('--protect-ssh: this command does not run within an SSH session, so there is nothing to protect', {
      exitStatus: 1,
      hint: 'leave the option out on the console; within tmux or screen, the session is the one that started them',
    });
  const { client, clientPort, server, serverPort } = session;
  // NAT on the way changes one of the two tuples; the other one still has both ends.
  const side = (name: 'original' | 'reply', from: 'src' | 'dst', to: 'src' | 'dst'): FlowFilter => ({
    kind: 'all',
    of: [
      addressIs(name, from, client),
      portIs(name, from, clientPort),
      addressIs(name, to, server),
      portIs(name, to, serverPort),
    ],
  });
  return {
    kind: 'not',
    of: {
      kind: 'all',
      of: [numberIs('protocol', tcp.number), { kind: 'any', of: [side('original', 'src', 'dst'), side('reply', 'dst', 'src')] }],
    },
  };
}

function sshConnection() {
  let process = 'self';
  for (let i = 0; i < GENERATIONS; i++) {
    const text = environmentOf(process).find((line) => line.startsWith('SSH_CONNECTION='));
    const [clientText = '', clientPort, serverText = '', serverPort] = text?.slice('SSH_CONNECTION='.length).split(' ') ?? [];
    const client = parseAddress(clientText);
    const server = parseAddress(serverText);
    if (client && server) return { client, clientPort: Number(clientPort), server, serverPort: Number(serverPort) };
    const parent = parentOf(process);
    if (parent === undefined) return undefined;
    process = parent;
  }
  return undefined;
}

/** NAME=VALUE lines; none for a process that may not be read. */
function environmentOf(process: string): string[] {
  try {
    return readFileSync(`/proc/${process}/environ`, 'latin1').split('\0');
  } catch {
    return [];
  }
}

function parentOf(process: string): string | undefined {
  try {
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${process}/status`, 'latin1'))?.[1];
    return parent === '0' ? undefined : parent;
  } catch {
    return undefined;
  }
}
