// The details of one flow: the way of its packets in both directions, with what this host changes in them, and everything else about it.

import type { Flow } from '../ctnetlink/flow.js';
import type { LabelMap } from '../library/index.js';
import type { MeteredFlow } from '../meter/index.js';
import { age, bytes, count, rate } from '../units.js';
import { arrow, endpoint } from './flow-cells.js';
import type { Screen } from './screen.js';
import { COLORS, DIM, type Style } from './style.js';
import type { CellContext } from './table-layout.js';
import { textWidth } from './width.js';

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
  const lines = detailLines(metered, facts, context, screen.columns - INDENT - 1);
  for (const [n, { text, style }] of lines.slice(0, rows).entries()) screen.put(INDENT, y + n, text, style);
}

const INDENT = 3;
/** Before what goes on from the line above. */
const GOES_ON = '    ';

/** The lines. Each has parts that stay whole; what does not fit into `width` goes on in the next line. */
export function detailLines(
  metered: MeteredFlow,
  { host, labels }: DetailFacts,
  context: CellContext,
  width: number,
): { readonly text: string; readonly style: Style }[] {
  const { flow } = metered;
  const lines = [
    ...wayLines(flow, host, context.ascii, width).map((parts) => ({ parts, gap: ' ', style: COLORS.cyan })),
    { parts: factParts(metered, labels), gap: '   ', style: 0 },
    { parts: trafficParts(metered, context), gap: '   ', style: 0 },
    { parts: moreParts(flow), gap: '   ', style: DIM },
  ];
  return lines.flatMap(({ parts, gap, style }) => wrapped(parts, gap, width).map((text) => ({ text, style })));
}

function wrapped(parts: readonly string[], gap: string, width: number): string[] {
  const lines = [''];
  for (const part of parts) {
    const last = lines.length - 1;
    const line = lines[last]!;
    const longer = line === '' ? part : line + gap + part;
    if (line === '' || textWidth(longer) <= width) lines[last] = longer;
    else lines.push(GOES_ON + part);
  }
  return lines;
}

/** The two ways: what the client sends, and what comes back, with what this host makes of it. */
function wayLines({ original, reply }: Flow, host: string, ascii: boolean, width: number): string[][] {
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
  const ways = (name: string) =>
    (
      [
        [there, to],
        [back, from],
      ] as const
    ).map(([changes, way]) =>
      changes.length === 0 ? [client, way, server] : [client, way, `[ ${name}${changes.join(', ')} ]`, `${way} ${server}`],
    );
  // Whose changes these are goes without saying where there is no room for it.
  const whole = ways(`${host}: `);
  return whole.some((parts) => textWidth(parts.join(' ')) > width) ? ways('') : whole;
}

function factParts({ flow, age: seconds, ageAtLeast }: MeteredFlow, names: LabelMap | undefined): string[] {
  const { id, status = [], mark = 0, zone = 0, helper, labels, timeout, timestamp } = flow;
  // Without what every flow has, or every one that meets a NAT rule.
  const bits = (status as readonly string[]).filter((bit) => !/^CONFIRMED$|_DONE$/.test(bit)).join(' ') || 'no status';
  return [
    `id ${id ?? '-'}`,
    bits,
    `mark ${mark}`,
    `zone ${zone}`,
    `helper ${helper ?? '-'}`,
    `labels ${labels?.map((bit) => names?.name(bit) ?? bit).join(',') || '-'}`,
    ...(timestamp?.start === undefined ? [] : [`began ${clock(Number(timestamp.start / 1_000_000n))}`]),
    `age ${ageAtLeast ? 'at least ' : ''}${age(seconds)}`,
    ...(timeout === undefined ? [] : [`expires in ${age(timeout)}`]),
  ];
}

function trafficParts({ flow, rate: now, average, counters }: MeteredFlow, { unit, ascii }: CellContext): string[] {
  if (counters === 'none') return ['no counters: accounting was off when it began'];
  const per = unit === 'bits' ? 'bit/s' : 'B/s';
  const side = (direction: 'original' | 'reply') =>
    `${arrow(direction, ascii)} ${count(Number(flow[direction].packets ?? 0n))} ${flow[direction].packets === 1n ? 'packet' : 'packets'} ${bytes(Number(flow[direction].bytes ?? 0n))}`;
  const rates = (label: string, of: MeteredFlow['rate']) =>
    of
      ? [
          `${label} ${arrow('original', ascii)} ${rate(of.original, unit)} ${arrow('reply', ascii)} ${rate(of.reply, unit)} ${per}`,
        ]
      : [];
  const blind = counters === 'offloaded' ? ['offloaded: the counters stand still'] : [];
  return [`${side('original')}  ${side('reply')}`, ...rates('now', now), ...rates('10 s', average), ...blind];
}

function moreParts({ tcp, sctp, master, secctx, use }: Flow): string[] {
  return [
    ...(tcp?.wscaleOriginal === undefined ? [] : [`window scale ${tcp.wscaleOriginal} and ${tcp.wscaleReply}`]),
    ...(sctp?.vtagOriginal === undefined ? [] : [`verification tags ${sctp.vtagOriginal} and ${sctp.vtagReply}`]),
    ...(master === undefined ? [] : [`expected by ${master.src}:${master.sport ?? ''} to ${master.dst}:${master.dport ?? ''}`]),
    ...(secctx === undefined ? [] : [`secctx ${secctx}`]),
    ...(use === undefined ? [] : [`use ${use}`]),
  ];
}

function clock(milliseconds: number): string {
  const date = new Date(milliseconds);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
