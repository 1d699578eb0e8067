// What an agent and a collector answer at --listen, and the manifest for Kubernetes, which the schema of Kubernetes itself checks.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { FleetAgentStatus } from '../../src/fleet/agent.js';
import { type AgentDaemonSet, agentDaemonSet } from '../../src/fleet/agent-daemonset.js';
import { AGENT_FAMILIES, type AgentReading, notReady } from '../../src/fleet/agent-metrics.js';
import type { CollectorStatus } from '../../src/fleet/collector.js';
import { COLLECTOR_FAMILIES, type CollectorReading, collectorNotReady } from '../../src/fleet/collector-metrics.js';
import { StatusPages, type StatusSource } from '../../src/fleet/status-pages.js';
import { sampleName } from '../../src/metrics/write-metrics.js';
import { wordByName } from '../../src/words/words.js';

const STATUS: FleetAgentStatus = {
  state: 'up',
  heartbeat: 1500,
  clock: { offset: -3500, error: 1 },
  asked: 3,
  failed: 1,
  rows: 12,
  running: 1,
  queries: new Map([
    ['list ok', 2],
    ['list FILTER', 1],
  ]),
  milliseconds: 2500,
  changes: new Map([['apply TOO_MANY', 4]]),
  shipped: {
    recorder: 'x',
    acked: 70,
    mark: 0,
    alive: 0,
    behind: 5,
    messages: 2,
    records: 60,
    bytes: 900,
    retries: 1,
    trouble: 'no leader',
  },
};
const READING: AgentReading = { version: '0.1.0', connected: true, reconnects: 2, status: STATUS };

/** One answer of somebody with this reading. */
async function answerOf<Reading>(source: StatusSource<Reading>, path: string, init?: RequestInit) {
  const pages = new StatusPages(source);
  try {
    const answer = await pages.handle(new Request(`http://127.0.0.1:9467${path}`, init));
    return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') };
  } finally {
    pages.close();
  }
}

