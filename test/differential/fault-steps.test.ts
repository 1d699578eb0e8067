// One thing goes wrong at one step, for every step of every session of the library and every fault: the outcome is the right answer, or
// an error with a code, after which each entry is either unchanged or as requested. There is never a hang, a crash, a short list that
// looks complete, or a change that is reported but not made. Afterwards the same object still works, and nothing is left open.

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MATCH_ALL, numberIs } from '../../src/ctnetlink/filter/condition.js';
import { Conntrack, ConntrackError, type Flow, KernelError, type NewFlow } from '../../src/index.js';
import { ConntrackTable } from '../../src/library/table.js';
import { Watchdog } from '../fuzz/watchdog.js';
import { FAULTS, type Fault, FaultyTransports } from '../support/faulty-transport.js';
import { manyFlows } from '../support/many.js';
import { Namespace } from '../support/namespace.js';
import { deleteFlow, IPS_SEEN_REPLY, newExpectation, newFlow, type NewFlow as RawFlow } from '../support/netlink.js';
import { EXPECTATIONS, FLOWS } from '../support/population.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';

const SEED = seedFromEnvironment(20_26);
/** Codes that a fault may lead to: an errno, or one of our own words. */
const CODE = /^(E[A-Z0-9]+|ERRNO_\d+|DECODE|NO_ANSWER)$/;
const TIME_LIMIT = 10_000;
/** At most this many steps of each kind for each fault: the first, the last, and some between. FAULT_STEPS=1000 takes all of them. */
const MOST_STEPS = Number(process.env['FAULT_STEPS'] ?? 4);

/** More than two datagrams of 32 KiB, so that a list goes on in the second kind of buffer. */
const MANY = 400;
const tuple = (n: number) => ({ src: `10.9.${n >> 8}.${n & 255}`, dst: '198.51.100.1', sport: 1024 + n, dport: 53 });
const raw = (n: number): RawFlow => ({
  proto: 17,
  original: tuple(n),
  timeout: 100_000,
  status: IPS_SEEN_REPLY,
});
const udp = (n: number, more: Partial<NewFlow> = {}): NewFlow => ({
  protocol: 'udp',
  timeout: 100_000,
  original: { src: `10.8.${n >> 8}.${n & 255}`, dst: '198.51.100.1', sport: 1024 + n, dport: 53 },
  ...more,
});
const range = (count: number, first = 0) => Array.from({ length: count }, (_, n) => first + n);

/** The compared parts of a flow, without what changes by itself. */
function still({ original, reply, mark, status }: Flow): string {
  return JSON.stringify([original, reply, mark, status]);
}
const tupleOf = ({ original }: Flow) => JSON.stringify(original);
const sorted = (flows: readonly Flow[]) => flows.map(still).sort();

interface Session {
  readonly name: string;
  /** Whether it changes the table, which is then filled anew for each run. */
  readonly changes?: boolean;
  run(conntrack: Conntrack, act: (messages: readonly Buffer[]) => Promise<void>): Promise<unknown>;
}

const EXPECTED = EXPECTATIONS[0]!;
const MASTER = FLOWS.find(({ original }) => original === EXPECTED.master.side || sameSide(original, EXPECTED.master.side))!;
function sameSide(a: RawFlow['original'], b: RawFlow['original']): boolean {
  return a.src === b.src && a.dst === b.dst && a.sport === b.sport && a.dport === b.dport;
}

