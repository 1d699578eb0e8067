// What `-U` must do, by docs/behaviour.md 3.8, 3.10, 4.7: with requests of our own, because the packaged reference cannot update every
// entry on current kernels. The reference only lists the entries and prints them.

import { type CommandLine, cNumber, has, lastValue, outputItems, readCommandLine, values } from '../support/argv.js';
import { entryLines } from '../support/entries.js';
import { LABEL_BITS, sctpState, statusOf, swapped, tcpState, updateRequest } from '../support/flow-request.js';
import type { FlowUpdate } from '../support/netlink.js';
import type { Oracle } from '../support/twins.js';
import { type Answer, type ChangeDifference, done, is, protocolOf } from './change-answers.js';
import { type Listed, listed, selection, word } from './selection.js';

/** Options of a `-U` line that are new values, not filters. */
const NEW_VALUES = ['mark', 'status', 'timeout', 'state', 'orig-vtag', 'reply-vtag', 'label-add', 'label-del'];
const ENOENT = 2;
const ALL_LABELS = Array.from({ length: 128 }, (_, bit) => bit);

/** Updates the entries that the line means, one by one, and prints them as requested. */
export async function answerUpdate(line: CommandLine, oracle: Oracle): Promise<Answer> {
  const { ids, drop, wanted } = selection(line);
  // -L does not take -i; no entry of a session has such an id.
  const entries = has(line, 'id') ? [] : (await listed(line, oracle, [...NEW_VALUES, ...drop])).filter(wanted);
  // Those that end are shown as they were, the others as they are then.
  const ends = has(line, 'timeout') && Number(lastValue(line, 'timeout')) === 0;
  const before = ends && entries.length > 0 ? await Listing.read(line, oracle) : undefined;
  const differences = new Set(entries.length > 0 ? ['6.9', ...ids] : ids);
  const changed: string[] = [];
  let refused = false;
  for (const entry of entries) {
    const update = updateOf(line, entry);
    if (update === undefined) {
      if (has(line, 'label-add', 'label-del')) differences.add('B52');
      continue;
    }
    const errno = await oracle.send(updateRequest(readCommandLine(entry.saved.split(' ')), update));
    if (errno === ENOENT) continue;
    if (errno !== 0) {
      refused = true;
      continue;
    }
    changed.push(entry.id);
    if (/ (-w|--(orig|reply)-zone) /.test(entry.saved)) differences.add('B28');
    if (ends) differences.add('B29');
    if (values(line, 'src-nat').length + values(line, 'dst-nat').length > 0) differences.add('B31');
  }
  const after = before ?? (changed.length > 0 ? await Listing.read(line, oracle) : undefined);
  const stdout = changed.map((id) => (ends ? after!.line(id) : oneMoreUser(after!.line(id)))).join('');
  const outcome = done(changed.length, 'updated', stdout);
  return {
    outcome: refused ? { ...outcome, status: '1', stderr: `conntrack: refused\n${outcome.stderr}` } : outcome,
    shown: [...differences],
  };
}

/** All entries as the line wants them printed, by id. */
class Listing {
  readonly #lines: ReadonlyMap<string, string>;

  private constructor(lines: ReadonlyMap<string, string>) {
    this.#lines = lines;
  }

  static async read(line: CommandLine, { run }: Oracle): Promise<Listing> {
    const items = outputItems(line);
    // Times are no part of what -U prints; of labels the options that name some remind.
    for (const item of ['timestamp', 'ktimestamp']) items.delete(item);
    if (has(line, 'label', 'label-add', 'label-del') && !items.has('save')) items.add('labels');
    const texts = entryLines((await run(['-L', ...(items.size > 0 ? ['-o', [...items].join()] : [])])).stdout);
    const ids = entryLines((await run(['-L', '-o', 'extended,id'])).stdout).map((text) => / id=(\d+)$/.exec(text)![1]!);
    if (texts.length !== ids.length) throw new Error('the reference lists differently from one moment to the next');
    return new Listing(new Map(ids.map((id, n) => [id, `${texts[n]!}\n`])));
  }

  line(id: string): string {
    const line = this.#lines.get(id);
    if (line === undefined) throw new Error(`no entry with id ${id}`);
    return line;
  }
}

/** An answer to GET counts the request itself. */
const oneMoreUser = (line: string) => line.replace(/ use=1(?= |$)/m, ' use=2').replace('<use>1</use>', '<use>2</use>');

