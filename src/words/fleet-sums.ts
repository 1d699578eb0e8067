// `conntrack fleet hosts`, `count`, `top` and `stats`: answers that are one value of each host.

import { quoted, UsageError } from '../cli/usage-error.js';
import { CPU_STATISTICS, statisticMember } from '../ctnetlink/statistics.js';
import { counted } from '../doctor/figures.js';
import { CLOCK_OFF } from '../fleet/agent.js';
import type { CollectorInfo } from '../fleet/ask-collectors.js';
import { chooseHosts } from '../fleet/fleet.js';
import {
  countsIn,
  FLEET_GROUP_SORTS,
  type FleetGroup,
  FleetSums,
  type HostCounts,
  MOST_HOST_GROUPS,
} from '../fleet/fleet-groups.js';
import { type HostStatistics, readStatistics } from '../fleet/host-statistics.js';
import type { HostInfo } from '../fleet/inventory.js';
import type { CpuStatistics } from '../library/index.js';
import { safeJson, safeText } from '../safe-text.js';
import { age, bytes, count } from '../units.js';
import type { FleetCall, FleetVerb } from './fleet-call.js';
import { bodyOf, filterOf } from './fleet-flows.js';
import { printTable } from './text-table.js';
import { choiceOf, groupingOf, isGiven, listOf, numberOf } from './word-values.js';

const COUNT_DEADLINE = 5000;

/** The only `-o`, of those that are allowed; the first is the default. @throws UsageError */
export function formatOf<F extends string>({ line }: FleetCall, allowed: readonly F[]): F {
  const given = (line.values['output'] as readonly string[] | undefined)?.at(-1) ?? allowed[0]!;
  if (!(allowed as readonly string[]).includes(given))
    throw new UsageError(`-o ${given} cannot be had here`, { hint: `one of ${allowed.join(', ')}` });
  return given as F;
}

function refuseMore({ operands }: FleetCall): void {
  if (operands.length > 0) throw new UsageError(`fleet: ${quoted(operands[0]!)} is one word too many`);
}

export const listHosts: FleetVerb = async (call) => {
  refuseMore(call);
  const { context, fleet, line } = call;
  const format = formatOf(call, ['text', 'json', 'ndjson']);
  const { hosts, unreadable } = await fleet.inventory();
  const chosen = chooseHosts(hosts, { on: listOf(line, 'on'), sites: listOf(line, 'site') });
  const { out, err } = context;
  if (format === 'json') out.text(`${safeJson(chosen)}\n`);
  else if (format === 'ndjson') for (const host of chosen) out.text(`${safeJson(host)}\n`);
  else {
    if (chosen.length > 0) printTable(out, [HOST_HEADS, ...chosen.map(hostCells)], (column) => column === 4);
    out.text(`${safeText(summaryOf(chosen))}\n`);
    out.flush();
    if (hosts.length === 0) err('  hint: conntrack agent, on each host, makes it a part of the fleet');
  }
  if (unreadable > 0) err(`conntrack: ${unreadable} values of the inventory cannot be read: perhaps those of newer agents`);
  return unreadable > 0 || chosen.some(({ state }) => state === 'silent') ? 3 : 0;
};

export const listCollectors: FleetVerb = async (call) => {
  refuseMore(call);
  const { context, fleet } = call;
  const format = formatOf(call, ['text', 'json']);
  const collectors = (await fleet.collectors()).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const { out, err } = context;
  if (format === 'json') out.text(`${safeJson(collectors.map(({ holds: _, ...collector }) => collector))}\n`);
  else if (collectors.length > 0) printTable(out, [COLLECTOR_HEADS, ...collectors.map(collectorCells)], (column) => column >= 4);
  else out.text('No collector is known.\n');
  out.flush();
  if (collectors.length === 0) err('  hint: conntrack collector keeps the records that agents with --ship send');
  return collectors.some(({ state }) => state === 'silent') ? 3 : 0;
};

const COLLECTOR_HEADS = ['COLLECTOR', 'STATE', 'SEEN', 'SHARDS', 'RECORDS', 'WAITING', 'UNTIL'];

function collectorCells({ name, state, age: ago, shards, copies, lag, until }: CollectorInfo): string[] {
  return [name, state, age(ago / 1000), shards, count(copies), count(lag), until === 0 ? '-' : momentText(until)];
}

/** A moment, in microseconds since the epoch, to the second. */
function momentText(moment: number): string {
  return `${new Date(moment / 1000).toISOString().slice(0, 19)}Z`;
}

const HOST_HEADS = ['HOST', 'SITE', 'STATE', 'SEEN', 'ENTRIES', 'RECORD', 'CLOCK', 'AGENT', 'ALLOWS'];

function hostCells({ host, site, state, age: ago, entries, maxEntries, record, clock, agent, allow }: HostInfo): string[] {
  const size = state === 'up' ? `${count(entries)}${maxEntries > 0 ? ` of ${count(maxEntries)}` : ''}` : '-';
  return [
    host,
    site,
    state,
    age(ago / 1000),
    size,
    recordCell(record),
    clockCell(clock),
    agent,
    allow.length > 0 ? allow.join(',') : '-',
  ];
}

/** Up to when the record is shipped. */
function recordCell(record: HostInfo['record']): string {
  if (!record) return '-';
  const until = record.alive === 0 ? 'nothing shipped' : `until ${momentText(record.alive)}`;
  return record.behind > 500 ? `${until}, ${count(record.behind)} behind` : until;
}

