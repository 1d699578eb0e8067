// Changes to a fleet within this process: who may ask for them, what is refused, and that never more is changed than was confirmed.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { nkeys } from '@nats-io/nats-core';
import { FleetAgent } from '../../src/fleet/agent.js';
import { type AuditLine, type AuditPlace, LOCAL_AUDIT, streamAudit } from '../../src/fleet/audit.js';
import { H, type PackedBody, unpackJson } from '../../src/fleet/bodies.js';
import type { HostChanges } from '../../src/fleet/change-agent.js';
import { planChange, shareLimits } from '../../src/fleet/change-client.js';
import { type ChangeOrder, type ChangeRequest, signRequest } from '../../src/fleet/change-request.js';
import { parseChangers } from '../../src/fleet/changers.js';
import { Fleet } from '../../src/fleet/fleet.js';
import { FleetError } from '../../src/fleet/fleet-error.js';
import { Signer } from '../../src/fleet/nkey.js';
import { queryId } from '../../src/fleet/subjects.js';
import { Conntrack } from '../../src/index.js';
import { MemoryTable } from '../../src/testing/index.js';
import { type MemoryBus, MemoryServers } from '../support/memory-bus.js';
import { SLOWNESS } from '../support/project.js';
import { Random } from '../support/random.js';
import { until } from '../support/watchers.js';

const [ALICE, BOB, MALLORY] = [1, 2, 3].map(() => new Signer(nkeys.createUser().getSeed())) as [Signer, Signer, Signer];
const CHANGERS = parseChangers(
  `# who may\nalice ${ALICE.publicKey} delete,update\n\nbob ${BOB.publicKey} delete dst port 53\n`,
  'changers',
);
const PLAN = { wait: 2000 * SLOWNESS };
const SIP: ChangeOrder = { do: 'delete', filter: 'dst port 5060' };

const flow = (n: number, dport = 5060) => ({
  protocol: 'udp' as const,
  original: { src: `10.0.${(n >> 8) & 0xff}.${n & 0xff}`, dst: '192.0.2.53', sport: 1024 + (n % 60_000), dport },
  timeout: 100_000,
});

interface Host {
  readonly agent: FleetAgent;
  readonly table: MemoryTable;
  readonly bus: MemoryBus;
  readonly log: string[];
}

/** Hosts with changes, and whoever asks them. */
class Hosts implements AsyncDisposable {
  readonly servers = new MemoryServers();
  readonly fleet = new Fleet(this.servers.connect(), 'alice');
  readonly #ends: (() => Promise<void>)[] = [];

  async add(host: string, flows: number, options: Partial<HostChanges> | 'none' = {}): Promise<Host> {
    const table = new MemoryTable({ flows: Array.from({ length: flows }, (_, n) => flow(n, n % 2 ? 53 : 5060)) });
    const conntrack = await Conntrack.open({ transport: table.open });
    const bus = this.servers.connect();
    const log: string[] = [];
    const agent = await FleetAgent.start({
      bus,
      host,
      site: 'ams',
      tables: { conntracks: new Map([['own', conntrack]]), several: false },
      version: '0.1.0',
      pid: process.pid,
      makeBucket: true,
      ...(options === 'none'
        ? {}
        : {
            changes: {
              allow: ['delete', 'update'],
              changers: () => CHANGERS,
              audit: streamAudit(bus, 'ams', host),
              ...options,
            },
          }),
      tell: (line) => log.push(line),
    });
    this.#ends.push(async () => {
      await agent.stop();
      await conntrack.close();
    });
    return { agent, table, bus, log };
  }

  async audit(): Promise<AuditLine[]> {
    const lines: AuditLine[] = [];
    assert.equal(await this.fleet.log({}, (line) => lines.push(line)), 0);
    return lines;
  }

  /** Sends bytes, as anybody could. @returns the answer, or the error */
  async send(
    host: string,
    op: string,
    { data, headers }: PackedBody,
  ): Promise<{ value?: Record<string, unknown>; code?: string; message?: string }> {
    const bus = this.servers.connect();
    const reply = `ct.v1.r.alice.${queryId()}`;
    let told: { value?: Record<string, unknown>; code?: string; message?: string } | undefined;
    bus.subscribe(`${reply}.${host}`, (message) => {
      if (message.header(H.kind) === 'head') return;
      const value = unpackJson(message) as Record<string, unknown>;
      told = message.header(H.kind) === 'error' ? value : { value };
    });
    bus.publish(`ct.v1.c.ams.${host}.${op}`, data, { reply, headers });
    await until(`an answer to ${op}`, () => told !== undefined);
    await bus.close();
    return told!;
  }

  ask(signer: Signer, by: string, host: string, op: ChangeRequest['op'], more: Partial<ChangeRequest> = {}, now?: number) {
    return this.send(host, op, signRequest(signer, { op, id: queryId(), host, by, order: SIP, ...more }, now));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) await end();
  }
}

