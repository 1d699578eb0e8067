// `conntrack record`: every flow of a table, a row for each life, in a directory that `whohad` and `history` read.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { aboutEmptyTable } from '../cli/empty-table.js';
import { report } from '../cli/report.js';
import { UsageError } from '../cli/usage-error.js';
import { askRecorder } from '../history/control-socket.js';
import { FlowRecorder } from '../history/flow-recorder.js';
import { GAP_REASONS, type GapReason } from '../history/record-columns.js';
import { writeRecordMetrics } from '../history/record-metrics.js';
import { recordUnit } from '../history/record-unit.js';
import type { Gap } from '../history/recorded-namespace.js';
import type { RecorderEvent, RecorderStatus } from '../history/recorder-options.js';
import { HistoryError } from '../history/segment-meta.js';
import { type RecordVerification, verifyRecord } from '../history/verify-record.js';
import { bytesText } from '../history/who-had-text.js';
import { type ConntrackTable, readIn, sessionOf } from '../library/index.js';
import type { LookAgain } from '../meter/index.js';
import { safeJson, safeText } from '../safe-text.js';
import { handedSecrets, isDemoted, runDemoted } from '../web/privileges.js';
import { launcherOf } from './launcher.js';
import type { Word, WordContext } from './run-word.js';
import { serviceWatch } from './service-watch.js';
import { counted } from './text-table.js';
import { expressionOf } from './word-filter.js';
import type { WordLine } from './word-line.js';
import { openNamespaces } from './word-namespaces.js';
import { isGiven, keepOf, LEAST_TIME, MOST_TIME, numberOf, secondsOf, shareOf, sizeOf, textOf } from './word-values.js';

/** Gaps between the last run and this one. */
const EARLIER: ReadonlySet<GapReason> = new Set(['stopped', 'crash', 'reboot']);

const DIRECTORY = '/var/lib/conntrack';
/** Milliseconds between two versions of the file of metrics. */
const METRICS_EVERY = 15_000;
/** Milliseconds between two looks for network namespaces. */
const NAMESPACES_EVERY = 10_000;
/** Milliseconds to wait for an answer of a recorder. */
const PATIENCE = 30_000;

/** What a running or ended recorder is asked. */
const VERBS: Readonly<Record<string, (dir: string, line: WordLine, context: WordContext) => Promise<number>>> = {
  status: askStatus,
  flush: askFlush,
  verify,
};

/** What the record lacks without a sysctl. */
const SYSCTLS = {
  timestamp: 'the kernel keeps no times: those of the record are when events arrived',
  acct: 'flows have no packets and bytes',
} as const;

