// `conntrack collector`: keeps copies of the records of all hosts of a fleet, and answers for them.

import { report } from '../cli/report.js';
import { UsageError } from '../cli/usage-error.js';
import type { Bus } from '../fleet/bus.js';
import { parseShards } from '../fleet/collected.js';
import { Collector } from '../fleet/collector.js';
import { COLLECTOR_FAMILIES, collectorNotReady } from '../fleet/collector-metrics.js';
import { CollectorStore } from '../fleet/collector-store.js';
import { collectorUnit } from '../fleet/fleet-units.js';
import { StatusPages } from '../fleet/status-pages.js';
import { prepareServers } from '../fleet/streams.js';
import { checkName } from '../fleet/subjects.js';
import { ControlSocket } from '../history/control-socket.js';
import { makeDirectory } from '../history/segment-files.js';
import { HistoryError } from '../history/segment-meta.js';
import type { Listener } from '../web/listeners.js';
import { endingSignal } from './ending-signals.js';
import { asUsage, NAME_TAKEN, nameTaken, reachServers, serversOf } from './fleet-servers.js';
import { listenerOf, unitWords } from './fleet-service.js';
import { launcherOf } from './launcher.js';
import { packageVersion } from './package-version.js';
import type { Word } from './run-word.js';
import { serviceWatch } from './service-watch.js';
import { counted } from './text-table.js';
import { isGiven, keepOf, numberOf, shareOf, sizeOf, textOf } from './word-values.js';

const DIRECTORY = '/var/lib/conntrack-collector';
/** Where metrics are, unless a port is told. */
const METRICS_PORT = 9468;

export const word: Word = async (line, { host, err, out }) => {
  if (line.operands.length > 0) throw new UsageError('collector takes options only');
  const given = textOf(line, 'name');
  if (given === undefined)
    throw new UsageError('collector needs --name NAME: what it is called in the fleet', { hint: 'such as --name c1' });
  const name = asUsage(() => checkName('the collector', given));
  const shards = asUsage(() => parseShards(textOf(line, 'shards') ?? '0-63'));
  const keep = keepOf(line, 'collector');
  const directory = textOf(line, 'dir') ?? DIRECTORY;
  if (isGiven(line, 'print-unit')) {
    out.text(collectorUnit({ ...unitWords('collector', line, host), directory }));
    return 0;
  }
  const servers = serversOf(line, { host });
  const tell = (text: string) => err(`conntrack: collector: ${text}`);
  let lock: ControlSocket;
  makeDirectory(directory);
  try {
    lock = await ControlSocket.open(directory);
  } catch (error) {
    if (!(error instanceof HistoryError) || error.code !== 'LOCKED') throw error;
    report(error, false, (known) => known);
    return NAME_TAKEN;
  }
  const over = endingSignal(host);
  const manager = serviceWatch(host);
  const version = packageVersion() ?? 'unknown';
  let bus: Bus | undefined;
  let running: Collector | undefined;
  let reconnects = 0;
  const pages = new StatusPages({
    read: () => ({ version, connected: bus?.connected ?? false, reconnects, status: running?.status }),
    families: COLLECTOR_FAMILIES,
    notReady: collectorNotReady,
  });
  let listener: Listener | undefined;
  try {
    listener = await listenerOf(line, METRICS_PORT, pages, host);
    if (listener) tell(`it listens at ${listener.url}`);
    // It may wait for servers for long: that is no reason to start it again.
    manager.ready();
    const connection = await reachServers({ ...servers, name, tell }, over);
    if (!connection) {
      manager.ends();
      return 0;
    }
    bus = connection;
    connection.onConnection((what) => {
      if (what === 'back') reconnects++;
    });
    const store = new CollectorStore({
      directory,
      version,
      keep,
      maxSize: sizeOf(line, 'max-size'),
      minFree: shareOf(line, 'min-free') ?? 0.05,
      segmentRows: numberOf(line, 'segment-rows', 1, 1e9, true) ?? 2_000_000,
      launcher: launcherOf(host),
      tell,
    });
    const starting = Collector.start({
      bus: connection,
      name,
      shards,
      store,
      bad: `${directory}/bad`,
      prepare: servers.open ? () => prepareServers(connection, 1, TRIAL_RECORDS) : undefined,
      takeOver: isGiven(line, 'take-over'),
      version,
      pid: host.pid,
      tell,
    });
    const started = await Promise.race([starting, over]);
    if (!started) return 0;
    await using collector = started;
    running = collector;
    lock.serve((request) => store.control(request));
    tell(`${name} collects at ${connection.server} into ${directory}: ${counted(store.copies, 'record')} there`);
    await Promise.race([over, collector.failed]);
    manager.ends();
    await collector.stop();
    const { rows, known, missing, bad } = collector.status;
    tell(
      `${counted(rows, 'flow')} taken, ${known} came twice, ${missing} never came, ${counted(bad, 'message')} could not be read`,
    );
  } catch (error) {
    return nameTaken(error, tell, err);
  } finally {
    await listener?.close();
    pages.close();
    await bus?.close();
    await lock.close();
  }
  return 0;
};

/** Bytes for records on a server of this machine that was not set up. */
const TRIAL_RECORDS = 2 ** 30;
