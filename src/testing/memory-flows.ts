// MemoryFlows: the flows of a table in memory, found by the tuple of either direction and its zone.
// Source: nf_conntrack_find_get() and nf_conntrack_hash_check_insert() in net/netfilter/nf_conntrack_core.c.

import type { Tuple } from '../ctnetlink/tuple.js';
import { type MemoryFlow, type Zone, zoneOf } from './memory-flow.js';

export class MemoryFlows implements Iterable<MemoryFlow> {
  readonly #byOriginal = new Map<string, MemoryFlow>();
  readonly #byReply = new Map<string, MemoryFlow>();

  get size(): number {
    return this.#byOriginal.size;
  }

  [Symbol.iterator](): Iterator<MemoryFlow> {
    return this.#byOriginal.values();
  }

  /** The flow with this tuple in either direction. */
  find(tuple: Tuple, zone: Zone): MemoryFlow | undefined {
    return this.#byOriginal.get(keyOf(tuple, zoneOf(zone, 'original'))) ?? this.#byReply.get(keyOf(tuple, zoneOf(zone, 'reply')));
  }

  /** Whether packets of this flow would be mistaken for those of another. */
  clashes({ original, reply, zone }: MemoryFlow): boolean {
    const inOriginal = zoneOf(zone, 'original');
    const inReply = zoneOf(zone, 'reply');
    if (inOriginal === inReply) return this.find(original, zone) !== undefined || this.find(reply, zone) !== undefined;
    return this.#byOriginal.has(keyOf(original, inOriginal)) || this.#byReply.has(keyOf(reply, inReply));
  }

  add(flow: MemoryFlow): void {
    this.#byOriginal.set(keyOf(flow.original, zoneOf(flow.zone, 'original')), flow);
    this.#byReply.set(keyOf(flow.reply, zoneOf(flow.zone, 'reply')), flow);
  }

  /** @returns whether it was there */
  remove(flow: MemoryFlow): boolean {
    const key = keyOf(flow.original, zoneOf(flow.zone, 'original'));
    if (this.#byOriginal.get(key) !== flow) return false;
    this.#byOriginal.delete(key);
    this.#byReply.delete(keyOf(flow.reply, zoneOf(flow.zone, 'reply')));
    return true;
  }
}

/** A tuple in a zone, as text. */
export function keyOf({ protonum, src, dst, sport, dport, icmpType, icmpCode, icmpId }: Tuple, zone: number): string {
  return `${zone} ${protonum} ${src} ${dst} ${sport ?? icmpType ?? ''} ${dport ?? icmpCode ?? ''} ${icmpId ?? ''}`;
}

/** A hash, as in the kernel: a flow that is created again has the same id. */
export function idOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
