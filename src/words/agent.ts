// `conntrack agent`: answers questions of a fleet about the table of this host.

import { hostname } from 'node:os';
import { notThisSsh } from '../cli/ssh.js';
import { quoted, UsageError } from '../cli/usage-error.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import { FleetAgent } from '../fleet/agent.js';
import { agentDaemonSet } from '../fleet/agent-daemonset.js';
import { AGENT_FAMILIES, notReady } from '../fleet/agent-metrics.js';
import { LOCAL_AUDIT, streamAudit } from '../fleet/audit.js';
import type { Bus } from '../fleet/bus.js';
import type { HostChanges } from '../fleet/change-agent.js';
import { CHANGES, type ChangeKind } from '../fleet/change-request.js';
import { ChangersFile } from '../fleet/changers.js';
import { parseServer } from '../fleet/fleet-config.js';
import { agentUnit } from '../fleet/fleet-units.js';
import { HostRecord } from '../fleet/past-source.js';
import { Shipper } from '../fleet/shipper.js';
import { StatusPages } from '../fleet/status-pages.js';
import { checkName, hostNameOf } from '../fleet/subjects.js';
import { openHistory } from '../history/open-history.js';
import { HistoryError } from '../history/segment-meta.js';
import type { LookAgain } from '../meter/index.js';
import { endingSignal } from './ending-signals.js';
import { asUsage, nameTaken, reachServers, serversOf } from './fleet-servers.js';
import { listenerOf, unitWords } from './fleet-service.js';
import { packageVersion } from './package-version.js';
import type { Word } from './run-word.js';
import { serviceWatch } from './service-watch.js';
import type { WordLine } from './word-line.js';
import { openNamespaces } from './word-namespaces.js';
import { isGiven, listOf, secondsOf, textOf } from './word-values.js';

/** Where metrics are, unless a port is told. */
const METRICS_PORT = 9467;

export const word: Word = async (line, { host, err, out }) => {
  if (isGiven(line, 'print-unit')) {
    out.text(unitOf(line, host));
    return 0;
  }
  if (isGiven(line, 'print-daemonset')) {
    out.text(daemonSetOf(line));
    return 0;
  }
  const name = nameOf(line);
  const site = asUsage(() => checkName('the site', textOf(line, 'site') ?? 'default'));
  const servers = serversOf(line, { host });
  const tell = (text: string) => err(`conntrack: agent: ${text}`);
  const netns = textOf(line, 'netns');
  const history = textOf(line, 'history');
  const changes = changesOf(line, name, site, tell);
  const seconds = secondsOf(line, 'flush', 0.1, 3600);
  const flush = seconds === undefined ? undefined : seconds * 1000;
  if (isGiven(line, 'ship') && history === undefined)
    throw new UsageError('agent: --ship needs --history DIR', {
      hint: 'the record that conntrack record keeps there is what it ships',
    });
  if (history !== undefined) await waitForRecord(history, tell);
  // The right to the table is looked for first: without it there is nothing to answer.
  const { conntracks, complete, lookAgain } = await openNamespaces(netns);
  if (!complete) tell('some network namespaces cannot be read, and are left out');
  for (const conntrack of conntracks.values()) await conntrack.count();
  const over = endingSignal(host);
  let bus: Bus | undefined;
  let running: FleetAgent | undefined;
  let reconnects = 0;
  const version = packageVersion() ?? 'unknown';
  const pages = new StatusPages({
    read: () => ({ version, connected: bus?.connected ?? false, reconnects, status: running?.status }),
    families: AGENT_FAMILIES,
    notReady,
  });
  const listener = await listenerOf(line, METRICS_PORT, pages, host);
  if (listener) tell(`it listens at ${listener.url}`);
  // It may wait for servers for long: that is no reason to start it again.
  const manager = serviceWatch(host);
  manager.ready();
  bus = await reachServers({ ...servers, name, tell }, over);
  if (!bus) {
    manager.ends();
    return 0;
  }
  bus.onConnection((what) => {
    if (what === 'back') reconnects++;
  });
  try {
    const clockOf = () => running?.status.clock ?? null;
    const starting = FleetAgent.start({
      bus,
      host: name,
      site,
      tables: {
        conntracks,
        several: netns === 'all',
        ...(history === undefined ? {} : { past: new HostRecord(history, name, clockOf) }),
      },
      version,
      pid: host.pid,
      ...(changes ? { changes: changes(bus) } : {}),
      takeOver: isGiven(line, 'take-over'),
      makeBucket: servers.open,
      ship: isGiven(line, 'ship')
        ? (known, clock) => Shipper.open({ bus, host: name, site, directory: history!, flush, clock, tell }, known)
        : undefined,
      tell,
    });
    const started = await Promise.race([starting, over]);
    if (!started) return 0;
    await using agent = started;
    running = agent;
    tell(
      `${name} answers at ${bus.server}${site === 'default' ? '' : `, site ${site}`}${isGiven(line, 'ship') ? `, and ships ${history}` : ''}`,
    );
    const look = async (again: LookAgain) => {
      try {
        for (const { close } of (await again()).gone) await close();
      } catch (error) {
        tell(`network namespaces cannot be looked for: ${(error as Error).message}`);
      }
    };
    const following = lookAgain ? setInterval(() => void look(lookAgain), LOOK_AGAIN) : undefined;
    try {
      await Promise.race([over, agent.failed]);
    } finally {
      manager.ends();
      clearInterval(following);
    }
  } catch (error) {
    return nameTaken(error, tell, err);
  } finally {
    await listener?.close();
    pages.close();
    await bus.close();
    for (const conntrack of conntracks.values()) await conntrack.close();
  }
  return 0;
};