const SESSIONS: readonly Session[] = [
  { name: 'list', run: async (c) => sorted(await c.list().toArray()) },
  {
    name: 'list, filtered by the kernel',
    run: async (c) => sorted(await c.list({ family: 'ipv4', protocol: 'udp', original: { dst: '198.51.100.1' } }).toArray()),
  },
  {
    name: 'list of one tuple',
    run: async (c) => sorted(await c.list({ family: 'ipv4', protocol: 'udp', original: raw(3).original, zone: 0 }).toArray()),
  },
  { name: 'get', run: async (c) => still((await c.get(key(5)))!) },
  { name: 'get of none', run: async (c) => (await c.get(key(MANY + 5))) ?? 'none' },
  {
    name: 'count',
    run: async (c) => {
      const { entries, maxEntries } = await c.count();
      return { entries, isLimited: maxEntries! > 0 }; // the limit is that of the machine, and another test may change it
    },
  },
  { name: 'count of a filter', run: (c) => c.count({ original: { src: '10.9.1.0/24' } }) },
  { name: 'statistics', run: async (c) => (await c.statistics()).map((cpu) => Object.keys(cpu)) },
  { name: 'create', changes: true, run: (c) => c.create(udp(1, { mark: 4 })) },
  { name: 'create what may exist', changes: true, run: (c) => c.create({ ...key(1), timeout: 9, mark: 4 }, { mayExist: true }) },
  { name: 'createMany', changes: true, run: (c) => c.createMany(range(250).map((n) => udp(n))) },
  { name: 'createMany of some that exist', changes: true, run: (c) => c.createMany([...range(5).map(existing), udp(1)]) },
  { name: 'update', changes: true, run: (c) => c.update({ original: { src: '10.9.1.0/24' } }, { mark: 77 }) },
  { name: 'updateMany', changes: true, run: (c) => c.updateMany(range(150, MANY - 120).map(key), { mark: 77 }) },
  { name: 'delete', changes: true, run: (c) => c.delete({ original: { src: '10.9.1.0/24' } }) },
  { name: 'deleteMany', changes: true, run: (c) => c.deleteMany(range(150, MANY - 120).map(key)) },
  { name: 'flush', changes: true, run: (c) => c.flush() },
  { name: 'flush of a family', changes: true, run: (c) => c.flush({ family: 'ipv6' }) },
  { name: 'expectations: list', run: async (c) => (await c.expectations.list().toArray()).map(({ tuple }) => tuple) },
  { name: 'expectations: count', run: (c) => c.expectations.count() },
  { name: 'expectations: statistics', run: async (c) => (await c.expectations.statistics()).length },
  {
    name: 'expectations: get, delete, create, flush',
    changes: true,
    run: async (c) => {
      const [first] = await c.expectations.list().toArray();
      const found = await c.expectations.get(first!);
      const { deleted } = await c.expectations.delete(first!);
      await c.expectations.create(first!);
      await c.expectations.flush();
      return [found?.tuple, deleted];
    },
  },
  {
    name: 'events',
    changes: true,
    run: async (c, act) => {
      const events = c.events({ protocol: 'udp' });
      await events.ready;
      const shown = takeFor(events, 6, () => events.lost);
      shown.catch(() => {}); // awaited below
      await act(range(3).map((n) => newFlow(raw(MANY + n))));
      await act(range(3).map((n) => deleteFlow(raw(MANY + n))));
      const { items, lost } = await shown;
      events.close();
      assert.ok(items.length + lost >= 6, `${items.length} events and ${lost} that are said to be lost are not all`);
      return 'all events, or their loss';
    },
  },
  {
    name: 'events with the list before and the repair behind',
    changes: true,
    run: async (c, act) => {
      const events = c.events({}, { initial: true, resync: true });
      const known = new Set<string>();
      const taking = (async () => {
        for await (const { type, flow } of events)
          if (type === 'DESTROY') known.delete(tupleOf(flow));
          else known.add(tupleOf(flow));
      })();
      taking.catch(() => {}); // awaited below, where it has failed
      await events.ready;
      await act(range(3).map((n) => newFlow(raw(MANY + n))));
      await act(range(2).map((n) => deleteFlow(raw(n))));
      await settled(taking, () => isFinal([...known]));
      events.close();
      await taking;
      return [...known].sort();
    },
  },
  {
    name: 'watch',
    changes: true,
    run: async (c, act) => {
      const live = await c.watch();
      const failed = live.closed.catch(() => {}); // told by its failure
      await act(range(3).map((n) => newFlow(raw(MANY + n))));
      await act(range(2).map((n) => deleteFlow(raw(n))));
      await settled(failed, () => isFinal([...live].map(tupleOf)));
      if (live.failure) throw live.failure;
      const flows = [...live].map(tupleOf).sort();
      live.close();
      return flows;
    },
  },
];