function clockCell(clock: HostInfo['clock']): string {
  if (!clock) return '-';
  const { offset, error } = clock;
  const sign = offset < 0 ? '-' : '+';
  const size = Math.abs(offset);
  const off = size > CLOCK_OFF;
  return `${sign}${off ? `${(size / 1000).toFixed(1)} s` : `${Math.round(size)} ms`} ±${Math.max(1, Math.round(error))}${off ? ' !' : ''}`;
}

/** `3 hosts: 2 up, 1 silent. The clock of fw2 is 3.5 s behind.` */
function summaryOf(hosts: readonly HostInfo[]): string {
  if (hosts.length === 0) return 'No host is known.';
  const states = new Map<string, number>();
  for (const { state } of hosts) states.set(state, (states.get(state) ?? 0) + 1);
  const parts = [...states].map(([state, number]) => `${number} ${state}`).join(', ');
  const clocks = hosts.flatMap(({ host, clock }) => {
    if (!clock || Math.abs(clock.offset) <= CLOCK_OFF) return [];
    return [`The clock of ${host} is ${(Math.abs(clock.offset) / 1000).toFixed(1)} s ${clock.offset < 0 ? 'behind' : 'ahead'}.`];
  });
  return [`${counted(hosts.length, 'host')}: ${parts}.`, ...clocks.slice(0, 5)].join(' ');
}

export const countFlows: FleetVerb = async (call) => {
  const { context, fleet, line, operands } = call;
  const format = formatOf(call, ['text', 'json']);
  const counts = new Map<string, HostCounts>();
  const body = bodyOf(line, filterOf(call, operands));
  const visitor = { value: (host: string, value: unknown) => void counts.set(host, countsIn(value)) };
  const asked = await fleet.ask('count', body, visitor, call.ask(COUNT_DEADLINE));
  const rows = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const total = rows.reduce((sum, [, { matched }]) => sum + matched, 0);
  const { out } = context;
  if (!(isGiven(line, 'strict') && !asked.complete)) {
    if (format === 'json')
      out.text(`${safeJson({ total, complete: asked.complete, hosts: Object.fromEntries(rows), missing: asked.missing })}\n`);
    else {
      if (rows.length > 0)
        printTable(
          out,
          [['HOST', 'FLOWS'], ...rows.map(([host, { matched }]) => [host, count(matched)])],
          (column) => column === 1,
        );
      const having = rows.filter(([, { matched }]) => matched > 0).length;
      out.text(`${counted(total, 'flow')} on ${having} of ${counted(rows.length + asked.missing.length, 'host')}.\n`);
    }
  }
  return call.conclude(asked);
};

export const topGroups: FleetVerb = async (call) => {
  const { context, fleet, line, operands } = call;
  const format = formatOf(call, ['text', 'json']);
  const by = groupingOf(line) ?? 'src';
  const sort = choiceOf(line, 'sort', FLEET_GROUP_SORTS) ?? 'flows';
  const limit = numberOf(line, 'limit', 1, 100_000, true) ?? 20;
  const sums = new FleetSums();
  const visitor = { value: (host: string, value: unknown) => sums.add(host, value) };
  const body = { ...bodyOf(line, filterOf(call, operands)), by, sort, limit: MOST_HOST_GROUPS };
  const asked = await fleet.ask('top', body, visitor, call.ask(COUNT_DEADLINE));
  const { groups, count: all, atLeast } = sums.largest(sort, limit);
  const { out, err } = context;
  if (!(isGiven(line, 'strict') && !asked.complete)) {
    if (format === 'json')
      out.text(`${safeJson({ by, groups, count: all, atLeast, complete: asked.complete, missing: asked.missing })}\n`);
    else {
      const cells = ({ key, flows, unreplied, bytes: size, hosts, most }: FleetGroup) => [
        key,
        count(flows),
        count(unreplied),
        bytes(size),
        `${hosts}`,
        `${most.host} ${count(most.flows)}`,
      ];
      if (groups.length > 0)
        printTable(out, [[by, 'FLOWS', 'UNREPLIED', 'BYTES', 'HOSTS', 'MOST ON'], ...groups.map(cells)], (n) => n > 0 && n < 5);
      out.text(`${counted(all, 'group')} on ${counted(asked.answered.length, 'host')}.\n`);
    }
    if (atLeast) err(`conntrack: note: some hosts have more than ${MOST_HOST_GROUPS} groups: numbers are at least so high`);
  }
  return call.conclude(asked);
};

type HostRow = HostStatistics & { readonly host: string };

export const printStatistics: FleetVerb = async (call) => {
  refuseMore(call);
  const { context, fleet, line } = call;
  const format = formatOf(call, ['text', 'json', 'ndjson']);
  const rows: HostRow[] = [];
  const visitor = {
    value: (host: string, value: unknown) => void rows.push(...readStatistics(value).map((row) => ({ host, ...row }))),
  };
  const asked = await fleet.ask('stats', bodyOf(line, undefined), visitor, call.ask(COUNT_DEADLINE));
  rows.sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0));
  const { out } = context;
  if (format === 'json') out.text(`${safeJson(rows)}\n`);
  else if (format === 'ndjson') for (const row of rows) out.text(`${safeJson(row)}\n`);
  else for (const row of rows) out.text(`${statisticsLine(row)}\n`);
  return call.conclude(asked);
};

/** As -S prints it, behind the host. */
function statisticsLine(row: HostRow): string {
  const place = row.netns === undefined ? '' : `netns=${safeText(row.netns)} `;
  const counters = CPU_STATISTICS.flatMap((name) => {
    const value = row[statisticMember(name) as keyof CpuStatistics];
    return value === undefined ? [] : [`${name}=${value} `];
  });
  return `host=${row.host} ${place}cpu=${`${row.cpu}`.padEnd(4)}\t${counters.join('')}`;
}
