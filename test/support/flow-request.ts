// The netlink request for a legal `-I` or `-A` line (docs/behaviour.md 3.13, 4.6; docs/kernel.md 3.8), made from its words by test code:
// the right answer where the reference differs.

import { type CommandLine, cNumber, has, lastValue, protocolWithOptions } from './argv.js';
import {
  deleteFlow,
  type FlowUpdate,
  invert,
  message,
  type NewFlow,
  newExpectation,
  newFlow,
  SCTP,
  type Side,
  TCP,
  updateFlow,
} from './netlink.js';

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;

const STATUS: readonly (readonly [string, number])[] = [
  ['ASSURED', 4],
  ['SEEN_REPLY', 2],
  ['UNSET', 0],
  ['FIXED_TIMEOUT', 0x400],
  ['EXPECTED', 1],
  ['OFFLOAD', 0x4000],
  ['HW_OFFLOAD', 0x8000],
];
const CTA = { STATUS: 3, NAT_SRC: 6, TIMEOUT: 7, NAT_DST: 13, LABELS: 22, LABELS_MASK: 23 } as const;
/** Label names of population.ts. */
export const LABEL_BITS: Readonly<Record<string, number>> = {
  zero: 0,
  web: 1,
  'eth0-in': 2,
  fifteen: 15,
  sixteen: 16,
  last: 100,
};

/** The request. Labels by the names of population.ts. */
export function createRequest(line: CommandLine, { exclusive }: { exclusive: boolean }): Buffer {
  const flow = flowOf(line);
  const parts = attributesOf(newFlow(flow)).filter(({ type }) => type !== CTA.STATUS || has(line, 'status'));
  const bytes = parts.map((part) => part.bytes);
  for (const { type, bytes: labels } of parts) if (type === CTA.LABELS) bytes.push(retyped(labels, CTA.LABELS_MASK));
  const flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0);
  return message(0x100, flags, flow.original.src.includes(':') ? 10 : 2, ...bytes);
}

/** Equal for lines that mean the same flow. */
export function flowKey(line: CommandLine): string {
  const { proto, original, zone = 0 } = flowOf(line);
  const { src, dst, sport, dport, icmp } = original;
  return JSON.stringify([proto, zone, original.zone, src, dst, sport, dport, icmp]);
}

/** What an existing entry can still take: everything except NAT, status, and a fixed timeout. */
export function withoutFixedParts(request: Buffer, fixedTimeout: boolean): Buffer {
  const fixed: readonly number[] = [CTA.STATUS, CTA.NAT_SRC, CTA.NAT_DST, ...(fixedTimeout ? [CTA.TIMEOUT] : [])];
  const parts = attributesOf(request).filter(({ type }) => !fixed.includes(type));
  return message(0x100, NLM_F_REQUEST | NLM_F_ACK, request[16]!, ...parts.map(({ bytes }) => bytes));
}

/** The request that deletes the entry of a saved line. Not for zones of one direction, which the kernel does not accept here. */
export function deleteRequest(line: CommandLine): Buffer {
  return deleteFlow(flowOf(line));
}

/** The request that gives the entry of a saved line new values. */
export function updateRequest(saved: CommandLine, update: FlowUpdate): Buffer {
  return updateFlow(flowOf(saved), {
    ...update,
    ...(update.tcpState === undefined ? {} : { tcpFlags: tcpFlags(update.tcpState) }),
  });
}

/** The request for `-I expect`. */
export function expectationRequest(line: CommandLine): Buffer {
  const proto = protocolWithOptions(lastValue(line, 'proto')!)!;
  const side = (src: string, dst: string, sport: string, dport: string): Side => ({
    src: lastValue(line, src)!,
    dst: lastValue(line, dst)!,
    sport: Number(lastValue(line, sport)),
    dport: Number(lastValue(line, dport)),
  });
  const tuple = side('tuple-src', 'tuple-dst', 'tuple-port-src', 'tuple-port-dst');
  const mask = side('mask-src', 'mask-dst', 'mask-port-src', 'mask-port-dst');
  const [address, length] = tuple.src.split('/');
  return newExpectation({
    proto,
    master: { proto, side: side('src', 'dst', 'sport', 'dport') },
    tuple: { ...tuple, src: address! },
    mask: length === undefined ? mask : { ...mask, src: prefixMask(address!, Number(length)) },
    timeout: Number(lastValue(line, 'timeout')),
  })[0]!;
}

function prefixMask(address: string, length: number): string {
  const v6 = address.includes(':');
  const bits = '1'.repeat(length).padEnd(v6 ? 128 : 32, '0');
  const parts = bits.match(v6 ? /.{16}/g : /.{8}/g)!.map((part) => Number.parseInt(part, 2));
  return v6 ? parts.map((part) => part.toString(16)).join(':') : parts.join('.');
}

/** The flags that accompany a state set by hand (docs/behaviour.md 4.6): for closing states, also that a FIN was sent. */
function tcpFlags(state: number): number {
  return ([TCP.TIME_WAIT, TCP.CLOSE, TCP.SYN_SENT2] as number[]).includes(state) ? 0x0e : 0x0a;
}

/** The attributes of a message of ours, each with its padding. */
export function attributesOf(request: Buffer): { type: number; bytes: Buffer }[] {
  const parts: { type: number; bytes: Buffer }[] = [];
  for (let at = 20; at < request.length; ) {
    const size = (request.readUInt16LE(at) + 3) & ~3;
    parts.push({ type: request.readUInt16LE(at + 2) & 0x3fff, bytes: request.subarray(at, at + size) });
    at += size;
  }
  return parts;
}

function retyped(attribute: Buffer, type: number): Buffer {
  const copy = Buffer.from(attribute);
  copy.writeUInt16LE(type, 2);
  return copy;
}