/** @throws UsageError */
function allowOf(line: WordLine): readonly ChangeKind[] | undefined {
  const allow = listOf(line, 'allow');
  const isChange = (text: string): text is ChangeKind => (CHANGES as readonly string[]).includes(text);
  const wrong = allow?.find((text) => !isChange(text));
  if (wrong !== undefined || allow?.length === 0)
    throw new UsageError(`--allow cannot be ${quoted(wrong ?? '')}`, { hint: `${CHANGES.join(', ')}, or both with a comma` });
  return allow?.filter(isChange);
}

/** What may be changed here, and by whom. @throws UsageError */
function changesOf(
  line: WordLine,
  name: string,
  site: string,
  tell: (text: string) => void,
): ((bus: Bus) => HostChanges) | undefined {
  const allow = allowOf(line);
  const path = textOf(line, 'changers');
  const audit = textOf(line, 'audit');
  if (!allow) {
    const alone = ['changers', 'audit', 'protect-ssh'].find((option) => option in line.values);
    if (alone !== undefined) throw new UsageError(`--${alone} goes with --allow`, { hint: `--allow ${CHANGES.join(',')}` });
    return undefined;
  }
  if (path === undefined)
    throw new UsageError('--allow needs --changers FILE: whose keys may change something', {
      hint: 'conntrack fleet auth changers prints its lines',
    });
  const file = new ChangersFile(path);
  const changers = asUsage(() => file.all);
  for (const changer of changers)
    tell(`${changer.name} may ${changer.allow.join(' and ')}${changer.filter === undefined ? '' : `: ${changer.filter}`}`);
  const keep = isGiven(line, 'protect-ssh') ? formatFlowFilter(notThisSsh()) : undefined;
  return (bus) => ({
    allow,
    changers: () => file.all,
    audit: audit === 'local' ? LOCAL_AUDIT : streamAudit(bus, site, name),
    keep,
  });
}

/** @throws UsageError */
function daemonSetOf(line: WordLine): string {
  const servers = listOf(line, 'nats');
  if (!servers)
    throw new UsageError('--print-daemonset needs --nats: the servers, as pods reach them', {
      hint: 'such as --nats tls://n1.example.net',
    });
  const allow = allowOf(line) ?? [];
  const site = textOf(line, 'site') ?? 'default';
  return asUsage(() =>
    agentDaemonSet({
      version: packageVersion() ?? 'latest',
      servers: servers.map((server) => parseServer(server).url),
      site: checkName('the site', site),
      netns: textOf(line, 'netns'),
      history: textOf(line, 'history'),
      ca: textOf(line, 'ca') !== undefined,
      insecure: isGiven(line, 'insecure'),
      allow,
    }),
  );
}

function unitOf(line: WordLine, host: NodeJS.Process): string {
  return agentUnit({
    ...unitWords('agent', line, host),
    namespaces: textOf(line, 'netns') !== undefined,
    history: textOf(line, 'history'),
  });
}

/** Looks for a record, and the pause between them: a recorder that was started at the same time makes it a moment later. */
const LOOKS = 20;
const LOOK_PAUSE = 500;

/** Settles when the record is there, and can be read. @throws HistoryError */
async function waitForRecord(directory: string, tell: (text: string) => void): Promise<void> {
  for (let looks = 1; ; looks++)
    try {
      await openHistory(directory);
      return;
    } catch (error) {
      if (!(error instanceof HistoryError) || error.code !== 'NOT_A_HISTORY' || looks === LOOKS) throw error;
      if (looks === 1) tell(`${error.message} yet; it waits ${(LOOKS * LOOK_PAUSE) / 1000} s for one`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_PAUSE));
    }
}

/** Pause between looks at which network namespaces there are. */
const LOOK_AGAIN = 10_000;

/** @throws UsageError */
function nameOf(line: WordLine): string {
  const given = textOf(line, 'name');
  if (given !== undefined) return asUsage(() => checkName('the host', given));
  const name = hostNameOf(hostname());
  if (name === undefined)
    throw new UsageError(`agent: the host name ${quoted(hostname())} cannot be a name in a fleet`, {
      hint: 'give it one with --name',
    });
  return name;
}
