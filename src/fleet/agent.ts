// FleetAgent: the life of an agent: it claims its name, says every 15 seconds that it is there, answers, and ends.

import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { asksKernel, type Conntrack, readIn, sessionOf } from '../library/index.js';
import type { Bus } from './bus.js';
import { RevisionError } from './bus.js';
import { ChangeAgent, type ChangeCounts, type HostChanges } from './change-agent.js';
import { FleetError, OTHER_KEY } from './fleet-error.js';
import {
  type AgentState,
  ALIVE,
  encodeHostValue,
  HEARTBEAT,
  type HostValue,
  readHostValue,
  type ShippedTo,
} from './inventory.js';
import { operationsOf } from './operations.js';
import { type AgentTables, QueryAgent, type QueryCounts } from './query-agent.js';
import type { Shipper, ShipperStatus } from './shipper.js';
import { prepareServers } from './streams.js';
import { checkName, HOSTS_BUCKET } from './subjects.js';

/** How an agent runs. */
export interface FleetAgentOptions {
  readonly bus: Bus;
  readonly host: string;
  readonly site: string;
  readonly tables: AgentTables;
  /** The version of this package. */
  readonly version: string;
  /** The process that runs it. */
  readonly pid: number;
  /** Take the name even if another machine's agent seems to be alive. */
  readonly takeOver?: boolean | undefined;
  /** What may be changed, and by whom. Default: nothing. */
  readonly changes?: HostChanges | undefined;
  /** Make what the servers lack: only where they need no keys. */
  readonly makeBucket?: boolean | undefined;
  /** Ships the record of this host: called once the name is claimed, with what the inventory knew of it. */
  readonly ship?: ((known: ShippedTo | undefined, clock: () => HostValue['clock']) => Shipper) | undefined;
  readonly tell: (line: string) => void;
}

/** What an agent does. */
export interface FleetAgentStatus extends QueryCounts {
  readonly state: AgentState;
  /** Milliseconds since the servers confirmed that it is there; `undefined`: never. */
  readonly heartbeat: number | undefined;
  readonly clock: HostValue['clock'];
  readonly changes: ChangeCounts;
  readonly shipped?: ShipperStatus | undefined;
}

/** Bytes for records on a server of this machine that was not set up. */
const TRIAL_RECORDS = 2 ** 30;
/** Milliseconds that records have to be shipped when it ends. */
const SHIPPING = 10_000;
/** Milliseconds that queries have to end. */
const DRAINING = 5000;
/** Measurements of the clock that are kept, and the pause between them. */
const CLOCKS = 8;
const CLOCK_PAUSE = 300_000;
/** From here on a clock is told to be off. */
export const CLOCK_OFF = 1000;
const RETRY = 2000;

export class FleetAgent implements AsyncDisposable {
  /** Rejects when it cannot go on: another agent has its name. */
  readonly failed: Promise<never>;
  readonly #options: FleetAgentOptions;
  readonly #instance = randomBytes(8).toString('hex');
  readonly #machine = machineHash();
  readonly #queries: QueryAgent;
  readonly #changes: ChangeAgent | undefined;
  #fail!: (error: unknown) => void;
  #state: AgentState = 'up';
  #revision = 0;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();
  #beaten: number | undefined;
  #measured = Number.NEGATIVE_INFINITY;
  #clocks: { offset: number; error: number }[] = [];
  #silenceTold = false;
  #stopped: Promise<void> | undefined;
  /** What the inventory knew of its record when it started. */
  #known: ShippedTo | undefined;
  #shipper: Shipper | undefined;

  private constructor(options: FleetAgentOptions) {
    this.#options = options;
    const { bus, host, site, tables, changes, tell } = options;
    const identity = { host, site, instance: this.#instance };
    this.#queries = new QueryAgent(bus, identity, tables, () => this.#lastValue, tell);
    this.#changes = changes && new ChangeAgent(bus, identity, tables, changes, tell);
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {}); // whoever wants to know asks
  }

  #lastValue: HostValue | undefined;

