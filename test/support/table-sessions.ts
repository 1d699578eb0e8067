// Random calls of the library on a small world, right and wrong ones, for several tables. Their results are converted to a form that can
// be compared, without what the kernel leaves to chance or to the clock: ids, ticking seconds, times.

import {
  type Conntrack,
  ConntrackError,
  type ExpectationEvent,
  type Filter,
  type FlowEvent,
  type FlowField,
  type FlowKeyInput,
  type FlowUpdate,
  KernelError,
  type NewFlow,
} from '../../src/index.js';
import type { Random } from './random.js';

/** A call. `text` describes it. */
export interface Call {
  readonly text: string;
  readonly run: (conntrack: Conntrack) => Promise<unknown>;
}

/** What the tables that are compared have in common. */
export interface World {
  /** Protocols that the kernel tracks by their ports. */
  readonly tracked: ReadonlySet<number>;
}

const SRC = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8::1', '2001:db8::2'] } as const;
const DST = { 4: ['198.51.100.1', '198.51.100.9'], 6: ['2001:db8:1::1', 'fd00::9'] } as const;
const PORTS = [1, 21, 80];
const STATES = {
  tcp: ['NONE', 'SYN_SENT', 'SYN_RECV', 'ESTABLISHED', 'FIN_WAIT', 'CLOSE_WAIT', 'LAST_ACK', 'TIME_WAIT', 'CLOSE', 'SYN_SENT2'],
  sctp: ['NONE', 'CLOSED', 'COOKIE_WAIT', 'COOKIE_ECHOED', 'ESTABLISHED', 'SHUTDOWN_SENT', 'HEARTBEAT_SENT', 'HEARTBEAT_ACKED'],
  dccp: ['REQUEST', 'OPEN', 'TIMEWAIT'],
} as const;
const STATUS = ['SEEN_REPLY', 'ASSURED', 'FIXED_TIMEOUT'] as const;
const LABELS = [0, 1, 31, 32, 64, 127];
const MARKS = [0, 1, 7, 0x10, 0xffffffff];
const FIELDS: readonly FlowField[] = [
  'original',
  'reply',
  'state',
  'timeout',
  'mark',
  'status',
  'zone',
  'labels',
  'tcp',
  'helper',
];

type Side = Record<string, string | number>;
interface Identity {
  readonly version: 4 | 6;
  readonly protocol: number;
  readonly original: Side;
  /** For translation addresses that no other flow has: if two flows need the same, the kernel picks a random port. */
  readonly number: number;
}

export class Calls {
  readonly #random: Random;
  readonly #protocols: Readonly<Record<4 | 6, readonly number[]>>;
  readonly #made: Identity[] = [];
  /** Those that were created with a helper. */
  readonly #helped: Identity[] = [];
  /** Timeouts are different multiples of a hundred seconds, so that it shows whether one was set, however much has ticked since. */
  #timeouts = 10;

  constructor(random: Random, { tracked }: World) {
    this.#random = random;
    const optional = [33, 136].filter((protocol) => tracked.has(protocol));
    this.#protocols = { 4: [6, 6, 6, 17, 17, 132, 1, 47, 50, ...optional], 6: [6, 6, 17, 132, 58, 50, ...optional] };
  }

  next(): Call {
    const random = this.#random;
    const roll = random.below(100);
    if (roll < 36) return this.#create();
    if (roll < 42) return this.#createMany();
    if (roll < 57) return this.#update();
    if (roll < 63) return this.#delete();
    if (roll < 68) return this.#deleteMany();
    if (roll < 76) return this.#get();
    if (roll < 84) return this.#list();
    if (roll < 87) return this.#count();
    if (roll < 88) return this.#flush();
    return this.#expectation();
  }

