// A record of real traffic through a router that translates, held against the logs of both ends: each flow is in it once, as both ends saw it,
// and whoHad answers as a search through these logs does. TRUTH_FLOWS, TRUTH_RATE and QUESTIONS ask for more (`npm run test:truth`).

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type FlowHistory, openHistory, type PastFlow } from '../../src/history/index.js';
import { Conntrack } from '../../src/index.js';
import { Namespace } from '../support/namespace.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { joinByRouter } from '../support/traffic.js';
import {
  FORWARDED,
  FORWARDED_ID,
  FORWARDED_TO,
  INSIDE_COUNT,
  insideAddress,
  kindOf,
  NOBODY,
  PUBLIC,
  PUBLIC_TOO,
  type TruthLine,
} from '../support/truth-traffic.js';

const FLOWS = Number(process.env['TRUTH_FLOWS'] ?? 600);
const RATE = Number(process.env['TRUTH_RATE'] ?? 150);
const QUESTIONS = Number(process.env['QUESTIONS'] ?? 1000);
const PROGRAM = fileURLToPath(new URL('../support/truth-traffic.js', import.meta.url));
const SECOND = 1_000_000;
/** Seconds after which the kernel lets go of a flow that nobody uses. */
const TIMEOUT = 4;
/** Microseconds by which an end may be later than that: a busy machine handles what is due late. */
const LATE = 10 * SECOND * SLOWNESS;
/** Outside ports are few, so that they serve again and again, and several at once. */
const PORTS = [40_000, 40_099] as const;

const RULES = `
table ip nat {
  chain pre {
    type nat hook prerouting priority dstnat;
${FORWARDED.map((port, n) => `    ip daddr ${PUBLIC} tcp dport ${port} dnat to ${insideAddress(n)}:${FORWARDED_TO}`).join('\n')}
  }
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "south" meta l4proto { tcp, udp } snat to ${PUBLIC}-${PUBLIC_TOO}:${PORTS[0]}-${PORTS[1]}
  }
}
table inet f {
  chain forward { type filter hook forward priority 0; ct state new accept; }
}`;

/** A flow as both ends tell it. */
interface Truth {
  readonly id: number;
  readonly opens: number;
  readonly local: readonly [string, number];
  readonly to: readonly [string, number];
  seen?: number;
  lasts?: number;
  peer?: readonly [string, number];
}

/** Settles when it listens, and goes on to read what it says. */
async function logOf(child: ChildProcess, truths: Map<number, Partial<Truth>>): Promise<void> {
  const lines = createInterface({ input: child.stdout! });
  await once(lines, 'line');
  lines.on('line', (line) => {
    const entry = JSON.parse(line) as TruthLine;
    truths.set(entry.id, { ...truths.get(entry.id), ...entry });
  });
}

function grouped<T>(list: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of list) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

const ends = ({ flow: { original, reply } }: PastFlow) => ({
  source: `${original.src} ${original.sport}`,
  target: `${original.dst} ${original.dport}`,
  responder: `${reply.src} ${reply.sport}`,
  outside: `${reply.dst} ${reply.dport}`,
});
const endpoint = ([address, port]: readonly [string, number]) => `${address} ${port}`;

/** Each flow and its only record. */
function pairUp(truths: readonly Truth[], flows: readonly PastFlow[], ended: number): Map<Truth, PastFlow> {
  const pairs = new Map<Truth, PastFlow>();
  const byTuple = grouped(flows, (flow) => `${flow.flow.protocol} ${ends(flow).source} ${ends(flow).target}`);
  for (const truth of truths) {
    const kind = truth.id < FORWARDED_ID ? kindOf(truth.id) : 'closed';
    const protocol = kind.startsWith('idle') || kind === 'unanswered' ? 'udp' : 'tcp';
    const found = byTuple.get(`${protocol} ${endpoint(truth.local)} ${endpoint(truth.to)}`) ?? [];
    const context = `${kind} ${JSON.stringify(truth)}: ${JSON.stringify(found)}`;
    assert.equal(found.length, 1, context);
    const [flow] = found as [PastFlow];
    pairs.set(truth, flow);
    assert.equal(flow.endReason, kind.replace('6', ''), context);
    assert.ok(flow.start >= truth.opens && flow.start <= (truth.seen ?? ended), context);
    assert.ok(flow.end !== undefined && flow.end >= (truth.lasts ?? truth.opens), context);
    if (truth.to[1] === NOBODY) continue;
    assert.ok(truth.peer && flow.end <= truth.lasts! + TIMEOUT * SECOND + LATE, context);
    assert.equal(ends(flow).outside, endpoint(truth.peer), context);
  }
  assert.ok(truths.filter(({ to }) => to[1] !== NOBODY).length > FLOWS / 2);
  const ports = flows.filter(({ flow: { protocol } }) => protocol === 'tcp' || protocol === 'udp');
  assert.equal(ports.length, truths.length, 'each record is of a flow that the ends know');
  return pairs;
}

