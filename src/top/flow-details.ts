// The details of one flow: the way of its packets in both directions, with what this host changes in them, and everything else about it.

import type { Flow } from '../ctnetlink/flow.js';
import type { LabelMap } from '../library/index.js';
import type { MeteredFlow } from '../meter/index.js';
import { age, bytes, count, rate } from '../units.js';
import { arrow, endpoint } from './flow-cells.js';
import type { Screen } from './screen.js';
import { COLORS, DIM } from './style.js';
import type { CellContext } from './table-layout.js';

const WHOLE = Number.MAX_SAFE_INTEGER;

/** What a flow does not say itself: the name of this machine, and names of labels. */
export interface DetailFacts {
  readonly host: string;
  readonly labels: LabelMap | undefined;
}

export function drawFlowDetails(
  screen: Screen,
  y: number,
  rows: number,
  metered: MeteredFlow,
  facts: DetailFacts,
  context: CellContext,
): void {
  for (const [n, line] of detailLines(metered, facts, context).slice(0, rows).entries())
    screen.put(3, y + n, line, n < 2 ? COLORS.cyan : n === 2 ? 0 : n === 3 ? 0 : DIM);
}

/** The lines, in plain text. */
export function detailLines(metered: MeteredFlow, { host, labels }: DetailFacts, context: CellContext): string[] {
  const { flow } = metered;
  return [...wayLines(flow, host, context.ascii), factsLine(metered, labels), trafficLine(metered, context), moreLine(flow)];
}

/** The two ways: what the client sends, and what comes back, with what this host makes of it. */
function wayLines({ original, reply }: Flow, host: string, ascii: boolean): [string, string] {
  const [to, from] = ascii ? ['-->', '<--'] : ['──►', '◄──'];
  const end = (address: string | undefined, port: number | undefined) => endpoint(address, port, WHOLE, ascii);
  const client = end(original.src, original.sport);
  const aim = end(original.dst, original.dport);
  const server = end(reply.src, reply.sport);
  const outside = end(reply.dst, reply.dport);
  const there = [
    ...(server === aim ? [] : [`destination becomes ${server}`]),
    ...(outside === client ? [] : [`source becomes ${outside}`]),
  ];
  const back = [
    ...(server === aim ? [] : [`source becomes ${aim}`]),
    ...(outside === client ? [] : [`destination becomes ${client}`]),
  ];
  const box = (changes: readonly string[], way: string) =>
    changes.length === 0 ? way : `${way} [ ${host}: ${changes.join(', ')} ] ${way}`;
  return [`${client} ${box(there, to)} ${server}`, `${client} ${box(back, from)} ${server}`];
}

function factsLine({ flow, age: seconds, ageAtLeast }: MeteredFlow, names: LabelMap | undefined): string {
  const { id, status = [], mark = 0, zone = 0, helper, labels, timeout, timestamp } = flow;
  const began = timestamp?.start === undefined ? '' : `   began ${clock(Number(timestamp.start / 1_000_000n))}`;
  const expires = timeout === undefined ? '' : `   expires in ${age(timeout)}`;
  // Without what every flow has, or every one that meets a NAT rule.
  const bits = (status as readonly string[]).filter((bit) => !/^CONFIRMED$|_DONE$/.test(bit)).join(' ') || 'no status';
  return `id ${id ?? '-'}   ${bits}   mark ${mark}   zone ${zone}   helper ${helper ?? '-'}   labels ${labels?.map((bit) => names?.name(bit) ?? bit).join(',') || '-'}${began}   age ${ageAtLeast ? 'at least ' : ''}${age(seconds)}${expires}`;
}

function trafficLine({ flow, rate: now, average, counters }: MeteredFlow, { unit, ascii }: CellContext): string {
  if (counters === 'none') return 'no counters: accounting was off when it began';
  const per = unit === 'bits' ? 'bit/s' : 'B/s';
  const side = (direction: 'original' | 'reply') =>
    `${arrow(direction, ascii)} ${count(Number(flow[direction].packets ?? 0n))} ${flow[direction].packets === 1n ? 'packet' : 'packets'} ${bytes(Number(flow[direction].bytes ?? 0n))}`;
  const rates = (label: string, of: MeteredFlow['rate']) =>
    of
      ? `   ${label} ${arrow('original', ascii)} ${rate(of.original, unit)} ${arrow('reply', ascii)} ${rate(of.reply, unit)}`
      : '';
  const blind = counters === 'offloaded' ? '   offloaded: the counters stand still' : '';
  return `${side('original')}  ${side('reply')}${rates('now', now)}${rates('10 s', average)}${now ? ` ${per}` : ''}${blind}`;
}

function moreLine({ tcp, sctp, master, secctx, use }: Flow): string {
  return [
    ...(tcp?.wscaleOriginal === undefined ? [] : [`window scale ${tcp.wscaleOriginal} and ${tcp.wscaleReply}`]),
    ...(sctp?.vtagOriginal === undefined ? [] : [`verification tags ${sctp.vtagOriginal} and ${sctp.vtagReply}`]),
    ...(master === undefined ? [] : [`expected by ${master.src}:${master.sport ?? ''} to ${master.dst}:${master.dport ?? ''}`]),
    ...(secctx === undefined ? [] : [`secctx ${secctx}`]),
    ...(use === undefined ? [] : [`use ${use}`]),
  ].join('   ');
}

function clock(milliseconds: number): string {
  const date = new Date(milliseconds);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
