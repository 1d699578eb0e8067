// Protocols, families, states and statuses as callers write them → kernel numbers.

import { ValueError } from '../errors.js';
import type { Family, FlowState } from './flow.js';
import { MAX_U8, type Members, numberOf, show } from './members.js';
import { generic } from './protocols/generic.js';
import { PROTOCOLS, type ProtocolName, protocolByName, protocolByNumber } from './protocols/index.js';
import { bitOfName, STATUS_NAMES } from './status.js';
import { AF_INET, AF_INET6 } from './uapi/in.js';

/** A protocol by name, or by number, 0 to 255. */
export type ProtocolInput = Exclude<ProtocolName, 'unknown'> | number;

export function readProtocol(members: Members, name = 'protocol'): number | undefined {
  const value = members.get(name);
  return value === undefined ? undefined : protonumOf(value, members.at(name));
}

/** @throws ValueError */
export function protonumOf(value: unknown, path: string): number {
  if (typeof value === 'number') return numberOf(value, MAX_U8, path);
  const protocol = typeof value === 'string' ? protocolByName(value) : undefined;
  if (protocol) return protocol.number;
  const names = PROTOCOLS.map((known) => known.name).join(', ');
  throw new ValueError(`${path} must be a number from 0 to 255 or one of ${names}, not ${show(value)}`);
}

/** A protocol for a message: its name, or its number. */
export function nameOf(protonum: number): string {
  const { name } = protocolByNumber(protonum);
  return name === generic.name ? `protocol ${protonum}` : name;
}

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

export function readFamily(members: Members): number | undefined {
  const family = members.oneOf('family', FAMILIES);
  return family === undefined ? undefined : family === 'ipv4' ? AF_INET : AF_INET6;
}

/** The kernel's number of a state, which needs a protocol that has states. */
export function readState(members: Members, protonum: number | undefined): number | undefined {
  const state = members.get('state');
  if (state === undefined) return undefined;
  if (protonum === undefined)
    throw new ValueError(`${members.at('state')} needs a protocol that has states: tcp, sctp or dccp`, {
      hint: 'give the protocol as well',
    });
  const { states } = protocolByNumber(protonum);
  if (!states) throw new ValueError(`${members.at('state')}: ${nameOf(protonum)} has no states; only tcp, sctp and dccp have`);
  const index = states.indexOf(state as FlowState);
  if (index < 0)
    throw new ValueError(`${members.at('state')} of ${nameOf(protonum)} must be one of ${states.join(', ')}, not ${show(state)}`);
  return index;
}

/** Status bits by name. */
export function readStatus(members: Members): number | undefined {
  const names = members.list('status');
  if (!names) return undefined;
  let bits = 0;
  for (const name of names) {
    const bit = typeof name === 'string' ? bitOfName(STATUS_NAMES, name) : undefined;
    if (bit === undefined)
      throw new ValueError(
        `${members.at('status')} holds ${show(name)}, which is not a status; valid ones are ${STATUS_NAMES.join(', ')}`,
      );
    bits |= 1 << bit;
  }
  return bits >>> 0;
}

/** Label bits. */
export function readLabels(members: Members, name: string, max: number): readonly number[] | undefined {
  return members.list(name)?.map((bit) => numberOf(bit, max, members.at(name)));
}