/** Asks who had it, and holds each answer against a search through the logs. Forwarded ports are asked for as the outside knows them. */
async function ask(history: FlowHistory, pairs: ReadonlyMap<Truth, PastFlow>, { from, to }: { from: number; to: number }) {
  // As whom the other side saw it; what nobody saw, as the record says.
  const outsideOf = (truth: Truth) =>
    truth.id >= FORWARDED_ID ? endpoint(truth.to) : truth.peer ? endpoint(truth.peer) : ends(pairs.get(truth)!).outside;
  const insideOf = (truth: Truth) =>
    truth.id < FORWARDED_ID
      ? `${endpoint(truth.local)} ${truth.to[1]}`
      : `${ends(pairs.get(truth)!).responder} ${truth.local[1]}`;
  const byOutside = grouped([...pairs.keys()], outsideOf);
  const seen = [...pairs.keys()].filter(({ peer }) => peer);
  const random = new Random(seedFromEnvironment(20261129));
  const counts = { certain: 0, several: 0, none: 0 };
  for (let n = 0; n < QUESTIONS; n++) {
    const truth = random.pick(seen);
    const asked = random.chance(0.5)
      ? outsideOf(truth)
      : `${random.pick([PUBLIC, PUBLIC_TOO])} ${PORTS[0] + random.below(PORTS[1] - PORTS[0] + 1)}`;
    const at = random.chance(0.5)
      ? truth.seen! + random.below(Math.max(1, truth.lasts! - truth.seen! + 1))
      : from + random.below(to - from);
    const [address = '', port] = asked.split(' ');
    const answer = await history.whoHad({ address, port: Number(port), at });
    assert.ok(answer.complete, answer.why.join());
    const given = answer.matches
      .filter(({ grade }) => grade === 'certain')
      .map(({ inside, remote }) => `${inside.address} ${inside.port} ${remote?.port}`);
    const others = byOutside.get(asked) ?? [];
    const must = others.filter(({ seen = 0, lasts = 0 }) => seen <= at && at <= lasts).map(insideOf);
    const may = others.filter(({ opens, lasts = opens }) => opens <= at && at <= lasts + TIMEOUT * SECOND + LATE).map(insideOf);
    const context = `${asked} at ${at}: ${given}`;
    for (const one of must) assert.ok(given.includes(one), `${context}, not ${one}`);
    for (const one of given) assert.ok(may.includes(one), `${context}: ${one} had it at another time`);
    assert.equal(answer.ambiguous, new Set(given.map((one) => one.split(' ')[0])).size > 1, context);
    if (given.length > 0) counts.certain++;
    else counts.none++;
    if (given.length > 1) counts.several++;
  }
  return counts;
}

before(requirePrerequisites);

test('a record of real traffic is what both ends saw', {
  skip: SELF_TEST ? 'the reference keeps no record' : false,
}, async () => {
  const directory = mkdtempSync(`${tmpdir()}/conntrack-truth-`);
  const children: ChildProcess[] = [];
  const run = (namespace: Namespace, argv: readonly string[], output: 'stdout' | 'stderr') => {
    const stdio = ['pipe', output === 'stdout' ? 'pipe' : 'ignore', output === 'stderr' ? 'pipe' : 'inherit'] as const;
    const child = spawn('nsenter', [`--net=/proc/${namespace.pid}/ns/net`, ...argv], { stdio: [...stdio] });
    children.push(child);
    return child;
  };
  await using client = await Namespace.create('truthc');
  await using router = await Namespace.create('truthr');
  await using server = await Namespace.create('truths');
  try {
    await joinByRouter(client, router, server);
    for (let n = 0; n < INSIDE_COUNT; n++) await client.must(['ip', 'address', 'add', `${insideAddress(n)}/24`, 'dev', 'eth0']);
    const timeouts = ['udp_timeout', 'udp_timeout_stream', 'tcp_timeout_time_wait', 'tcp_timeout_close', 'tcp_timeout_last_ack'];
    await router.sysctl({
      ...Object.fromEntries(['acct', 'timestamp', 'events'].map((name) => [`net.netfilter.nf_conntrack_${name}`, 1])),
      ...Object.fromEntries(timeouts.map((name) => [`net.netfilter.nf_conntrack_${name}`, TIMEOUT])),
    });
    await router.nft(RULES);
    const recorder = run(router, [UNDER_TEST, 'record', '--keep', 'forever', '--dir', directory], 'stderr');
    let said = '';
    recorder.stderr!.setEncoding('utf8').on('data', (text: string) => (said += text));
    while (!/recording .* in /.test(said)) await sleep(20);

    const log = new Map<number, Partial<Truth>>();
    const began = Date.now() * 1000;
    const program = (role: string) => [process.execPath, PROGRAM, role, String(FLOWS), String(RATE)];
    const both = [run(server, program('outside'), 'stdout'), run(client, program('inside'), 'stdout')];
    await Promise.all(both.map((child) => logOf(child, log)));
    for (const child of both) child.stdin!.write('begin\n');
    await sleep((FLOWS / RATE) * 1000 + 2000 * SLOWNESS);
    await using conntrack = await Conntrack.open({ netns: router.pid });
    for (let tries = 0; (await conntrack.count()).entries > 0; tries++) {
      assert.ok(tries < 600, 'flows end');
      await sleep(100);
    }
    const ended = Date.now() * 1000;
    recorder.kill('SIGTERM');
    await once(recorder, 'exit');
    assert.equal(recorder.exitCode, 0, said);
    const truths = [...log.values()] as Truth[];
    assert.ok(truths.length >= FLOWS, `${truths.length}`);
    await using history = await openHistory(directory);
    const flows: PastFlow[] = [];
    for await (const flow of history.flows(undefined, {})) flows.push(flow);
    const pairs = pairUp(truths, flows, ended);
    const counts = await ask(history, pairs, { from: began, to: ended });
    console.log(`${truths.length} flows, ${flows.length} records, ${QUESTIONS} questions: ${JSON.stringify(counts)}`);
    assert.ok(counts.certain > QUESTIONS / 4 && counts.several > 0 && counts.none > 0, JSON.stringify(counts));
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
});