const sipOf = (table: MemoryTable) =>
  table.flows.filter(({ original }) => (original as { dport?: number }).dport === 5060).length;

test('what is confirmed is done, on every host, and written down with its signature', async () => {
  await using hosts = new Hosts();
  const fw1 = await hosts.add('fw1', 20);
  const fw2 = await hosts.add('fw2', 6);
  await hosts.add('fw3', 10, 'none');
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
  assert.deepEqual([plan.matched, plan.unable, plan.missing.length], [13, ['fw3'], 0]);
  assert.deepEqual(
    plan.hosts.map(({ host, matched, sample }) => [host, matched, sample.length]),
    [
      ['fw1', 10, 5],
      ['fw2', 3, 3],
    ],
  );
  assert.deepEqual([sipOf(fw1.table), sipOf(fw2.table)], [10, 3]);
  fw1.table.expire(flow(0));
  const changed = await plan.apply(13);
  assert.deepEqual(
    changed.map(({ host, outcome }) => [host, outcome?.deleted]),
    [
      ['fw1', 9],
      ['fw2', 3],
    ],
  );
  assert.deepEqual([fw1.table.flows.length, sipOf(fw1.table), sipOf(fw2.table)], [10, 0, 0]);
  const lines = await hosts.audit();
  assert.deepEqual(
    lines.map(({ host, phase, by, trust, limit, result }) => [host, phase, by, trust, limit, result?.deleted]).sort(),
    [
      ['fw1', 'begin', 'alice', 'signed', 10, undefined],
      ['fw1', 'end', 'alice', 'signed', 10, 9],
      ['fw2', 'begin', 'alice', 'signed', 3, undefined],
      ['fw2', 'end', 'alice', 'signed', 3, 3],
    ],
  );
  assert.ok(fw1.log.some((line) => /^alice: delete "dst port 5060", at most 10: 9 deleted \(/.test(line)));
  // Twice is more than was confirmed.
  fw2.table.add(flow(500));
  const again = await plan.apply(13);
  assert.deepEqual(
    again.map(({ error }) => error?.code),
    ['TOKEN', 'TOKEN'],
  );
  assert.equal(sipOf(fw2.table), 1);
  assert.deepEqual(
    fw1.agent.status.changes,
    new Map([
      ['plan ok', 1],
      ['apply ok', 1],
      ['apply TOKEN', 1],
    ]),
  );
});

test('new values are set, and only those that a request may have', async () => {
  await using hosts = new Hosts();
  const { table } = await hosts.add('fw1', 4);
  const order: ChangeOrder = { do: 'update', filter: 'dst port 53', set: { mark: { value: 7, mask: 0xff }, timeout: 60 } };
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order }, PLAN);
  const [fw1] = await plan.apply(2);
  assert.deepEqual(fw1!.outcome, { matched: 2, updated: 2, unchanged: 0, alreadyGone: 0, failed: 0 });
  assert.deepEqual(table.flows.map(({ mark, timeout }) => [mark, timeout]).sort(), [
    [0, 100_000],
    [0, 100_000],
    [7, 60],
    [7, 60],
  ]);
  for (const set of [{ zone: 1 }, { state: 'CLOSE' }, undefined]) {
    const refused = await hosts.ask(ALICE, 'alice', 'fw1', 'plan', { order: { ...order, set } as never });
    assert.equal(refused.code, 'REQUEST');
  }
  const refused = await hosts.ask(ALICE, 'alice', 'fw1', 'plan', { order: { ...order, set: { mark: -1 } } });
  assert.equal(refused.code, 'VALUE');
});