  #call(name: string, words: readonly unknown[], run: Call['run']): Call {
    const text = `${name}(${words.map((word) => JSON.stringify(word, (_, value) => (typeof value === 'bigint' ? `${value}n` : value))).join(', ')})`;
    return { text, run };
  }

  #timeout(): number {
    return 100 * ++this.#timeouts;
  }

  #identity(): Identity {
    const random = this.#random;
    if (this.#made.length > 0 && random.chance(0.5)) return random.pick(this.#made);
    const version = random.chance(0.3) ? 6 : 4;
    const protocol = random.pick(this.#protocols[version]);
    const original: Side = { src: random.pick(SRC[version]), dst: random.pick(DST[version]) };
    if (protocol === 1 || protocol === 58) {
      original['icmpType'] = random.pick(protocol === 1 ? [8, 8, 13, 0, 3] : [128, 128, 139, 1]);
      if (random.chance(0.8)) original['icmpId'] = random.pick([1, 77]);
      if (random.chance(0.3)) original['icmpCode'] = random.below(2);
    } else if (protocol !== 50) {
      original['sport'] = random.pick(PORTS);
      original['dport'] = random.pick(PORTS);
    }
    const identity = { version, protocol, original, number: this.#made.length } as const;
    this.#made.push(identity);
    return identity;
  }

  #flow(): NewFlow {
    const random = this.#random;
    const identity = this.#identity();
    const { version, protocol, original, number } = identity;
    const flow: Record<string, unknown> = { protocol, original: { ...original }, timeout: this.#timeout() };
    const given = flow['original'] as Side;
    const ports = protocol !== 50 && protocol !== 1 && protocol !== 58;
    if (ports && random.chance(0.03)) delete given[random.pick(['sport', 'dport'])];
    if (protocol === 6 && random.chance(0.8)) flow['state'] = random.pick(STATES.tcp);
    if (protocol === 132 && random.chance(0.8)) {
      flow['state'] = random.pick(STATES.sctp);
      flow['sctp'] = { vtagOriginal: random.pick([0, 1, 0xffffffff]), vtagReply: random.pick([0, 5]) };
    }
    if (protocol === 33) {
      flow['state'] = random.pick(STATES.dccp);
      flow['dccp'] = { role: random.pick(['client', 'server']), handshakeSeq: random.pick([0n, 77n]) };
    }
    if (protocol === 6 && random.chance(0.2)) {
      const flags = random.pick([0, 0x23, 0x0f]);
      flow['tcp'] = { flagsOriginal: flags, flagsReply: flags, wscaleOriginal: random.pick([0, 7, 14, 15]), wscaleReply: 9 };
    }
    if (random.chance(0.5)) flow['status'] = random.sample(STATUS, random.below(3));
    if (random.chance(0.4)) flow['mark'] = random.pick(MARKS);
    if (random.chance(0.25)) flow['labels'] = random.sample(LABELS, random.below(3));
    if (random.chance(0.25)) this.#putZone(flow, given);
    if (random.chance(protocol === 6 || protocol === 17 ? 0.35 : 0.05)) {
      flow['helper'] = random.pick(protocol === 17 ? ['tftp', 'tftp', 'sip', 'none'] : ['ftp', 'ftp', 'pptp', 'irc', 'tftp']);
      this.#helped.push(identity);
    }
    // With a zone of one direction a translated tuple may be in use in the other zone: then the kernel takes a port at random.
    if (random.chance(0.25) && given['zone'] === undefined && flow['reply'] === undefined)
      this.#putTranslation(flow, version, ports, number);
    else if (ports && random.chance(0.08)) flow['reply'] = { sport: 1000 + number, dport: 2000 };
    if (random.chance(0.05)) flow['master'] = this.#key(random.pick(this.#made)).original;
    if (random.chance(0.06)) given['seqAdj'] = { correctionPos: 1, offsetBefore: 0xffffffff, offsetAfter: 3 } as never;
    if (random.chance(0.06)) flow['synproxy'] = { isn: 1, its: 2, tsoff: 3 };
    return flow as unknown as NewFlow;
  }

  #putZone(flow: Record<string, unknown>, original: Side): void {
    const random = this.#random;
    const kind = random.below(10);
    if (kind < 6) flow['zone'] = random.pick([0, 5, 65535]);
    if (kind >= 5 && kind < 8) original['zone'] = 7;
    if (kind >= 7) flow['reply'] = { zone: 8 };
  }

  #putTranslation(flow: Record<string, unknown>, version: 4 | 6, ports: boolean, number: number): void {
    const random = this.#random;
    const address = (side: number) => (version === 4 ? `203.0.113.${2 * number + side}` : `2001:db8:9::${2 * number + side}`);
    const to = (side: number) => (ports && random.chance(0.4) ? { address: address(side), port: 7000 + number } : address(side));
    if (random.chance(0.6)) flow['srcNat'] = to(1);
    if (flow['srcNat'] === undefined || random.chance(0.3)) flow['dstNat'] = to(0);
  }

  /** How a flow is named: by what was created, or by its answer. */
  #key({ protocol, original }: Identity): { protocol: number; original: Side } {
    return { protocol, original: { ...original, protonum: protocol } };
  }

  #create(): Call {
    const flow = this.#flow();
    const options = { mayExist: this.#random.chance(0.6) };
    return this.#call('create', [flow, options], (conntrack) => conntrack.create(flow, options));
  }

  #createMany(): Call {
    const flows = Array.from({ length: 2 + this.#random.below(4) }, () => this.#flow());
    const options = { mayExist: this.#random.chance(0.5) };
    return this.#call('createMany', [flows, options], (conntrack) => conntrack.createMany(flows, options));
  }

  #update(): Call {
    const random = this.#random;
    const filter = this.#filter();
    const change: Record<string, unknown> = {};
    for (const kind of random.sample(['timeout', 'mark', 'status', 'state', 'labels', 'sctp'], 1 + random.below(2))) {
      if (kind === 'timeout') change['timeout'] = this.#timeout();
      if (kind === 'mark')
        change['mark'] = random.chance(0.5)
          ? random.pick(MARKS)
          : { value: random.pick([0x0f, 0xf1]), mask: random.pick([0, 0x0f, 0xf0]) };
      if (kind === 'status')
        change['status'] = random.sample([...STATUS, 'EXPECTED', 'CONFIRMED', 'DYING', 'HELPER'], 1 + random.below(2));
      if (kind === 'state') change['state'] = random.pick(filter.protocol === 132 ? STATES.sctp : STATES.tcp);
      if (kind === 'sctp') change['sctp'] = { vtagReply: random.pick([0, 9]) };
      if (kind === 'labels')
        change['labels'] = {
          set: random.sample(LABELS, random.below(3)),
          clear: random.chance(0.3) ? 'all' : random.sample(LABELS, 2),
        };
    }
    return this.#call('update', [filter, change], (conntrack) => conntrack.update(filter, change as FlowUpdate));
  }

  #delete(): Call {
    const filter = this.#filter();
    return this.#call('delete', [filter], (conntrack) => conntrack.delete(filter));
  }

  #deleteMany(): Call {
    const random = this.#random;
    const identities = random.sample(this.#made, 1 + random.below(3));
    // Named by tuple alone, with the id that it has, or with another one.
    const how = random.pick(['tuple', 'id', 'other id'] as const);
    return this.#call('deleteMany', [identities.map((one) => this.#key(one)), how], async (conntrack) => {
      const all = await conntrack.list().toArray();
      const keys = identities.map((identity) => {
        const { protocol, original } = this.#key(identity);
        // The same tuple may be in several zones.
        const [flow] = all
          .filter((one) => Object.entries(original).every(([name, value]) => one.original[name as 'src'] === value))
          .sort((a, b) => (JSON.stringify(comparable(a)) < JSON.stringify(comparable(b)) ? -1 : 1));
        if (!flow || how === 'tuple') return { protocol, original };
        return { ...flow, id: how === 'id' ? flow.id : (flow.id! + 1) >>> 0 };
      });
      return conntrack.deleteMany(keys as FlowKeyInput[]);
    });
  }

  #get(): Call {
    const random = this.#random;
    const { protocol, original } = this.#key(this.#identity());
    const { src, dst, sport, dport, ...rest } = original;
    const turned = { ...rest, src: dst, dst: src, ...(sport === undefined ? {} : { sport: dport, dport: sport }) } as Side;
    const zone = random.chance(0.2) ? { zone: random.pick([5, 9]) } : {};
    const key = { protocol, ...zone, [random.pick(['original', 'reply'])]: random.chance(0.5) ? original : turned };
    return this.#call('get', [key], (conntrack) => conntrack.get(key as FlowKeyInput));
  }

  #list(): Call {
    const random = this.#random;
    const filter = this.#filter();
    const fields = random.chance(0.3) ? { fields: ['original', 'reply', ...random.sample(FIELDS, 3)] as FlowField[] } : {};
    const options = { ...fields, ...(random.chance(0.1) ? { zero: true } : {}) };
    return this.#call('list', [filter, options], (conntrack) => conntrack.list(filter, options).toArray());
  }

  #count(): Call {
    const filter = this.#filter();
    return this.#call('count', [filter], (conntrack) => conntrack.count(filter));
  }

  #flush(): Call {
    const family = this.#random.pick(['ipv4', 'ipv6', undefined] as const);
    return this.#call('flush', [family], (conntrack) => conntrack.flush(family ? { family } : {}));
  }

  #filter(): Filter & { protocol?: number } {
    const random = this.#random;
    const { version, protocol, original } = this.#identity();
    const filter: Record<string, unknown> = {};
    const kinds = [
      'protocol',
      'protocol',
      'family',
      'src',
      'net',
      'dst',
      'ports',
      'reply',
      'state',
      'mark',
      'status',
      'not',
      'any',
      'zone',
      'labels',
      'nat',
      'helped',
    ];
    for (const kind of random.sample(kinds, random.pick([0, 1, 1, 2, 3]))) {
      const side = (name: string, member: Side) => (filter[name] = { ...(filter[name] as Side | undefined), ...member });
      if (kind === 'protocol') filter['protocol'] = protocol;
      if (kind === 'family') filter['family'] = version === 4 ? 'ipv4' : 'ipv6';
      if (kind === 'src') side('original', { src: original['src']! });
      if (kind === 'net') side('original', { src: version === 4 ? '192.0.2.0/24' : '2001:db8::2/127' });
      if (kind === 'dst') side('original', { dst: original['dst']! });
      if (kind === 'ports' && original['dport'] !== undefined) {
        filter['protocol'] = protocol;
        side('original', { dport: original['dport'] });
      }
      if (kind === 'reply') side('reply', { dst: original['src']! });
      if (kind === 'state' && protocol === 6) Object.assign(filter, { protocol, state: random.pick(STATES.tcp) });
      if (kind === 'mark') filter['mark'] = random.chance(0.5) ? random.pick(MARKS) : { value: 1, mask: 3 };
      if (kind === 'status')
        filter['status'] = random.sample([...STATUS, 'SRC_NAT', 'DST_NAT_DONE', 'EXPECTED'], 1 + random.below(2));
      if (kind === 'not') filter['not'] = { status: ['ASSURED'] };
      if (kind === 'any') filter['any'] = [{ protocol: 17 }, { mark: 7 }];
      if (kind === 'zone') filter['zone'] = random.pick([0, 5, 65535]);
      if (kind === 'labels') filter['labels'] = [random.pick(LABELS)];
      if (kind === 'nat') filter[random.pick(['srcNat', 'dstNat', 'anyNat'])] = true;
      if (kind === 'helped') filter['status'] = ['HELPER'];
    }
    return filter as Filter & { protocol?: number };
  }

  #expectation(): Call {
    const random = this.#random;
    const helped = this.#helped.length > 0 && random.chance(0.9);
    const { version, protocol, original } = helped ? random.pick(this.#helped) : this.#identity();
    const whole = version === 4 ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
    const ports = original['sport'] !== undefined;
    const tuple = {
      src: original['src'],
      dst: original['dst'],
      protonum: protocol,
      ...(ports ? { sport: random.pick([0, 5]), dport: random.pick([2000, 2001]) } : {}),
    } as Side;
    const roll = random.below(10);
    if (roll < 6) {
      const mask = {
        src: random.pick([whole, whole, version === 4 ? '0.0.0.0' : '::']),
        dst: whole,
        ...(ports ? { sport: random.pick([0, 0xffff]), dport: 0xffff } : {}),
      };
      const expectation = { tuple, mask, master: { ...original, protonum: protocol }, timeout: 1000 };
      return this.#call('expectations.create', [expectation], (conntrack) => conntrack.expectations.create(expectation as never));
    }
    if (roll < 7) return this.#call('expectations.get', [tuple], (conntrack) => conntrack.expectations.get({ tuple } as never));
    if (roll < 8)
      return this.#call('expectations.delete', [tuple], (conntrack) => conntrack.expectations.delete({ tuple } as never));
    if (roll < 9) return this.#call('expectations.list', [], (conntrack) => conntrack.expectations.list().toArray());
    return this.#call('expectations.flush', [], (conntrack) => conntrack.expectations.flush());
  }
}

