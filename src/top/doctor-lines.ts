// What the doctor says, as lines over the picture. What one runs stands on a line of its own, for copying. The doctor is loaded when it is
// asked for the first time: the start of `conntrack top` has no time for it.

import type { Diagnosis, Finding, FlowExplanation } from '../doctor/index.js';
import type { Conntrack, Signal } from '../library/index.js';
import type { MeteredFlow } from '../meter/index.js';
import { BOLD, COLORS, DIM, type Style } from './style.js';
import type { TextLine } from './text-pane.js';

/** Checks of how a command starts: this one has started. */
const OF_THE_START = ['node-too-old', 'slow-start'] as const;

const SEVERITY_STYLES: Readonly<Record<Finding['severity'], Style>> = {
  error: COLORS.red | BOLD,
  warning: COLORS.yellow,
  info: COLORS.cyan,
};

/** Tables by the names of their namespaces; `netns`: what was said of them on the command line. */
export interface AskedTables {
  readonly conntracks: ReadonlyMap<string, Conntrack>;
  readonly netns: string | undefined;
}

/** What is wrong with the tables. It takes two seconds. @throws what diagnose throws */
export async function askDoctor({ conntracks, netns }: AskedTables, signal: Signal): Promise<TextLine[]> {
  const { diagnose } = await import('../doctor/index.js');
  const [own] = conntracks.values();
  return diagnosisLines(await diagnose(netns === undefined && own ? own : conntracks, { except: OF_THE_START, signal }));
}

/** What a flow is. It takes a second if the flow has to be looked at twice. @throws what explainFlow throws */
export async function askAboutFlow(
  { flow, netns: name }: MeteredFlow,
  { conntracks, netns }: AskedTables,
  signal: Signal,
): Promise<TextLine[]> {
  const { explainFlow } = await import('../doctor/index.js');
  const [first] = conntracks.keys();
  const where = name ?? first ?? '';
  const conntrack = conntracks.get(where);
  if (!conntrack) return [{ text: `the network namespace ${where} is gone`, style: COLORS.yellow }];
  return explainedLines(await explainFlow(conntrack, flow, { netns: netns === undefined ? undefined : where, signal }));
}

/** Findings, the worst first, then what could not be checked, and how much was fine. */
export function diagnosisLines({ findings, fine, unchecked }: Diagnosis): TextLine[] {
  return [
    ...findings.flatMap(findingLines),
    ...unchecked.map(({ id, reason, netns }) => ({ text: `could not check ${id}: ${inNetns(netns)}${reason}`, style: DIM })),
    { text: `${fine.length} ${fine.length === 1 ? 'check' : 'checks'} of conntrack doctor found nothing`, style: DIM },
  ];
}

function findingLines({ severity, id, title, detail, fix, netns }: Finding): TextLine[] {
  return [
    { text: `${severity}: ${inNetns(netns)}${title} (${id})`, style: SEVERITY_STYLES[severity] },
    ...detail.map((text) => ({ text: `  ${text}` })),
    ...fix.map((text) => ({ text: `    ${text}`, style: BOLD })),
  ];
}

/** The way of a flow's packets, what its members mean, what looks wrong, and the commands for it. */
export function explainedLines({ title, id, netns, picture, facts, problems, commands }: FlowExplanation): TextLine[] {
  return [
    { text: `${inNetns(netns)}${title}${id === undefined ? '' : `   id ${id}`}`, style: BOLD },
    ...picture.map((text) => ({ text: `  ${text}`, style: COLORS.cyan })),
    ...facts.map(({ text }) => ({ text: `  ${text}` })),
    ...problems.flatMap((problem) => [{ text: '' }, ...findingLines(problem)]),
    { text: '' },
    ...commands.map((text) => ({ text: `    ${text}`, style: BOLD })),
  ];
}

function inNetns(netns: string | undefined): string {
  return netns === undefined ? '' : `${netns}: `;
}