suite('what is refused changes nothing, and is written down', () => {
  const refusals: Readonly<
    Record<string, readonly [code: string, trust: string, ask: (hosts: Hosts) => Promise<{ code?: string; message?: string }>]>
  > = {
    'a key that is not in the file': ['UNAUTHORISED', 'signed', (hosts) => hosts.ask(MALLORY, 'alice', 'fw1', 'plan')],
    'a viewer, who signs nothing': [
      'UNAUTHORISED',
      'unsigned',
      (hosts) => hosts.send('fw1', 'plan', { data: new TextEncoder().encode('{}'), headers: { [H.version]: '1' } }),
    ],
    'a signature by another key': [
      'UNAUTHORISED',
      'unsigned',
      (hosts) => {
        const { data, headers } = signRequest(MALLORY, { op: 'plan', id: queryId(), host: 'fw1', by: 'alice', order: SIP });
        return hosts.send('fw1', 'plan', { data, headers: { ...headers, [H.key]: ALICE.publicKey } });
      },
    ],
    'other bytes than were signed': [
      'UNAUTHORISED',
      'unsigned',
      (hosts) => {
        const { data, headers } = signRequest(ALICE, { op: 'plan', id: queryId(), host: 'fw1', by: 'alice', order: SIP });
        return hosts.send('fw1', 'plan', { data: Buffer.from(data.toString().replace('5060', '5061')), headers });
      },
    ],
    'the request of another host': [
      'UNAUTHORISED',
      'signed',
      (hosts) => {
        const asked = { op: 'plan' as const, id: queryId(), host: 'fw2', by: 'alice', order: SIP };
        return hosts.send('fw1', 'plan', signRequest(ALICE, asked));
      },
    ],
    'a request for another operation': [
      'REQUEST',
      'signed',
      (hosts) =>
        hosts.send('fw1', 'apply', signRequest(ALICE, { op: 'plan', id: queryId(), host: 'fw1', by: 'alice', order: SIP })),
    ],
    'a name that is not that of the key': ['UNAUTHORISED', 'signed', (hosts) => hosts.ask(ALICE, 'bob', 'fw1', 'plan')],
    'a clock 40 s ahead': ['CLOCK', 'signed', (hosts) => hosts.ask(ALICE, 'alice', 'fw1', 'plan', {}, Date.now() + 40_000)],
    'a clock 40 s behind': ['CLOCK', 'signed', (hosts) => hosts.ask(ALICE, 'alice', 'fw1', 'plan', {}, Date.now() - 40_000)],
    'a kind of change that the key may not make': [
      'UNAUTHORISED',
      'signed',
      (hosts) => hosts.ask(BOB, 'bob', 'fw1', 'plan', { order: { do: 'update', filter: 'all', set: { mark: 1 } } }),
    ],
    'no filter': [
      'REQUEST',
      'signed',
      (hosts) => hosts.ask(ALICE, 'alice', 'fw1', 'plan', { order: { do: 'delete', filter: ' ' } }),
    ],
    'a filter that is wrong': [
      'FILTER',
      'signed',
      (hosts) => hosts.ask(ALICE, 'alice', 'fw1', 'plan', { order: { do: 'delete', filter: 'tcp and' } }),
    ],
    'a token of nobody': [
      'TOKEN',
      'signed',
      (hosts) => hosts.ask(ALICE, 'alice', 'fw1', 'apply', { token: '5-9999999999999-x', limit: 5 }),
    ],
    'an apply without a limit': ['REQUEST', 'signed', (hosts) => hosts.ask(ALICE, 'alice', 'fw1', 'apply', { token: 'x' })],
    'a request that is too large': [
      'REQUEST',
      'unsigned',
      (hosts) =>
        hosts.send('fw1', 'plan', {
          data: new Uint8Array(20_000),
          headers: { [H.version]: '1', [H.key]: ALICE.publicKey, [H.signature]: 'x' },
        }),
    ],
  };
  for (const [name, [code, trust, ask]] of Object.entries(refusals))
    test(name, async () => {
      await using hosts = new Hosts();
      const { table } = await hosts.add('fw1', 10);
      const refused = await ask(hosts);
      assert.equal(refused.code, code, refused.message);
      assert.equal(table.flows.length, 10);
      const lines = await hosts.audit();
      assert.deepEqual(
        lines.map(({ phase, error, trust: told }) => [phase, error?.code, told]),
        [['refused', code, trust]],
      );
    });

  test('a request that was here before', async () => {
    await using hosts = new Hosts();
    await hosts.add('fw1', 10);
    const request = signRequest(ALICE, { op: 'plan', id: queryId(), host: 'fw1', by: 'alice', order: SIP });
    assert.equal((await hosts.send('fw1', 'plan', request)).value!['matched'], 5);
    assert.equal((await hosts.send('fw1', 'plan', request)).code, 'REPLAY');
  });

  test('a request that expired on its way, and a plan that is older than a minute', async () => {
    let ahead = 0;
    await using hosts = new Hosts();
    const { table } = await hosts.add('fw1', 10, {
      now: () => Date.now() + ahead,
      uptime: () => performance.now() + Math.max(0, ahead),
    });
    const { value } = await hosts.ask(ALICE, 'alice', 'fw1', 'plan');
    const order = { token: value!['token'] as string, limit: 5 };
    ahead = 29_000;
    const short = signRequest(ALICE, { op: 'plan', id: queryId(), host: 'fw1', by: 'alice', order: SIP });
    const early = { ...JSON.parse(new TextDecoder().decode(short.data)), expires: Date.now() + 5000 };
    const data = new TextEncoder().encode(JSON.stringify(early));
    const expired = await hosts.send('fw1', 'plan', { data, headers: { ...short.headers, [H.signature]: ALICE.sign(data) } });
    assert.equal(expired.code, 'EXPIRED');
    ahead = 61_000;
    const late = await hosts.ask(ALICE, 'alice', 'fw1', 'apply', order, Date.now() + ahead);
    assert.deepEqual([late.code, late.message], ['TOKEN', 'the plan is older than a minute']);
    assert.equal(table.flows.length, 10);
  });

  test('a plan is good for a minute, though the clock is set back by an hour', async () => {
    let [clock, uptime] = [0, 0];
    await using hosts = new Hosts();
    const { table } = await hosts.add('fw1', 10, {
      now: () => Date.now() + clock,
      uptime: () => performance.now() + uptime,
    });
    const { value } = await hosts.ask(ALICE, 'alice', 'fw1', 'plan');
    [clock, uptime] = [-3_600_000, 61_000];
    const more = { token: value!['token'] as string, limit: 5 };
    assert.equal((await hosts.ask(ALICE, 'alice', 'fw1', 'apply', more, Date.now() + clock)).code, 'TOKEN');
    assert.equal(table.flows.length, 10);
  });

  test('the plan of another filter, of other values, of another user', async () => {
    await using hosts = new Hosts();
    const { table } = await hosts.add('fw1', 10);
    const { value } = await hosts.ask(ALICE, 'alice', 'fw1', 'plan');
    const token = value!['token'] as string;
    const all: ChangeOrder = { do: 'delete', filter: 'all' };
    assert.equal((await hosts.ask(ALICE, 'alice', 'fw1', 'apply', { order: all, token, limit: 10 })).code, 'TOKEN');
    assert.equal((await hosts.ask(BOB, 'bob', 'fw1', 'apply', { token, limit: 5 })).code, 'TOKEN');
    const more = token.replace(/^5-/, '9-');
    assert.equal((await hosts.ask(ALICE, 'alice', 'fw1', 'apply', { token: more, limit: 9 })).code, 'TOKEN');
    assert.equal(table.flows.length, 10);
    assert.equal(
      ((await hosts.ask(ALICE, 'alice', 'fw1', 'apply', { token, limit: 5 })).value!['outcome'] as { deleted: number }).deleted,
      5,
    );
  });

  test('a kind of change that the host does not let anybody make', async () => {
    await using hosts = new Hosts();
    await hosts.add('fw1', 2, { allow: ['delete'] });
    const refused = await hosts.ask(ALICE, 'alice', 'fw1', 'plan', { order: { do: 'update', filter: 'all', set: { mark: 1 } } });
    assert.deepEqual([refused.code, refused.message], ['UNAUTHORISED', 'alice may not update here']);
  });

  test('more refusals than are good for the audit', async () => {
    await using hosts = new Hosts();
    const { log } = await hosts.add('fw1', 2);
    for (let i = 0; i < 35; i++) {
      assert.equal((await hosts.ask(MALLORY, 'alice', 'fw1', 'plan')).code, 'UNAUTHORISED');
      assert.equal((await hosts.ask(ALICE, 'alice', 'fw1', 'apply', { token: 'x', limit: 5 })).code, 'TOKEN');
    }
    assert.equal((await hosts.audit()).length, 60);
    assert.equal(log.filter((line) => line.startsWith('refused ')).length, 60);
  });
});