function key(n: number) {
  return { protocol: 'udp', original: tuple(n) } as const;
}
function existing(n: number): NewFlow {
  return { ...key(n), timeout: 10 };
}

/** Whether three flows have arrived and the two deleted ones are gone. The number alone would not show it: two might be yet to arrive. */
function isFinal(tuples: readonly string[]): boolean {
  return tuples.length === MANY + 1 + 1 && !tuples.some((each) => /"src":"10\.9\.0\.[01]"/.test(each));
}

/** Waits for `ended` or until `done`, for as long as the code may reasonably take. */
async function settled(ended: Promise<void>, done: () => boolean): Promise<void> {
  let over = false;
  const stop = () => {
    over = true;
  };
  ended.then(stop, stop);
  for (const end = Date.now() + 4000; !over && !done() && Date.now() < end; ) await sleep(2);
}

/** Items until there are `count`, counting those that are said to be lost, or nothing more comes. */
async function takeFor<T>(items: AsyncIterator<T>, count: number, lost: () => number): Promise<{ items: T[]; lost: number }> {
  const taken: T[] = [];
  let failure: { readonly reason: unknown } | undefined;
  let ended = false;
  void (async () => {
    try {
      for (let next = await items.next(); !next.done; next = await items.next()) taken.push(next.value);
    } catch (reason) {
      failure = { reason };
    }
    ended = true;
  })();
  for (const end = Date.now() + 2000; !ended && taken.length + lost() < count && Date.now() < end; ) await sleep(2);
  if (failure) throw failure.reason;
  return { items: taken, lost: lost() };
}