export const word: Word = async (line, context) => {
  const { out, err, host } = context;
  const dir = textOf(line, 'dir') ?? DIRECTORY;
  const [first, ...more] = line.operands;
  const verb = first !== undefined && more.length === 0 && Object.hasOwn(VERBS, first) ? VERBS[first] : undefined;
  if (first !== 'verify' && textOf(line, 'known') !== undefined) throw new UsageError('--known belongs to record verify');
  if (verb) return verb(dir, line, context);
  const filter = expressionOf(line.operands, context);
  const keep = keepOf(line, 'record');
  const netns = textOf(line, 'netns');
  const seconds = secondsOf(line, 'for', LEAST_TIME, MOST_TIME);
  const options = {
    dir,
    keep,
    filter,
    sync: textOf(line, 'sync') === 'none' ? ('none' as const) : secondsOf(line, 'sync', LEAST_TIME, MOST_TIME),
    checkpoint: secondsOf(line, 'checkpoint', LEAST_TIME, MOST_TIME),
    reconcile: secondsOf(line, 'reconcile', LEAST_TIME, MOST_TIME),
    segmentRows: numberOf(line, 'segment-rows', 1, 1e9, true),
    segmentAge: secondsOf(line, 'segment-age', LEAST_TIME, MOST_TIME),
    maxSize: sizeOf(line, 'max-size'),
    minFree: shareOf(line, 'min-free'),
    receiveBuffer: sizeOf(line, 'buffer-size'),
    noDestination: isGiven(line, 'no-destination'),
    withId: textOf(line, 'with') === 'id',
    onSeal: textOf(line, 'on-seal'),
  };
  if (isGiven(line, 'print-unit')) {
    out.text(
      recordUnit({ directory: dir, program: '/usr/bin/conntrack', words: withoutUnit(host), namespaces: netns !== undefined }),
    );
    return 0;
  }
  const user = textOf(line, 'user');
  if (isDemoted(host)) handedSecrets();
  else if (user !== undefined) {
    if (host.getuid!() !== 0) throw new UsageError('--user needs root');
    makeFor(user, dir);
    return runDemoted({ user, namespaces: netns !== undefined }, host, launcherOf(host), {}, undefined);
  }
  const { conntracks, complete, lookAgain } = await openNamespaces(netns);
  const [only] = conntracks.values();
  const say = (text: string) => err(`conntrack: record: ${text}`);
  const { table } = sessionOf(only!);
  const { namespace } = table.place;
  // What is not tracked is not recorded, and nothing would say so.
  if (mayBeUntracked(table)) for (const text of await aboutEmptyTable(table)) err(text);
  for (const [name, lacking] of Object.entries(SYSCTLS))
    if (readIn(namespace, `/proc/sys/net/netfilter/nf_conntrack_${name}`)?.trim() === '0')
      say(`${lacking} (sysctl -w net.netfilter.nf_conntrack_${name}=1 changes that for flows that begin afterwards)`);
  let gaps = 0;
  const onEvent = (event: RecorderEvent) => {
    // What lies before this run is told, and is not its failure; neither is it that the machine slept.
    if (event.type === 'gap' && !EARLIER.has(event.gap.reason) && GAP_REASONS[event.gap.reason].incomplete) gaps++;
    const text = textOfEvent(event);
    if (text !== undefined) say(text);
  };
  const isAll = netns === 'all';
  const tables = isAll ? conntracks : only!;
  let recorder: FlowRecorder;
  try {
    recorder = await FlowRecorder.open(tables, { ...options, onEvent, launcher: launcherOf(host) });
  } catch (error) {
    if (!(error instanceof HistoryError) || error.code !== 'LOCKED') throw error;
    report(error, false, (known) => known);
    return 4;
  }
  const { status } = recorder;
  say(`recording ${filter ?? 'all flows'} in ${dir} (${status.segment}, ${status.driver})`);
  const metrics = textOf(line, 'metrics');
  const writeMetrics = () => {
    if (metrics !== undefined) writeRecordMetrics(metrics, recorder.status);
  };
  writeMetrics();
  const timer = setInterval(writeMetrics, METRICS_EVERY);
  const manager = serviceWatch(host);
  manager.ready();
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) host.on(signal, () => resolve());
    if (seconds !== undefined) setTimeout(resolve, seconds * 1000);
  });
  host.on('SIGHUP', () => recorder.rotate());
  const following = lookAgain && setInterval(() => void follow(recorder, lookAgain, isAll, say), NAMESPACES_EVERY);
  await Promise.race([ended, recorder.ended]);
  clearInterval(timer);
  clearInterval(following);
  manager.ends();
  const recorded = await recorder.close().then(() => recorder.status);
  writeMetrics();
  say(`${counted(recorded.recorded, 'flow')} recorded${gaps > 0 ? `, with ${counted(gaps, 'gap')}` : ''}`);
  return gaps > 0 || !complete ? 3 : 0;
};

/** Who has not the rights to count is told so by what comes next. */
function mayBeUntracked(table: ConntrackTable): boolean {
  try {
    return table.count().entries === 0;
  } catch {
    return false;
  }
}

/** Records namespaces that have come, and no longer those that have gone. The only one has no name in the record. */
async function follow(recorder: FlowRecorder, lookAgain: LookAgain, isAll: boolean, say: (text: string) => void): Promise<void> {
  const nameOf = (name: string) => (isAll ? name : 'own');
  const since = (Date.now() - NAMESPACES_EVERY) * 1000;
  try {
    const { came, gone, failures } = await lookAgain();
    for (const { name, close } of gone) {
      recorder.remove(nameOf(name));
      await close();
      say(`the network namespace ${name} has gone`);
    }
    for (const [name, conntrack] of came) {
      await recorder.add(nameOf(name), conntrack, since);
      if (!isAll) say(`the network namespace ${name} is there again`);
    }
    for (const { name, error } of failures) say(`${name}: ${error.message}`);
  } catch (error) {
    say(`cannot follow network namespaces: ${(error as Error).message}`);
  }
}

function textOfEvent(event: RecorderEvent): string | undefined {
  switch (event.type) {
    case 'gap':
      return textOfGap(event.gap);
    case 'segment':
      return `goes on in ${event.name}`;
    case 'sealed':
      return `sealed ${event.name}: ${counted(event.rows, 'record')}`;
    case 'deleted':
      return `deleted ${event.name} (${event.reason})`;
    case 'trouble':
      return `cannot write (${event.message}); records are kept in memory until it can`;
    case 'well':
      return 'can write again';
    case 'clock':
      return `the clock was set by ${event.delta / 1e6} s`;
    case 'warning':
      return `warning: ${event.message}`;
  }
}