test('a key reaches only what its filter says, and what a host keeps stays', async () => {
  await using hosts = new Hosts();
  const { table } = await hosts.add('fw1', 20, { keep: 'not src 10.0.0.1' });
  const { value } = await hosts.ask(BOB, 'bob', 'fw1', 'plan', { order: { do: 'delete', filter: 'udp or tcp' } });
  assert.equal(value!['matched'], 9);
  const token = value!['token'] as string;
  const done = await hosts.ask(BOB, 'bob', 'fw1', 'apply', { order: { do: 'delete', filter: 'udp or tcp' }, token, limit: 9 });
  assert.equal((done.value!['outcome'] as { deleted: number }).deleted, 9);
  assert.deepEqual([table.flows.length, sipOf(table)], [11, 10]);
});

test('flows that begin between plan and apply: none is deleted beyond the number that was confirmed', async () => {
  const random = new Random(7);
  for (let round = 0; round < 25; round++) {
    await using hosts = new Hosts();
    const machines = [await hosts.add('fw1', 10 + random.below(20)), await hosts.add('fw2', 10 + random.below(20))];
    const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
    const max = plan.matched + random.below(6);
    const before = machines.map(({ table }) => sipOf(table));
    const more = machines.map(() => random.below(6));
    machines.forEach(({ table }, i) => {
      for (let n = 0; n < more[i]!; n++) table.add(flow(1000 + n));
    });
    const changed = await plan.apply(max);
    let deleted = 0;
    changed.forEach(({ outcome, error }, i) => {
      const { table } = machines[i]!;
      const gone = before[i]! + more[i]! - sipOf(table);
      deleted += gone;
      if (outcome) assert.deepEqual([outcome.deleted, gone], [before[i]! + more[i]!, before[i]! + more[i]!]);
      else assert.deepEqual([error?.code, gone], ['TOO_MANY', 0]);
    });
    assert.ok(deleted <= max, `${deleted} of ${max}`);
    const ends = (await hosts.audit()).filter(({ phase }) => phase === 'end');
    assert.equal(ends.length, 2);
  }
});