function someOf(steps: readonly number[], random: Random): readonly number[] {
  if (steps.length <= MOST_STEPS) return steps;
  return [steps[0]!, ...random.sample(steps.slice(1, -1), MOST_STEPS - 2), steps.at(-1)!];
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

before(requirePrerequisites);
suite('one fault at one step', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let ns: Namespace;
  let clean: Conntrack;
  let watchdog: Watchdog;
  let runs = 0;
  before(async () => {
    ns = await Namespace.create('fault-steps');
    await ns.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
    clean = await Conntrack.open({ netns: ns.pid });
    watchdog = new Watchdog('fault run', 2 * TIME_LIMIT);
  });
  after(async () => {
    await watchdog?.close();
    await clean?.close();
    await ns?.close();
  });

  const flows = range(MANY).map((n) => newFlow(raw(n)));
  /** Restores the initial state. Emptying the table takes long, so only what has changed is done again. */
  const fill = async (now: readonly Flow[], was?: ReadonlyMap<string, string>) => {
    await clean.deleteMany(now.filter((flow) => was?.get(tupleOf(flow)) !== still(flow)));
    await ns.ask('flood', [...flows, newFlow(MASTER), ...newExpectation(EXPECTED)]);
    assert.equal((await clean.count()).entries, MANY + 1);
  };
  const list = () => clean.list().toArray();
  const asMap = (table: readonly Flow[]) => new Map(table.map((flow) => [tupleOf(flow), still(flow)]));
  const act = (messages: readonly Buffer[]) => ns.netlink(messages);

  /** Runs a session through `transports`. @returns its outcome, and that of using the same object again */
  const run = async (
    session: Session,
    transports: FaultyTransports,
  ): Promise<Outcome & { readonly again?: unknown; readonly own?: number }> => {
    watchdog.beat(++runs);
    let conntrack: Conntrack;
    try {
      conntrack = await Conntrack.open({ netns: ns.pid, transport: transports.open });
    } catch (error) {
      return { error };
    }
    let timer: NodeJS.Timeout | undefined;
    const hang = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('it hangs')), TIME_LIMIT);
    });
    let outcome: Outcome;
    try {
      outcome = { value: await Promise.race([session.run(conntrack, act), hang]) };
    } catch (error) {
      outcome = { error };
    }
    clearTimeout(timer);
    transports.disarmed = true;
    const own = transports.steps.length;
    const again = {
      entries: (await conntrack.count()).entries,
      listed: (await conntrack.list({ protocol: 'udp', family: 'ipv4' }).toArray()).length,
    };
    await conntrack.close();
    return { ...outcome, again, own };
  };

  test('what a visitor throws is no answer of the kernel, and a dump that was left is not gone on with', async () => {
    // More than two batches of datagrams, so that a dump that is left is not over.
    const COUNT = 8000;
    await using full = await Namespace.create('fault-visitor');
    await full.ask('flood', manyFlows(COUNT));
    const refused = new KernelError('CT_NEW', 22, 'EINVAL', 'invalid request');
    const table = ConntrackTable.open({ netns: full.pid });
    let seen = 0;
    const entry = () => {
      seen++;
      throw refused;
    };
    const ipv4 = { kind: 'family', family: 2 } as const;
    const filter = { kind: 'all', of: [ipv4, numberIs('protocol', 17)] } as const;
    await assert.rejects(table.scan(filter, { entry }), refused);
    assert.equal(seen, 1, 'the list was begun again');
    for (const filter of [MATCH_ALL, ipv4]) {
      let count = 0;
      await table.scan(filter, { entry: () => count++ });
      assert.equal(count, COUNT);
    }
    table.close();
  });

  for (const [index, session] of SESSIONS.entries()) {
    test(session.name, async (t) => {
      await fill(await list());
      let table = await list();
      const old = asMap(table);
      const steps = new FaultyTransports(new Random(SEED));
      const right = await run(session, steps);
      if ('error' in right) throw right.error;
      table = await list();
      const now = asMap(table);
      if (!session.changes) assert.deepEqual(now, old);
      const own = right.own!;
      let struck = 0;
      for (const fault of FAULTS) {
        const candidates = range(own).filter((step) => steps.steps[step]!.point === fault.at);
        for (const step of someOf(candidates, new Random(SEED + index))) {
          const title = `${session.name}: ${fault.name}, step ${step}; SEED=${SEED}`;
          if (session.changes) await fill(table, old);
          const transports = new FaultyTransports(new Random(SEED + 1000 * index + step), fault, step);
          const outcome = await run(session, transports);
          if (session.changes) table = await list();
          if (!transports.struck) continue;
          struck++;
          try {
            judge(fault, transports, outcome, right);
            const found = asMap(table);
            if ('value' in outcome) assert.deepEqual(found, now, 'the table is not what it should have become');
            else
              for (const tuple of new Set([...old.keys(), ...now.keys(), ...found.keys()]))
                assert.ok(
                  [old.get(tuple), now.get(tuple)].includes(found.get(tuple)),
                  `${tuple} is ${found.get(tuple)}, not ${old.get(tuple)} nor ${now.get(tuple)}`,
                );
            if (outcome.again) {
              const listed = [...found.keys()].filter((tuple) => /"src":"10\./.test(tuple)).length;
              assert.deepEqual(outcome.again, { entries: found.size, listed });
            }
            assert.equal(transports.live, 0, 'transports are left open');
          } catch (error) {
            throw new Error(`${title}: ${(error as Error).message}`, { cause: error });
          }
        }
      }
      t.diagnostic(`${own} steps, ${struck} faults`);
      assert.ok(struck >= Math.min(own, FAULTS.length), `only ${struck} faults struck in ${own} steps`);
    });
  }

  function judge(fault: Fault, { struck }: FaultyTransports, outcome: Outcome, right: Outcome): void {
    if ('value' in outcome) {
      assert.deepEqual(outcome.value, (right as { value: unknown }).value, 'the result is another one');
      return;
    }
    const { error } = outcome;
    assert.ok(error instanceof ConntrackError, `no typed error: ${error instanceof Error ? error.stack : error}`);
    assert.match(error.code, CODE);
    assert.notEqual(fault.expect, 'harmless', `it should have been met without an error, not ${error.code}: ${error.message}`);
    if (fault.expect === 'error or loss') assert.equal(struck, 'answers', 'a loss of events is no reason to end');
  }
});
