// `conntrack explain`: what a flow is, in words.

import { UsageError } from '../cli/usage-error.js';
import type { Flow } from '../ctnetlink/flow.js';
import { explainFlow } from '../doctor/explain-flow.js';
import { explanationLines, type FlowExplanation } from '../doctor/explanation.js';
import { counted } from '../doctor/figures.js';
import { ValueError } from '../errors.js';
import { safeJson, safeText } from '../safe-text.js';
import { flowAsExpression } from './flow-expression.js';
import type { Word } from './run-word.js';
import { expressionOf } from './word-filter.js';
import { openNamespaces } from './word-namespaces.js';
import { isUtf8, numberOf, textOf } from './word-values.js';

export const word: Word = async (line, context) => {
  const { out, err } = context;
  const limit = numberOf(line, 'limit', 1, 1000, true) ?? 5;
  if (line.operands.length === 0)
    throw new UsageError('explain needs a flow', {
      hint: "such as conntrack explain 'tcp 10.1.4.22:51514 > 142.250.74.46:443', an id, or a filter",
    });
  const filter = expressionOf([flowAsExpression(line.operands.join(' '))], context);
  const netns = textOf(line, 'netns');
  const { conntracks, complete } = await openNamespaces(netns);
  const shown = (text: string) => (isUtf8(context.host.env) ? safeText(text) : inAscii(safeText(text)));
  const explanations: FlowExplanation[] = [];
  let matched = 0;
  for (const [name, conntrack] of conntracks) {
    const flows: Flow[] = [];
    for await (const flow of conntrack.list(filter)) {
      matched++;
      if (explanations.length + flows.length < limit) flows.push(flow);
    }
    for (const flow of flows)
      try {
        explanations.push(await explainFlow(conntrack, flow, netns === undefined ? {} : { netns: name }));
      } catch (error) {
        if (!(error instanceof ValueError)) throw error;
        matched--; // it has ended meanwhile
      }
  }
  const more = matched - explanations.length;
  if (textOf(line, 'output') === 'json') out.text(`${safeJson({ explanations, more })}\n`);
  else {
    out.text(explanations.map((one) => `${explanationLines(one).map(shown).join('\n')}\n`).join('\n'));
    if (more > 0) out.text(`\n${counted(more, 'flow')} more; --limit explains more of them\n`);
  }
  if (explanations.length === 0) err('conntrack: explain: no flow matches');
  return complete ? (explanations.length === 0 ? 1 : 0) : 3;
};

/** Arrows for terminals that have no others. */
function inAscii(text: string): string {
  return text.replaceAll('──►', '-->').replaceAll('◄──', '<--').replaceAll('→', '>').replaceAll('·', '|');
}
