// `conntrack doctor`: what is wrong with the connection tracking of this machine.

import { UsageError } from '../cli/usage-error.js';
import { chosenIds, diagnoseRefusal, examine } from '../doctor/diagnose.js';
import { checkListText, diagnosisText, fixesScript, worstOf } from '../doctor/diagnosis-text.js';
import type { Diagnosis } from '../doctor/finding.js';
import { ConntrackError } from '../errors.js';
import { Conntrack } from '../library/index.js';
import { safeJson } from '../safe-text.js';
import type { Word, WordContext } from './run-word.js';
import type { WordLine } from './word-line.js';
import { openNamespaces } from './word-namespaces.js';
import { isGiven, listOf, millisecondsOf, textOf } from './word-values.js';

export const word: Word = async (line, context) => {
  const { out } = context;
  if (isGiven(line, 'list')) {
    out.text(checkListText());
    return 0;
  }
  const json = textOf(line, 'output') === 'json';
  if (json && isGiven(line, 'fixes')) throw new UsageError('--fixes is a script; -o json has the same lines as fix');
  const { diagnosis, complete } = await diagnosisOf(line, context);
  if (json) out.text(`${safeJson(diagnosis)}\n`);
  else out.text(isGiven(line, 'fixes') ? fixesScript(diagnosis) : diagnosisText(diagnosis, columnsOf(context)));
  const worst = worstOf(diagnosis);
  if (worst !== undefined && worst !== 'info') return 1;
  return complete && diagnosis.unchecked.length === 0 ? 0 : 3;
};

/** Of the terminal; less than a paragraph needs is no use. */
function columnsOf({ host: { stdout } }: WordContext): number | undefined {
  return stdout.isTTY ? Math.max(60, stdout.columns || 80) : undefined;
}

async function diagnosisOf(line: WordLine, { host }: WordContext): Promise<{ diagnosis: Diagnosis; complete: boolean }> {
  const sample = millisecondsOf(line, 'sample') ?? 2000;
  const chosen = { only: idsOf(line, 'only'), except: idsOf(line, 'except') };
  const progress = host.stderr.isTTY ? `looking for ${sample / 1000} seconds ...` : '';
  const runtime = { node: host.versions.node, extraCertificates: (host.env['NODE_EXTRA_CA_CERTS'] ?? '') !== '' };
  const netns = textOf(line, 'netns');
  if (netns === undefined) {
    let own: Conntrack;
    try {
      own = await Conntrack.open();
    } catch (error) {
      const refused = diagnoseRefusal(error, chosen);
      if (!refused) throw error;
      return { diagnosis: refused, complete: true };
    }
    host.stderr.write(progress);
    const diagnosis = await examine(own, { ...chosen, sample, runtime });
    if (progress) host.stderr.write('\r\x1b[K');
    return { diagnosis, complete: true };
  }
  const { conntracks, complete } = await openNamespaces(netns);
  host.stderr.write(progress);
  const diagnosis = await examine(conntracks, { ...chosen, sample, runtime });
  if (progress) host.stderr.write('\r\x1b[K');
  return { diagnosis, complete };
}

/** Ids of checks, all of which exist. @throws UsageError */
function idsOf(line: WordLine, name: 'only' | 'except'): readonly string[] | undefined {
  const ids = listOf(line, name);
  try {
    chosenIds({ only: ids });
  } catch (error) {
    if (!(error instanceof ConntrackError)) throw error;
    throw new UsageError(`--${name}: ${error.message}`, { hint: error.hint });
  }
  return ids;
}