function textOfGap({ from, to, reason, events, note }: Gap): string {
  const lost = events === undefined ? '' : `, ${events} events lost`;
  return `gap (${reason}) from ${timeText(from)} to ${timeText(to)}${lost}${note === undefined ? '' : `: ${note}`}`;
}

function timeText(microseconds: number): string {
  return new Date(microseconds / 1000).toISOString();
}

function nobodyAnswers(dir: string, err: WordContext['err']): number {
  err(`conntrack: record: no recorder answers in ${dir}`);
  err('  hint: conntrack record --keep TIME starts one; whohad and history read what is there without it');
  return 1;
}

async function askStatus(dir: string, line: WordLine, { out, err }: WordContext): Promise<number> {
  const answer = (await askRecorder(dir, 'status', PATIENCE)) as unknown as RecorderStatus | undefined;
  if (!answer) {
    return nobodyAnswers(dir, err);
  }
  if (textOf(line, 'output') === 'json') out.text(`${safeJson(answer)}\n`);
  else {
    const { segment, sequence, recorded, gaps, waiting, alive, trouble, netns, files, clock } = answer;
    out.text(`complete to  ${alive === undefined ? 'not known yet' : timeText(alive)}, but for gaps\n`);
    out.text(`this run     ${counted(recorded, 'record')}, ${counted(gaps, 'gap')}, ${waiting} rows wait for the disk\n`);
    out.text(`segment      ${segment}, last record ${sequence}\n`);
    if (files)
      out.text(
        `files        ${files.count}, ${bytesText(files.bytes)}, the first from ${timeText(files.oldest)}; ` +
          `${(100 * files.free).toFixed(0)}% of the disk free${files.unsealed > 0 ? `; ${files.unsealed} to be sealed` : ''}\n`,
      );
    if (clock) out.text(`clock        ${clock.quality}\n`);
    for (const { name, open, lost } of netns) out.text(`netns        ${name}: ${open} flows live, ${lost} events lost\n`);
    if (trouble !== undefined) out.text(`trouble      ${trouble}\n`);
  }
  return 0;
}

async function askFlush(dir: string, line: WordLine, { out, err }: WordContext): Promise<number> {
  const answer = await askRecorder(dir, 'flush', PATIENCE);
  if (typeof answer?.['completeTo'] !== 'number') {
    return nobodyAnswers(dir, err);
  }
  const completeTo = timeText(answer['completeTo']);
  out.text(textOf(line, 'output') === 'json' ? `${safeJson({ completeTo })}\n` : `complete to ${completeTo}, but for gaps\n`);
  return 0;
}

/** Whether sealed files are as they were. */
async function verify(dir: string, line: WordLine, { out }: WordContext): Promise<number> {
  const known = textOf(line, 'known');
  if (known !== undefined && !/^[0-9a-f]{64}$/i.test(known))
    throw new UsageError('--known must be a SHA-256: 64 hexadecimal digits, as verify has printed it');
  const found = await verifyRecord(dir, { known });
  if (textOf(line, 'output') === 'json') out.text(`${safeJson(found)}\n`);
  else out.text(verificationText(found));
  return found.ok ? 0 : 1;
}

function verificationText({ ok, faults, segments, unsealed, manifest }: RecordVerification): string {
  const lines = faults.map(({ text }) => safeText(text));
  const forgotten = segments.reduce((sum, segment) => sum + segment.forgotten, 0);
  const records = segments.reduce((sum, segment) => sum + segment.records, 0);
  if (segments.length === 0 && ok) lines.push('no file is sealed yet: there is nothing to compare');
  else if (ok)
    lines.push(
      `${counted(segments.length, 'sealed file')} ${segments.length === 1 ? 'is as it was' : 'are as they were'}: ${counted(records, 'record')}` +
        `${forgotten > 0 ? `, ${forgotten} taken out, as the manifest says` : ', without a hole'}`,
    );
  if (segments.length > 0 && unsealed.length > 0) lines.push(`not sealed, and not compared: ${unsealed.join(', ')}`);
  if (manifest.last !== undefined)
    lines.push(`the manifest has ${counted(manifest.lines, 'line')}; SHA-256 of the last: ${manifest.last}`);
  return `${lines.join('\n')}\n`;
}

/** The directory of another user, if it has to be made. */
function makeFor(user: string, dir: string): void {
  if (existsSync(dir)) return;
  const { status, stderr } = spawnSync('install', ['-d', '-m', '0750', '-o', user, '--', dir], { encoding: 'utf8' });
  if (status !== 0) throw new UsageError(`cannot make ${dir} for ${user}: ${stderr?.trim() || 'install(1) is missing'}`);
}

/** The words of the command line, as a unit has them. */
function withoutUnit({ argv }: NodeJS.Process): readonly string[] {
  return argv.slice(3).filter((each) => each !== '--print-unit');
}