  /** Claims the name, and answers from then on. @throws FleetError `NAME_TAKEN`, `NOT_SET_UP`, `UNAUTHORISED` */
  static async start(options: FleetAgentOptions): Promise<FleetAgent> {
    checkName('the host', options.host);
    checkName('the site', options.site);
    const agent = new FleetAgent(options);
    for (let tries = 0; ; tries++)
      try {
        await agent.#claim();
        break;
      } catch (error) {
        // Servers that look for a leader find one; one that has come back may not know yet what was written last.
        const isStale = error instanceof RevisionError;
        if (!isStale && (!(error instanceof FleetError) || error.code !== 'UNAVAILABLE')) throw error;
        const why = isStale ? 'the servers do not agree yet' : error.message;
        const hint = isStale || error.hint === undefined ? '' : ` (${error.hint})`;
        if (tries === 0) options.tell(`${why}; it goes on trying${hint}`);
        await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    agent.#shipper = options.ship?.(agent.#known, () => agent.#clock);
    agent.#shipper?.start();
    // A host that cannot hear questions must not seem to be there.
    const refused = (reason: string) => agent.#fail(new FleetError('UNAUTHORISED', reason, { hint: OTHER_KEY }));
    agent.#queries.start(refused);
    agent.#changes?.start(refused);
    await options.bus.flush();
    agent.#schedule(HEARTBEAT * (0.5 + Math.random() / 2));
    options.bus.onConnection((what) => {
      if (what === 'back') agent.#schedule(Math.random() * RETRY);
    });
    return agent;
  }

  get status(): FleetAgentStatus {
    return {
      ...this.#queries.counts,
      state: this.#state,
      heartbeat: this.#beaten === undefined ? undefined : performance.now() - this.#beaten,
      clock: this.#clock,
      changes: this.#changes?.counts ?? new Map(),
      ...(this.#shipper ? { shipped: this.#shipper.status } : {}),
    };
  }

  /** Says that it stops, lets queries end, and says that it has stopped. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#beating;
    if (this.#state === 'up') await this.#say('draining');
    await this.#changes?.stop();
    await Promise.all([this.#queries.stop(DRAINING), this.#shipper?.stop(SHIPPING)]);
    if (this.#state === 'draining') await this.#say('stopped');
  }

  /** Says a last state, if the servers take it. */
  async #say(state: AgentState): Promise<void> {
    this.#state = state;
    if (!this.#options.bus.connected) return;
    try {
      await this.#write();
    } catch (error) {
      this.#options.tell(`cannot say that it is ${state}: ${(error as Error).message}`);
    }
  }

  async #claim(): Promise<void> {
    const { bus, host, makeBucket, takeOver = false } = this.#options;
    if (makeBucket) await prepareServers(bus, 1, TRIAL_RECORDS);
    const entry = await bus.readKey(HOSTS_BUCKET, host);
    const before = entry && readHostValue(entry);
    if (before && entry && !takeOver) this.#checkFree(before, Date.now() - entry.at);
    // What is read later may be what this agent wrote itself.
    this.#known ??= before?.record ?? undefined;
    this.#revision = entry?.revision ?? 0;
    await this.#write();
  }

  /** @throws FleetError `NAME_TAKEN` if another agent of this name is alive */
  #checkFree({ host, state, machine, pid }: HostValue, age: number): void {
    if (state === 'stopped' || Math.abs(age) > ALIVE) return;
    const ago = `${Math.max(0, Math.round(age / 1000))} s ago`;
    if (machine !== this.#machine)
      throw new FleetError('NAME_TAKEN', `${host} is alive on another machine (id ${machine.slice(0, 4)}.., ${ago})`, {
        hint: '--take-over if that is this one',
      });
    if (pid !== this.#options.pid && existsSync(`/proc/${pid}`))
      throw new FleetError('NAME_TAKEN', `another agent named ${host} runs on this machine (process ${pid}, ${ago})`, {
        hint: 'give this one another --name; --take-over if that process is something else',
      });
  }

  #schedule(pause: number): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#beating = this.#beat();
    }, pause);
  }

  async #beat(): Promise<void> {
    try {
      await this.#write();
      if (performance.now() - this.#measured > CLOCK_PAUSE) await this.#measureClock();
      if (this.#silenceTold) this.#options.tell('the servers take heartbeats again');
      this.#silenceTold = false;
      this.#schedule(HEARTBEAT);
    } catch (error) {
      if (error instanceof RevisionError) return this.#readOther();
      // Servers that are away or without a leader: queries are answered as long as they come.
      if (!this.#silenceTold) this.#options.tell(`no heartbeat: ${(error as Error).message}`);
      this.#silenceTold = true;
      this.#schedule(RETRY);
    }
  }

  /** Somebody has written this agent's value: another agent, or a write of this one whose answer was lost. */
  async #readOther(): Promise<void> {
    const { bus, host } = this.#options;
    try {
      const entry = await bus.readKey(HOSTS_BUCKET, host);
      const value = entry && readHostValue(entry);
      this.#revision = entry?.revision ?? 0;
      if (value && value.instance !== this.#instance) {
        this.#state = 'draining';
        this.#fail(
          new FleetError('NAME_TAKEN', `another agent has taken the name ${host} (machine ${value.machine.slice(0, 4)}..)`, {
            hint: 'each host of a fleet needs a name of its own',
          }),
        );
        return;
      }
      this.#schedule(0);
    } catch {
      this.#schedule(RETRY);
    }
  }

  async #write(): Promise<void> {
    const { bus, host } = this.#options;
    const value = await this.#value();
    this.#lastValue = value;
    this.#revision = await bus.writeKey(HOSTS_BUCKET, host, encodeHostValue(value), this.#revision);
    this.#beaten = performance.now();
  }

  /** Compares the clock with that of the server that leads the bucket. */
  async #measureClock(): Promise<void> {
    const { bus, host } = this.#options;
    const before = Date.now();
    const begun = performance.now();
    await this.#write();
    const took = performance.now() - begun;
    const entry = await bus.readKey(HOSTS_BUCKET, host);
    if (!entry || entry.revision !== this.#revision) return;
    this.#measured = performance.now();
    this.#clocks = [...this.#clocks, { offset: before + took / 2 - entry.at, error: took / 2 + 1 }].slice(-CLOCKS);
    const clock = this.#clock!;
    if (Math.abs(clock.offset) > CLOCK_OFF)
      this.#options.tell(`the clock is ${(Math.abs(clock.offset) / 1000).toFixed(1)} s ${clock.offset > 0 ? 'ahead' : 'behind'}`);
  }

  /** The most exact of the last measurements. */
  get #clock(): HostValue['clock'] {
    const best = [...this.#clocks].sort((a, b) => a.error - b.error)[0];
    return best ? { offset: Math.round(best.offset), error: Math.ceil(best.error) } : null;
  }

  /** Before it ships, it says what it found: that must not be forgotten. */
  #shippedTo(): ShippedTo | null {
    if (!this.#shipper) return this.#options.ship ? (this.#known ?? null) : null;
    const { recorder, acked, mark, alive, behind } = this.#shipper.status;
    return { recorder, acked, mark, alive, behind };
  }

  async #value(): Promise<HostValue> {
    const { host, site, tables, version, pid } = this.#options;
    let [entries, maxEntries] = [0, 0];
    const off = new Set<string>();
    for (const conntrack of tables.conntracks.values()) {
      const count = await conntrack.count();
      entries += count.entries;
      maxEntries += count.maxEntries ?? 0;
      for (const name of SETTINGS) if (isOff(conntrack, name)) off.add(name);
    }
    return {
      v: 1,
      host,
      site,
      state: this.#state,
      instance: this.#instance,
      machine: this.#machine,
      pid,
      agent: version,
      features: [...operationsOf(tables), 'nl1'],
      kernel: release(),
      netns: tables.several ? [...tables.conntracks.keys()].slice(0, MOST_NAMESPACES) : [],
      entries,
      maxEntries,
      allow: this.#options.changes?.allow ?? [],
      off: [...off],
      record: this.#shippedTo(),
      clock: this.#clock,
    };
  }
}

const MOST_NAMESPACES = 64;
/** Sysctls without which a record lacks something. */
const SETTINGS = ['acct', 'timestamp', 'events'] as const;

function isOff(conntrack: Conntrack, name: (typeof SETTINGS)[number]): boolean {
  const { namespace, transport } = sessionOf(conntrack).table.place;
  return asksKernel(transport) && readIn(namespace, `/proc/sys/net/netfilter/nf_conntrack_${name}`)?.trim() === '0';
}

/** What tells this machine from others, without telling its id. */
function machineHash(): string {
  const id = readText('/etc/machine-id') ?? readText('/proc/sys/kernel/random/boot_id') ?? '';
  return createHash('sha256').update(`conntrack fleet ${id.trim()}`).digest('hex').slice(0, 32);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