suite('an agent', () => {
  const ask = (reading: AgentReading, path: string, init?: RequestInit) =>
    answerOf({ read: () => reading, families: AGENT_FAMILIES, notReady }, path, init);

  test('lives, and says why it is not ready', async () => {
    for (const [reading, why] of [
      [READING, undefined],
      [{ ...READING, connected: false, status: undefined }, 'it has no connection to a server yet'],
      [{ ...READING, status: undefined }, 'its name is not claimed yet'],
      [{ ...READING, connected: false }, 'the connection to the servers is lost'],
      [{ ...READING, status: { ...STATUS, state: 'draining' as const } }, 'it is draining'],
      [{ ...READING, status: { ...STATUS, heartbeat: 46_000 } }, 'the servers take no heartbeats'],
      [{ ...READING, status: { ...STATUS, heartbeat: undefined } }, 'the servers take no heartbeats'],
    ] as const) {
      assert.equal((await ask(reading, '/healthz')).status, 200);
      const { status, text } = await ask(reading, '/readyz');
      assert.deepEqual([status, text], why === undefined ? [200, 'ok\n'] : [503, `not ready: ${why}\n`]);
    }
    assert.equal((await ask(READING, '/')).status, 404);
    assert.equal((await ask(READING, '/metrics', { method: 'POST' })).status, 405);
  });

  test('has metrics, each with what its row says', async () => {
    const { text, type } = await ask(READING, '/metrics');
    assert.match(type!, /^text\/plain; version=0\.0\.4/);
    for (const line of [
      'conntrack_agent_info{version="0.1.0"} 1',
      'conntrack_agent_connected 1',
      'conntrack_agent_reconnects_total 2',
      'conntrack_agent_heartbeat_age_seconds 1.5',
      'conntrack_agent_clock_offset_seconds -3.5',
      'conntrack_agent_queries_total{op="list",result="ok"} 2',
      'conntrack_agent_queries_total{op="list",result="FILTER"} 1',
      'conntrack_agent_queries_running 1',
      'conntrack_agent_query_seconds_total 2.5',
      'conntrack_agent_query_rows_total 12',
      'conntrack_agent_changes_total{op="apply",result="TOO_MANY"} 4',
      'conntrack_agent_ship_acked_seq 70',
      'conntrack_agent_ship_behind_rows 5',
      'conntrack_agent_ship_rows_total 60',
      'conntrack_agent_ship_bytes_total 900',
      'conntrack_agent_ship_retries_total 1',
      'conntrack_agent_ship_trouble 1',
    ])
      assert.ok(text.includes(`${line}\n`), line);
    for (const row of AGENT_FAMILIES) assert.ok(text.includes(`# TYPE ${sampleName(row)} `), row.name);
    assert.match(text, /^process_resident_memory_bytes \d+$/m);
    // Before there is a connection, the rest is known.
    const early = await ask({ ...READING, connected: false, status: undefined }, '/metrics');
    assert.match(early.text, /^conntrack_agent_connected 0$/m);
    assert.doesNotMatch(early.text, /heartbeat/);
    const open = await ask(READING, '/metrics', { headers: { accept: 'application/openmetrics-text; version=1.0.0' } });
    assert.match(open.text, /# EOF\n$/);
  });
});

suite('a collector', () => {
  const status: CollectorStatus = {
    messages: 9,
    rows: 70,
    known: 3,
    missing: 2,
    bad: 1,
    unknownColumns: 4,
    lag: 12,
    lags: new Map([['07', { messages: 12, milliseconds: 2500 }]]),
    applied: new Map([
      ['07', 60],
      ['21', 10],
    ]),
    until: new Map([['07', 1_772_000_000_500_000]]),
    copies: 5,
    heartbeat: 1500,
    trouble: undefined,
  };
  const READS: CollectorReading = { version: '0.1.0', connected: true, reconnects: 1, status };
  const ask = (reading: CollectorReading, path: string) =>
    answerOf({ read: () => reading, families: COLLECTOR_FAMILIES, notReady: collectorNotReady }, path);

  test('lives, and says why it is not ready', async () => {
    for (const [reading, why] of [
      [READS, undefined],
      [{ ...READS, connected: false, status: undefined }, 'it has no connection to a server yet'],
      [{ ...READS, status: undefined }, 'its name is not claimed yet'],
      [{ ...READS, connected: false }, 'the connection to the servers is lost'],
      [{ ...READS, status: { ...status, trouble: 'cannot write: the disk is full' } }, 'cannot write: the disk is full'],
      [{ ...READS, status: { ...status, heartbeat: 46_000 } }, 'the servers take no heartbeats'],
    ] as const) {
      assert.equal((await ask(reading, '/healthz')).status, 200);
      const { status: code, text } = await ask(reading, '/readyz');
      assert.deepEqual([code, text], why === undefined ? [200, 'ok\n'] : [503, `not ready: ${why}\n`]);
    }
  });

  test('has metrics, each with what its row says', async () => {
    const { text } = await ask(READS, '/metrics');
    for (const line of [
      'conntrack_collector_info{version="0.1.0"} 1',
      'conntrack_collector_connected 1',
      'conntrack_collector_reconnects_total 1',
      'conntrack_collector_heartbeat_age_seconds 1.5',
      'conntrack_collector_applied_rows_total{shard="07"} 60',
      'conntrack_collector_applied_rows_total{shard="21"} 10',
      'conntrack_collector_doubles_total 3',
      'conntrack_collector_missing_total 2',
      'conntrack_collector_bad_messages_total 1',
      'conntrack_collector_unknown_columns_total 4',
      'conntrack_collector_lag_messages{shard="07"} 12',
      'conntrack_collector_lag_seconds{shard="07"} 2.5',
      'conntrack_collector_until_seconds{shard="07"} 1772000000.5',
      'conntrack_collector_copies 5',
      'conntrack_collector_trouble 0',
    ])
      assert.ok(text.includes(`${line}\n`), line);
    for (const row of COLLECTOR_FAMILIES) assert.ok(text.includes(`# TYPE ${sampleName(row)} `), row.name);
    const early = await ask({ ...READS, connected: false, status: undefined }, '/metrics');
    assert.match(early.text, /^conntrack_collector_connected 0$/m);
    assert.doesNotMatch(early.text, /doubles_total \d/);
  });
});

suite('the manifest for Kubernetes', () => {
  const PLAIN: AgentDaemonSet = {
    version: '0.1.0',
    servers: ['tls://n1.example.net:4222', 'tls://n2.example.net:4222'],
    site: 'ams',
    netns: undefined,
    history: undefined,
    ca: false,
    insecure: false,
    allow: [],
  };
  const CASES: Readonly<Record<string, AgentDaemonSet>> = {
    plain: PLAIN,
    'with everything': {
      ...PLAIN,
      netns: 'all',
      history: '/var/lib/conntrack',
      ca: true,
      allow: ['delete', 'update'],
    },
    'without keys': { ...PLAIN, insecure: true },
  };
  interface Container {
    readonly args: readonly string[];
    readonly securityContext: { readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] } };
    readonly volumeMounts?: readonly { readonly mountPath: string; readonly name: string }[];
  }
  interface Manifest {
    readonly spec: {
      readonly template: {
        readonly spec: {
          readonly hostPID?: boolean;
          readonly containers: readonly [Container];
          readonly volumes?: readonly { readonly name: string }[];
        };
      };
    };
  }
  /** Types of packages that only this test needs are not the compiler's business. */
  const load = (name: string): Promise<unknown> => import(name);
  const read = async (text: string) => {
    const { parse } = (await load('yaml')) as { readonly parse: (text: string) => Manifest };
    return parse(text);
  };
  const validate = async (manifest: Manifest) => {
    const { DaemonSet } = (await load('kubernetes-models/apps/v1')) as {
      readonly DaemonSet: new (told: unknown) => { validate(): void };
    };
    new DaemonSet(manifest).validate();
  };

  for (const [name, told] of Object.entries(CASES))
    test(`${name}: Kubernetes takes it, and the agent takes its words`, async () => {
      const manifest = await read(agentDaemonSet(told));
      await validate(manifest);
      const { containers, volumes = [], hostPID = false } = manifest.spec.template.spec;
      const [{ args, securityContext, volumeMounts = [] }] = containers;
      assert.equal(args[0], 'agent');
      const options = wordByName('agent')!.options;
      for (let i = 1; i < args.length; i++) {
        const option = options[args[i]!.slice(2)];
        assert.ok(option, args[i]);
        if (option.value !== undefined) i++;
      }
      assert.deepEqual(securityContext.capabilities.drop, ['ALL']);
      const several = told.netns !== undefined;
      assert.deepEqual(securityContext.capabilities.add, several ? ['NET_ADMIN', 'SYS_ADMIN', 'SYS_PTRACE'] : ['NET_ADMIN']);
      assert.equal(hostPID, several);
      // Every file that is named is mounted, from a volume that there is.
      const files = args.filter((word) => /^\/(etc|var)\//.test(word));
      assert.deepEqual(volumeMounts.map(({ mountPath }) => mountPath).sort(), [...files].sort());
      assert.deepEqual(
        [...new Set(volumeMounts.map(({ name: volume }) => volume))],
        volumes.map(({ name: volume }) => volume),
      );
    });

  test('the schema finds mistakes', async () => {
    const text = agentDaemonSet(PLAIN);
    for (const [right, wrong] of [
      ['periodSeconds: 10', 'periodSeconds: ten'],
      ['hostNetwork: true', 'hostNetwork: "yes"'],
      ['operator: Exists', 'operator: 7'],
      ['  selector:', '  selectors:'],
    ] as const) {
      assert.ok(text.includes(right));
      await assert.rejects(async () => validate(await read(text.replace(right, wrong))), `${wrong} is taken`);
    }
  });

  test('what is told stays a text', async () => {
    const strange = 'x": y\n  - z # {';
    const manifest = await read(agentDaemonSet({ ...PLAIN, netns: strange, history: strange }));
    const [{ args }] = manifest.spec.template.spec.containers;
    assert.equal(args.filter((word) => word === strange).length, 2);
  });
});