/** The outcome of a call: its result or error, in a form that can be compared. */
export async function outcomeOf({ run }: Call, conntrack: Conntrack): Promise<unknown> {
  try {
    return comparable(await run(conntrack));
  } catch (error) {
    if (error instanceof ConntrackError) return errorOf(error);
    throw error;
  }
}

function errorOf(error: ConntrackError): object {
  const { name, code, message, hint } = error;
  return { name, code, message, hint, ...(error instanceof KernelError ? { request: error.request, errno: error.errno } : {}) };
}

/** A table, in a defined order. */
export async function contentOf(conntrack: Conntrack): Promise<unknown> {
  const flows = await conntrack.list().toArray();
  return {
    flows: comparable(flows),
    expectations: comparable(await conntrack.expectations.list().toArray()),
    // The kernel counts a master that was deleted as long as a flow that belongs to it is there.
    count: flows.some(({ master }) => master) ? 'not compared' : (await conntrack.count()).entries,
  };
}

/** Events, those of each flow or expectation together. */
export function comparableEvents(events: readonly (FlowEvent | ExpectationEvent)[]): unknown {
  const keyed = events.map((event) => {
    const key = 'flow' in event ? [event.flow.zone ?? 0, event.flow.original] : [event.expectation.tuple];
    return { key: JSON.stringify(key, (_, value) => (typeof value === 'bigint' ? undefined : value)), event };
  });
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return keyed.map(({ event: { timestamp, portId, ...event } }) => ({
    timestamp: timestamp === undefined ? 'none' : 'some',
    portId: portId === undefined ? 'nobody' : 'somebody',
    event: comparable(event),
  }));
}

/** A copy without what is left to chance and to the clock; lists of flows, expectations and errors in a defined order. */
export function comparable(value: unknown): unknown {
  if (value instanceof ConntrackError) return errorOf(value);
  if (Array.isArray(value)) {
    const all = value.map(comparable);
    return value.some(hasNoOrder) ? all.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : all;
  }
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => {
      if (member === undefined) return [];
      if (name === 'id' || name === 'start' || name === 'stop') return [[name, 'some']];
      if (name === 'use') return [];
      if (name === 'timeout') return [[name, Math.ceil((member as number) / 100) * 100]];
      return [[name, comparable(member)]];
    }),
  );
}

/** What comes in the order in which the kernel keeps its table. */
function hasNoOrder(value: unknown): boolean {
  return (
    value instanceof ConntrackError || (typeof value === 'object' && value !== null && ('original' in value || 'tuple' in value))
  );
}