function flowOf(line: CommandLine): NewFlow {
  const text = lastValue(line, 'proto')!;
  const proto = protocolWithOptions(text) ?? cNumber(text)!;
  const number = (...names: string[]) => {
    const value = names.flatMap((name) => lastValue(line, name) ?? [])[0];
    return value === undefined ? undefined : cNumber(value.trim());
  };
  const side = (
    src: string | undefined,
    dst: string | undefined,
    sport: number | undefined,
    dport: number | undefined,
  ): Partial<Side> => ({
    ...(src === undefined ? {} : { src }),
    ...(dst === undefined ? {} : { dst }),
    ...(sport === undefined ? {} : { sport }),
    ...(dport === undefined ? {} : { dport }),
  });
  const given = side(lastValue(line, 'src'), lastValue(line, 'dst'), number('sport', 'srckey'), number('dport', 'dstkey'));
  const reply = side(
    lastValue(line, 'reply-src'),
    lastValue(line, 'reply-dst'),
    number('reply-port-src', 'reply-key-src'),
    number('reply-port-dst', 'reply-key-dst'),
  );
  const prefix = proto === 58 ? 'icmpv6' : 'icmp';
  const type = number(`${prefix}-type`);
  const icmp = type === undefined ? {} : { icmp: [type, number(`${prefix}-code`) ?? 0, number(`${prefix}-id`) ?? 0] as const };
  const original = { ...invert(reply as Side), ...definedOnly(given), ...icmp } as Side;
  const nat = (option: 'src-nat' | 'dst-nat', derived: number | undefined, own: number | undefined) => {
    const value = lastValue(line, option);
    if (value === undefined) return undefined;
    const [, address = value, port] = /^\[(.*)\]:(\d+)$/.exec(value) ?? /^([\d.]+):(\d+)$/.exec(value) ?? [];
    const taken =
      port !== undefined ? Number(port) : proto !== 47 && derived !== undefined && derived !== own ? derived : undefined;
    return { address, ...(taken === undefined ? {} : { port: taken }) };
  };
  const sourceNat = nat('src-nat', reply.dport, original.sport);
  const destinationNat = nat('dst-nat', reply.sport, original.dport);
  // The kernel translates by itself, so the reply tuple is not translated.
  const { sport: replySport, dport: replyDport, ...addresses } = reply;
  const untranslated = {
    ...addresses,
    ...(destinationNat?.port !== undefined || replySport === undefined ? {} : { sport: replySport }),
    ...(sourceNat?.port !== undefined || replyDport === undefined ? {} : { dport: replyDport }),
  };
  const zone = number('zone');
  const origZone = number('orig-zone');
  const replyZone = number('reply-zone');
  const mark = lastValue(line, 'mark');
  const state = lastValue(line, 'state');
  const labels = lastValue(line, 'label-add')
    ?.split(',')
    .map((name) => LABEL_BITS[name]!);
  return {
    proto,
    original: { ...original, ...(origZone === undefined ? {} : { zone: origZone }) },
    reply: { ...invert(original), ...untranslated, ...(replyZone === undefined ? {} : { zone: replyZone }) },
    timeout: Math.min(number('timeout')!, 0xffffffff),
    status: statusOf(lastValue(line, 'status') ?? ''),
    ...(mark === undefined ? {} : { mark: cNumber(mark.replace(/\/.*/, ''))! }),
    ...(zone === undefined ? {} : { zone }),
    ...(proto === 6 && state !== undefined ? { tcpState: tcpState(state), tcpFlags: tcpFlags(tcpState(state)) } : {}),
    ...(proto === 132 && state !== undefined
      ? {
          sctp: {
            state: sctpState(state),
            originalTag: swapped(number('orig-vtag') ?? 0),
            replyTag: swapped(number('reply-vtag') ?? 0),
          },
        }
      : {}),
    ...(proto === 33 && state !== undefined
      ? { dccp: { state: DCCP_WORDS.indexOf(state), role: /^s/i.test(lastValue(line, 'role') ?? '') ? 1 : 0 } }
      : {}),
    ...(sourceNat === undefined ? {} : { sourceNat }),
    ...(destinationNat === undefined ? {} : { destinationNat }),
    ...(labels === undefined ? {} : { labels }),
  };
}

function definedOnly<T extends object>(object: T): Partial<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Partial<T>;
}

const DCCP_WORDS = ['NONE', 'REQUEST', 'RESPOND', 'PARTOPEN', 'OPEN', 'CLOSEREQ', 'CLOSING', 'TIMEWAIT'];

export const tcpState = (word: string): number => TCP[(word === 'LISTEN' ? 'SYN_SENT2' : word) as keyof typeof TCP];
/** `(null)`: how the reference saves a state for which it has no word (docs/differences.md B25). */
export const sctpState = (word: string): number =>
  word === 'HEARTBEAT_ACKED' ? 9 : word === '(null)' ? SCTP.HEARTBEAT_SENT : SCTP[word as keyof typeof SCTP];

/** Tags are byte-swapped (docs/behaviour.md 3.12). */
export function swapped(tag: number): number {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(tag);
  return bytes.readUInt32LE();
}

/** The bits that the plain items of a `-u` list name. */
export function statusOf(list: string): number {
  let bits = 0;
  for (const item of list.split(',')) {
    const text = item.toUpperCase();
    if (
      text === '' ||
      item.startsWith('!') ||
      item.startsWith('UNREPLIED') ||
      'SRC_NAT'.startsWith(text) ||
      'DST_NAT'.startsWith(text)
    )
      continue;
    bits |= STATUS.find(([name]) => name.startsWith(text))?.[1] ?? 0;
  }
  return bits;
}