test('limits together are what was confirmed, and each is at least what was planned', () => {
  const random = new Random(11);
  assert.deepEqual(shareLimits([1204], 1204), [1204]);
  assert.deepEqual(shareLimits([], 5), []);
  for (let round = 0; round < 2000; round++) {
    const matched = Array.from({ length: 1 + random.below(50) }, () => 1 + random.below(random.below(2) ? 5 : 100_000));
    const sum = matched.reduce((all, one) => all + one, 0);
    const max = sum + random.below(2 * sum);
    const limits = shareLimits(matched, max);
    assert.equal(
      limits.reduce((all, one) => all + one, 0),
      max,
    );
    assert.ok(limits.every((limit, i) => limit >= matched[i]!));
  }
});

test('an answer that is lost is asked for again, and nothing is done twice', async () => {
  await using hosts = new Hosts();
  const { table } = await hosts.add('fw1', 10);
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
  // The answer to apply is the next one.
  let lost = 0;
  hosts.servers.loses = (subject) => subject.startsWith('ct.v1.r.') && lost++ === 0;
  const [fw1] = await plan.apply(5);
  assert.ok(lost >= 2);
  assert.equal(fw1!.outcome?.deleted, 5);
  assert.equal(table.flows.length, 5);
});

test('a request that is lost is never carried out later', async () => {
  await using hosts = new Hosts();
  const { table } = await hosts.add('fw1', 10);
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
  let kept: (() => void) | undefined;
  const late = hosts.servers.connect();
  hosts.servers.loses = (subject, data, options) => {
    if (!subject.endsWith('.apply') || kept) return false;
    const copy = data.slice();
    kept = () => late.publish(subject, copy, options);
    return true;
  };
  const [fw1] = await plan.apply(5);
  assert.equal(fw1!.error?.code, 'LOST');
  kept!();
  await until('it is refused', async () => (await hosts.audit()).some(({ error }) => error?.code === 'EXPIRED'));
  assert.equal(table.flows.length, 10);
});

