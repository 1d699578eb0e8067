// `conntrack collector`: keeps copies of the records of all hosts of a fleet, and answers for them.

import { report } from '../cli/report.js';
import { UsageError } from '../cli/usage-error.js';
import { parseShards } from '../fleet/collected.js';
import { Collector } from '../fleet/collector.js';
import { CollectorStore } from '../fleet/collector-store.js';
import { prepareServers } from '../fleet/streams.js';
import { checkName } from '../fleet/subjects.js';
import { ControlSocket } from '../history/control-socket.js';
import { makeDirectory } from '../history/segment-files.js';
import { HistoryError } from '../history/segment-meta.js';
import { endingSignal } from './ending-signals.js';
import { asUsage, NAME_TAKEN, nameTaken, reachServers, serversOf } from './fleet-servers.js';
import { launcherOf } from './launcher.js';
import { packageVersion } from './package-version.js';
import type { Word } from './run-word.js';
import { counted } from './text-table.js';
import { isGiven, keepOf, numberOf, shareOf, sizeOf, textOf } from './word-values.js';

const DIRECTORY = '/var/lib/conntrack-collector';

export const word: Word = async (line, { host, err }) => {
  if (line.operands.length > 0) throw new UsageError('collector takes options only');
  const name = asUsage(() => checkName('the collector', textOf(line, 'name') ?? ''));
  const shards = asUsage(() => parseShards(textOf(line, 'shards') ?? '0-63'));
  const keep = keepOf(line, 'collector');
  const directory = textOf(line, 'dir') ?? DIRECTORY;
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
  const bus = await reachServers({ ...servers, name, tell }, over);
  if (!bus) return 0;
  try {
    const store = new CollectorStore({
      directory,
      version: packageVersion() ?? 'unknown',
      keep,
      maxSize: sizeOf(line, 'max-size'),
      minFree: shareOf(line, 'min-free') ?? 0.05,
      segmentRows: numberOf(line, 'segment-rows', 1, 1e9, true) ?? 2_000_000,
      launcher: launcherOf(host),
      tell,
    });
    const starting = Collector.start({
      bus,
      name,
      shards,
      store,
      bad: `${directory}/bad`,
      prepare: servers.open ? () => prepareServers(bus, 1, TRIAL_RECORDS) : undefined,
      takeOver: isGiven(line, 'take-over'),
      version: packageVersion() ?? 'unknown',
      pid: host.pid,
      tell,
    });
    const started = await Promise.race([starting, over]);
    if (!started) return 0;
    await using collector = started;
    tell(`${name} collects at ${bus.server} into ${directory}: ${counted(store.copies, 'record')} there`);
    await Promise.race([over, collector.failed]);
    await collector.stop();
    const { rows, known, missing, bad } = collector.status;
    tell(
      `${counted(rows, 'flow')} taken, ${known} came twice, ${missing} never came, ${counted(bad, 'message')} could not be read`,
    );
  } catch (error) {
    return nameTaken(error, tell, err);
  } finally {
    await bus.close();
    await lock.close();
  }
  return 0;
};

/** Bytes for records on a server of this machine that was not set up. */
const TRIAL_RECORDS = 2 ** 30;
