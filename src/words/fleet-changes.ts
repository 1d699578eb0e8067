// `conntrack fleet delete` and `update`: shows what would be changed, asks, and does it on all hosts, never more than was confirmed.

import { createInterface } from 'node:readline/promises';
import { notThisSsh } from '../cli/ssh.js';
import { quoted, UsageError } from '../cli/usage-error.js';
import { formatFlowFilter } from '../ctnetlink/filter/format.js';
import type { Flow } from '../ctnetlink/flow.js';
import { toFlowChange } from '../ctnetlink/new-flow.js';
import { counted } from '../doctor/figures.js';
import { ValueError } from '../errors.js';
import { outcomeText } from '../fleet/audit.js';
import { type ChangedHost, type ChangePlan, planChange } from '../fleet/change-client.js';
import type { ChangeKind, ChangeSet } from '../fleet/change-request.js';
import { readFilter } from '../library/index.js';
import { safeJson, safeText } from '../safe-text.js';
import { count } from '../units.js';
import type { FleetCall, FleetVerb } from './fleet-call.js';
import { filterOf } from './fleet-flows.js';
import { formatOf } from './fleet-sums.js';
import { flowSentence } from './flow-sentence.js';
import { printTable } from './text-table.js';
import { labelsOf } from './word-labels.js';
import { isGiven, listOf, numberOf } from './word-values.js';

const FAILED = 1;
const INCOMPLETE = 3;

export const deleteFlows: FleetVerb = (call) => changeFlows(call, 'delete', undefined);

export const updateFlows: FleetVerb = (call) => changeFlows(call, 'update', setOf(call));

async function changeFlows(call: FleetCall, kind: ChangeKind, set: ChangeSet | undefined): Promise<number> {
  const { fleet, line, context, operands } = call;
  if (operands.length === 0)
    throw new UsageError(`fleet ${kind} needs a filter`, { hint: "such as 'udp and dst port 5060'; all stands for every flow" });
  const format = formatOf(call, ['text', 'json']);
  const yes = isGiven(line, 'yes');
  const dryRun = isGiven(line, 'dry-run');
  const max = numberOf(line, 'max', 0, Number.MAX_SAFE_INTEGER, true);
  const terminal = context.host.stdin.isTTY === true && context.host.stderr.isTTY === true;
  if (yes && max === undefined) throw new UsageError('--yes needs --max NUMBER: how many flows may be changed in all');
  if (!yes && !dryRun && !terminal)
    throw new UsageError(`fleet ${kind} asks on a terminal, and there is none`, {
      hint: '--yes --max NUMBER changes at most so many; --dry-run only looks',
    });
  const asked = filterOf(call, operands)!;
  const filter = isGiven(line, 'protect-ssh') ? formatFlowFilter({ kind: 'all', of: [readFilter(asked), notThisSsh()] }) : asked;
  const netns = listOf(line, 'netns');
  const order = { do: kind, filter, ...(set ? { set } : {}), ...(netns ? { netns } : {}) };
  const { deadline: _, ...options } = call.ask(0);
  const plan = await planChange({ fleet, signer: call.signer(), order }, options);
  const show = format === 'text';
  if (show) showPlan(call, plan);
  const all = plan.missing.length === 0;
  const status = call.conclude({ answered: [], ms: 0, complete: all, missing: plan.missing, stopped: plan.stopped });
  const end = (changed: readonly ChangedHost[], otherwise: number): number => {
    if (!show)
      context.out.text(
        `${safeJson({ matched: plan.matched, dryRun, plan: plan.hosts, unable: plan.unable, missing: plan.missing, hosts: changed })}\n`,
      );
    return status !== 0 || plan.unable.length > 0 ? INCOMPLETE : otherwise;
  };
  if (dryRun) return end([], plan.matched > 0 ? 0 : FAILED);
  if (!all && !isGiven(line, 'partial')) {
    context.err(`conntrack: not every host has answered: nothing was changed`);
    context.err('  hint: --on and --site choose hosts; --partial changes those that answered');
    return end([], INCOMPLETE);
  }
  if (plan.matched === 0) return end([], FAILED);
  if (max !== undefined && plan.matched > max) {
    context.err(`conntrack: ${counted(plan.matched, 'flow')} would be changed, but --max allows ${max}; nothing was changed`);
    return end([], FAILED);
  }
  if (!yes && !(await confirmed(call, plan, kind, max))) {
    context.err('conntrack: nothing was changed: that is not the number');
    return end([], FAILED);
  }
  const changed = await plan.apply(max ?? plan.matched, options.signal);
  if (show) showChanged(call, changed);
  const unknown = changed.some(({ outcome, error }) => !outcome && !error);
  const some = changed.some(({ outcome }) => (outcome?.deleted ?? outcome?.updated ?? 0) > 0);
  const whole = changed.every(({ outcome }) => outcome?.failed === 0);
  return end(changed, unknown ? INCOMPLETE : some && whole ? 0 : FAILED);
}

/** Hosts that are told by name. */
const MOST_TOLD = 20;