test('an agent that was started again does not say that nothing was changed', async () => {
  await using hosts = new Hosts();
  const { table, agent } = await hosts.add('fw1', 10);
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
  const answers = /^ct\.v1\.r\.alice\..*\.fw1$/;
  let successor: Promise<Host> | undefined;
  hosts.servers.loses = (subject) => {
    if (successor || !answers.test(subject)) return false;
    successor = agent.stop().then(() => hosts.add('fw1', 10)); // its answer is lost, and it with it
    return true;
  };
  const [fw1] = await plan.apply(5);
  await successor;
  assert.equal(table.flows.length, 5);
  assert.deepEqual(fw1, { host: 'fw1', unaudited: false });
});

test('what waits when an agent ends is not begun', async () => {
  await using hosts = new Hosts();
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { table, agent } = await hosts.add('fw1', 20, { audit: { write: () => held } });
  const token = async (filter: string) => {
    const { value } = await hosts.ask(ALICE, 'alice', 'fw1', 'plan', { order: { do: 'delete', filter } });
    return { order: { do: 'delete' as const, filter }, token: value!['token'] as string, limit: 10 };
  };
  const [first, second] = [await token('dst port 5060'), await token('dst port 53')];
  const running = hosts.ask(ALICE, 'alice', 'fw1', 'apply', first);
  const waiting = hosts.ask(ALICE, 'alice', 'fw1', 'apply', second);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const stopped = agent.stop();
  release();
  await stopped;
  assert.deepEqual([(await running).code, (await waiting).code], [undefined, 'UNAVAILABLE']);
  assert.deepEqual([table.flows.length, sipOf(table)], [10, 0]);
});

test('the audit has a line for each change, though somebody gives changes one id', async () => {
  await using hosts = new Hosts();
  await hosts.add('fw1', 10);
  await hosts.add('fw2', 10);
  const id = queryId();
  for (const host of ['fw1', 'fw2']) {
    const { value } = await hosts.ask(ALICE, 'alice', host, 'plan');
    await hosts.ask(ALICE, 'alice', host, 'apply', { id, token: value!['token'] as string, limit: 5 });
  }
  const begun = (await hosts.audit()).filter(({ phase }) => phase === 'begin').map(({ host }) => host);
  assert.deepEqual(begun, ['fw1', 'fw2']);
});

