// Flows in answers: each with its key, and on demand the way of its packets.

import type { Flow } from '../ctnetlink/flow.js';
import type { MeteredFlow } from '../meter/index.js';
import { encodeKey } from './flow-keys.js';

/** A metered flow as JSON has it. */
export function flowAnswer(flow: MeteredFlow, epoch: string): object {
  return { key: encodeKey(flow, epoch), ...flow };
}

/** One end of a way. */
interface Hop {
  readonly address: string | undefined;
  readonly port?: number | undefined;
}

/** The ways of the packets of a flow in both directions, with what this host changes in them. */
export function waysOf({ original, reply }: Flow): object {
  const hop = (address: string | undefined, port: number | undefined): Hop => ({
    address,
    ...(port === undefined ? {} : { port }),
  });
  const client = hop(original.src, original.sport);
  const aim = hop(original.dst, original.dport);
  const server = hop(reply.src, reply.sport);
  const outside = hop(reply.dst, reply.dport);
  const same = (a: Hop, b: Hop) => a.address === b.address && a.port === b.port;
  return {
    original: {
      from: client,
      to: aim,
      ...(same(client, outside) ? {} : { source: outside }),
      ...(same(aim, server) ? {} : { destination: server }),
    },
    reply: {
      from: server,
      to: outside,
      ...(same(aim, server) ? {} : { source: aim }),
      ...(same(client, outside) ? {} : { destination: client }),
    },
  };
}