function showPlan({ context }: FleetCall, { hosts, unable }: ChangePlan): void {
  const { out } = context;
  const rows = hosts.map(({ host, matched, sample }) => [host, count(matched), exampleOf(sample[0])]);
  const others = unable.slice(0, MOST_TOLD).map((host) => [host, '-', 'changes are not allowed on this host']);
  if (rows.length + others.length > 0) printTable(out, [['HOST', 'MATCHED', 'FOR EXAMPLE'], ...rows, ...others], (n) => n === 1);
  out.flush();
}

function exampleOf(sample: ChangePlan['hosts'][number]['sample'][number] | undefined): string {
  if (!sample) return '';
  try {
    return `${sample.netns === undefined ? '' : `netns=${sample.netns} `}${flowSentence(sample.flow as Flow)}`;
  } catch {
    return '?'; // another host's idea of a flow
  }
}

/** The number has to be typed: it is what is allowed. */
async function confirmed(
  { context }: FleetCall,
  { matched, hosts, unable }: ChangePlan,
  kind: ChangeKind,
  max = matched,
): Promise<boolean> {
  const { host, out } = context;
  out.flush();
  const having = hosts.filter((one) => one.matched > 0).length;
  const kept =
    unable.length === 0
      ? ''
      : `; ${unable.length > MOST_TOLD ? `${unable.length} hosts` : unable.join(', ')} ${unable.length === 1 ? 'keeps its' : 'keep their'} own`;
  const more = max > matched ? `, with those that begin meanwhile ${count(max)} at most` : '';
  const question = `${count(matched)} ${matched === 1 ? 'flow' : 'flows'} on ${counted(having, 'host')}${more}${kept}. Type ${matched} to ${kind} ${matched === 1 ? 'it' : 'them'}: `;
  const reader = createInterface({ input: host.stdin, output: host.stderr });
  const closed = new Promise<undefined>((resolve) => {
    reader.once('close', () => resolve(undefined));
    reader.once('SIGINT', () => resolve(undefined));
  });
  try {
    const typed = await Promise.race([reader.question(safeText(question)), closed]);
    if (typed === undefined) host.stderr.write('\n');
    return typed?.trim() === `${matched}`;
  } finally {
    reader.close();
  }
}

function showChanged({ context }: FleetCall, changed: readonly ChangedHost[]): void {
  const { out, err } = context;
  const width = Math.max(0, ...changed.map(({ host }) => host.length));
  for (const { host, outcome } of changed)
    if (outcome) out.text(`${safeText(`${host.padEnd(width)}  ${outcomeText(outcome)}`)}\n`);
  out.flush();
  for (const { host, outcome, error, unaudited } of changed) {
    if (error) err(`conntrack: ${safeText(`${host}: ${error.message}`)}`);
    else if (!outcome) err(`conntrack: ${host}: its answer was lost; conntrack fleet log --on ${host} may know what it did`);
    if (error?.hint !== undefined) err(`  hint: ${safeText(error.hint)}`);
    if (unaudited) err(`conntrack: ${host}: the audit does not know how this ended`);
  }
}

/** `--set timeout=60,mark=1/0xff,label=+blocked,status=ASSURED`. @throws UsageError */
function setOf({ line, context }: FleetCall): ChangeSet {
  const given = listOf(line, 'set') ?? [];
  if (given.length === 0)
    throw new UsageError('fleet update needs new values', {
      hint: '--set timeout=SECONDS, mark=VALUE[/MASK], label=+NAME, label=-NAME or status=ASSURED, with commas between them',
    });
  const set: { -readonly [K in keyof ChangeSet]: ChangeSet[K] } = {};
  const labels: { set: number[]; clear: number[] } = { set: [], clear: [] };
  const status: string[] = [];
  for (const text of given) {
    const [, name, value = ''] = /^([a-z]+)=(.+)$/.exec(text) ?? [];
    switch (name) {
      case 'timeout':
        set.timeout = numberIn(value, text);
        break;
      case 'mark': {
        const [mark, mask] = value.split('/');
        set.mark = mask === undefined ? numberIn(mark!, text) : { value: numberIn(mark!, text), mask: numberIn(mask, text) };
        break;
      }
      case 'label': {
        const [, sign, label] = /^([+-])(.+)$/.exec(value) ?? [];
        if (label === undefined)
          throw new UsageError(`--set ${quoted(text)}: a label is set by + or cleared by - before its name`);
        const bit = /^\d+$/.test(label) ? Number(label) : labelsOf(line, context)?.bit(label);
        if (bit === undefined) throw new UsageError(`--set: there is no label ${quoted(label)}`);
        labels[sign === '+' ? 'set' : 'clear'].push(bit);
        break;
      }
      case 'status':
        status.push(value);
        break;
      default:
        throw new UsageError(`--set cannot be ${quoted(text)}`, { hint: 'timeout=, mark=, label= or status=' });
    }
  }
  if (labels.set.length + labels.clear.length > 0) set.labels = labels;
  if (status.length > 0) set.status = status as never;
  try {
    toFlowChange(set as never, undefined);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new UsageError(`--set: ${error.message}`, { hint: error.hint });
  }
  return set;
}

function numberIn(value: string, text: string): number {
  if (!/^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(value)) throw new UsageError(`--set ${quoted(text)}: ${quoted(value)} is no number`);
  return Number(value);
}
