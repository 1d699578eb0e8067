// `conntrack fleet log`: the changes that were asked for, what became of them, and whether who is named has signed them.

import { UsageError } from '../cli/usage-error.js';
import { counted } from '../doctor/figures.js';
import { type AuditLine, outcomeText } from '../fleet/audit.js';
import { readUsers } from '../fleet/user-file.js';
import { parseMoment } from '../history/moments.js';
import { safeJson, safeText } from '../safe-text.js';
import type { FleetVerb } from './fleet-call.js';
import { asUsage } from './fleet-servers.js';
import { KEYS } from './fleet-setup.js';
import { formatOf } from './fleet-sums.js';
import { readingValues } from './past-values.js';
import { listOf, textOf } from './word-values.js';

const FORGED = 1;

export const showLog: FleetVerb = async (call) => {
  const { fleet, line, context, operands } = call;
  if (operands.length > 0) throw new UsageError('fleet log takes options only', { hint: '--on HOST, --by NAME, --from TIME' });
  const { out, err } = context;
  const format = formatOf(call, ['text', 'json', 'ndjson']);
  const since = textOf(line, 'from');
  const from = since === undefined ? undefined : await readingValues(() => parseMoment(since, Date.now() * 1000).from / 1000);
  const lines: AuditLine[] = [];
  let shown = 0;
  let forged = 0;
  const keys = new Map(asUsage(() => readUsers(textOf(line, 'keys') ?? KEYS)).map(({ name, nkey }) => [name, nkey]));
  const each = (told: AuditLine) => {
    // Where the keys are known, a name is good for its own only.
    const known = told.by === undefined ? undefined : keys.get(told.by);
    const entry: AuditLine =
      known !== undefined && known !== told.key && told.phase !== 'refused' ? { ...told, trust: 'forged' } : told;
    shown++;
    if (entry.trust === 'forged') forged++;
    if (format === 'json') lines.push(entry);
    else out.text(format === 'ndjson' ? `${safeJson(entry)}\n` : `${safeText(sentenceOf(entry))}\n`);
  };
  const unreadable = await fleet.log({ on: listOf(line, 'on'), from, by: textOf(line, 'by') }, each);
  if (format === 'json') out.text(`${safeJson(lines)}\n`);
  out.flush();
  if (format === 'text') err(`conntrack: ${counted(shown, 'line')} of the audit ${shown === 1 ? 'has' : 'have'} been shown.`);
  if (unreadable > 0) err(`conntrack: ${counted(unreadable, 'message')} of the audit cannot be read`);
  if (forged > 0)
    err(`conntrack: ${counted(forged, 'line')} of the audit ${forged === 1 ? 'says' : 'say'} something else than was signed`);
  return forged > 0 ? FORGED : 0;
};

/** `2026-03-01T14:32:15Z fw1 alice delete 'udp and dst port 5060', at most 1204: 1201 deleted (signed)`. */
function sentenceOf({ taken, host, by, key, op, phase, order, limit, result, error, trust, untold }: AuditLine): string {
  const who = by ?? (key === '' ? 'somebody without a key' : `${key.slice(0, 8)}...`);
  const what = order ? `${order.do} '${order.filter}'${order.set ? ` ${safeJson(order.set)}` : ''}` : op;
  const limited = limit === undefined ? '' : `, at most ${limit}`;
  const ending =
    phase === 'begin'
      ? 'begins'
      : result
        ? outcomeText(result)
        : `${phase === 'refused' ? 'refused: ' : ''}${error?.message ?? '?'}`;
  const more = untold === undefined ? '' : `; ${untold} before it were not told`;
  const signed = trust === 'forged' ? 'NOT WHAT WAS SIGNED' : trust === 'signed' ? 'signed' : 'not signed';
  return `${new Date(taken).toISOString().slice(0, 19)}Z  ${host}  ${who}: ${what}${limited}: ${ending}${more} (${signed})`;
}