/** What to send to this entry; nothing if it already has all new values. */
function updateOf(line: CommandLine, { saved, mark: oldMark, labels: oldLabels, proto }: Listed): FlowUpdate | undefined {
  const mark = newMark(line, oldMark);
  const oldStatus = statusOf(word(saved, '-u') ?? '');
  const status = has(line, 'status') ? oldStatus | statusOf(values(line, 'status').join()) : undefined;
  // No entry of a session has just so many seconds left.
  const timeout = has(line, 'timeout') ? Number(lastValue(line, 'timeout')) : undefined;
  const labels = newLabels(line, oldLabels);
  const tracker = newTrackerState(line, saved, proto);
  const differs =
    (mark !== undefined && mark !== oldMark) || (status !== undefined && status !== oldStatus) || timeout !== undefined;
  if (!differs && labels === undefined && tracker === undefined) return undefined;
  return {
    ...(mark === undefined ? {} : { mark }),
    ...(status === undefined ? {} : { status }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(labels === undefined ? {} : { labels }),
    ...tracker,
  };
}

function newMark(line: CommandLine, old: number): number | undefined {
  const text = lastValue(line, 'mark');
  if (text === undefined) return undefined;
  const [value = '', mask] = text.split('/');
  return ((old & ~(mask === undefined ? 0xffffffff : cNumber(mask)!)) ^ cNumber(value)!) >>> 0;
}

function newLabels(line: CommandLine, old: readonly string[]): FlowUpdate['labels'] {
  const named = (option: string) => values(line, option).flatMap((value) => value.split(','));
  const bits = (names: readonly string[]) => names.map((name) => LABEL_BITS[name]!);
  const add = named('label-add');
  if (add.some((name) => !old.includes(name))) return { set: bits(add), touched: bits(add) };
  const del = named('label-del');
  if (has(line, 'label-del') && del.length === 0) return old.length > 0 ? { set: [], touched: ALL_LABELS } : undefined;
  return del.some((name) => old.includes(name)) ? { set: [], touched: bits(del) } : undefined;
}

function newTrackerState(line: CommandLine, saved: string, proto: number): Pick<FlowUpdate, 'tcpState' | 'sctp'> | undefined {
  const state = lastValue(line, 'state');
  const old = word(saved, '--state');
  if (old === undefined || protocolOf(line) !== proto) return undefined;
  if (proto === 6) return state === undefined || tcpState(state) === tcpState(old) ? undefined : { tcpState: tcpState(state) };
  const tag = (option: string) => {
    const before = Number(word(saved, `--${option}`));
    return { before, after: Number(lastValue(line, option) ?? before) };
  };
  const original = tag('orig-vtag');
  const reply = tag('reply-vtag');
  const after = sctpState(state ?? old);
  if (after === sctpState(old) && original.after === original.before && reply.after === reply.before) return undefined;
  return { sctp: { state: after, originalTag: swapped(original.after), replyTag: swapped(reply.after) } };
}

const UDP = '-p udp --sport 1 --dport 2 -t 900';
const ENTRY = `-I -s 192.0.2.1 -d 198.51.100.1 ${UDP}`;

/** One row each, for its reason and its example: all have the one answer. */
export const UPDATE_DIFFERENCES: readonly ChangeDifference[] = (
  [
    [
      '6.9',
      '-U changes all entries that match, of both families, and counts them; 1.4.7 gets out of step with several and fails without a family',
      [ENTRY, `-I -s 192.0.2.2 -d 198.51.100.1 ${UDP}`, '-U -p udp -m 5'],
    ],
    ['B28', 'entries in zones are updated; the reference does not find them', [`${ENTRY} -w 5`, '-U -s 192.0.2.1 -m 1']],
    ['B29', '-U -t 0 counts the entries that it ends; the reference reports 0', [ENTRY, '-U -s 192.0.2.1 -t 0']],
    [
      'B31',
      'NAT addresses are filters of -U; the reference sends them, and the kernel refuses',
      [`${ENTRY} -n 203.0.113.1`, '-U -n 203.0.113.1 -m 1'],
    ],
    [
      'B52',
      '-U with labels counts entries that change; the reference counts those that had the labels already',
      [`${ENTRY} --label-add web`, '-U -s 192.0.2.1 --label-add web'],
    ],
  ] as const
).map(([id, reason, example]) => ({
  id,
  reason,
  applies: (line: CommandLine) => is(line, 'U') && line.unknown.length === 0,
  answer: answerUpdate,
  example,
}));