test('an apply that is known answers what it did', async () => {
  await using hosts = new Hosts();
  const { table } = await hosts.add('fw1', 10);
  const { value } = await hosts.ask(ALICE, 'alice', 'fw1', 'plan');
  const apply = { id: queryId(), token: value!['token'] as string, limit: 5 };
  const first = await hosts.ask(ALICE, 'alice', 'fw1', 'apply', apply);
  table.add(flow(700));
  const second = await hosts.ask(ALICE, 'alice', 'fw1', 'apply', apply);
  assert.deepEqual(second, first);
  assert.equal(sipOf(table), 1);
  assert.deepEqual((await hosts.ask(ALICE, 'alice', 'fw1', 'result', { id: apply.id })).value, first.value);
  assert.equal((await hosts.ask(BOB, 'bob', 'fw1', 'result', { id: apply.id })).code, 'UNAUTHORISED');
});

test('without an audit nothing is changed; --audit local needs none', async () => {
  await using hosts = new Hosts();
  const away: AuditPlace = { write: () => Promise.reject(new FleetError('AUDIT', 'it cannot be written down')) };
  const fw1 = await hosts.add('fw1', 10, { audit: away });
  const fw2 = await hosts.add('fw2', 10, { audit: LOCAL_AUDIT });
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
  const changed = await plan.apply(10);
  assert.deepEqual(
    changed.map(({ error, outcome }) => [error?.code, outcome?.deleted]),
    [
      ['AUDIT', undefined],
      [undefined, 5],
    ],
  );
  assert.deepEqual([fw1.table.flows.length, fw2.table.flows.length], [10, 5]);
  assert.deepEqual(await hosts.audit(), []);
});

test('an end that cannot be written down is told', async () => {
  await using hosts = new Hosts();
  let written = 0;
  const once: AuditPlace = {
    write: () => (written++ === 0 ? Promise.resolve() : Promise.reject(new FleetError('AUDIT', 'full'))),
  };
  const { log } = await hosts.add('fw1', 10, { audit: once });
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
  const [fw1] = await plan.apply(5);
  assert.deepEqual([fw1!.outcome?.deleted, fw1!.unaudited], [5, true]);
  assert.ok(log.some((line) => /the audit does not know how .* ended: full/.test(line)));
});

test('lines that say something else than was signed are found out', async () => {
  await using hosts = new Hosts();
  const { bus } = await hosts.add('fw1', 10);
  const plan = await planChange({ fleet: hosts.fleet, signer: ALICE, order: SIP }, PLAN);
  await plan.apply(5);
  const [line] = await hosts.audit();
  const { trust: _, taken: __, ...record } = line!;
  const forge = async (more: object) =>
    bus.append('ct.v1.audit.ams.fw1', new TextEncoder().encode(JSON.stringify({ ...record, ...more })));
  for (const more of [
    { by: 'bob' },
    { limit: 6 },
    { order: { do: 'delete', filter: 'all' } },
    { key: BOB.publicKey },
    { body: undefined },
    { sig: '' },
    { id: queryId() },
  ])
    await forge(more);
  const trusts = (await hosts.audit()).map(({ trust }) => trust);
  assert.deepEqual(trusts, ['signed', 'signed', ...Array.from({ length: 7 }, () => 'forged')]);
  // What is no line is counted.
  await bus.append('ct.v1.audit.ams.fw1', new Uint8Array(0));
  await forge({ host: 'fw2' });
  assert.equal(await hosts.fleet.log({}, () => {}), 2);
  const some: string[] = [];
  await hosts.fleet.log({ by: 'bob', on: ['f*'] }, ({ by }) => some.push(by!));
  assert.deepEqual(some, ['bob']);
});

test('the file of changers is refused with the number of its line', () => {
  const key = ALICE.publicKey;
  for (const [text, what] of [
    ['alice', /line 1: alice has no public key/],
    [`Alice ${key} delete`, /line 1: "Alice" is no name/],
    [`#\nalice ${key} destroy`, /line 2: alice may "destroy"/],
    [`alice ${key}`, /line 1: alice may ""/],
    [`alice ${key} delete tcp and`, /line 1: the filter of alice/],
    [`alice ${key} delete\nbob ${key} delete`, /line 2: the key of bob is there twice/],
  ] as const)
    assert.throws(() => parseChangers(text, 'changers'), what);
});
