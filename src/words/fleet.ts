// `conntrack fleet`: asks all hosts at once.

import { quoted, UsageError } from '../cli/usage-error.js';
import { counted } from '../doctor/figures.js';
import { type Asked, Fleet } from '../fleet/fleet.js';
import { checkSites } from '../fleet/fleet-config.js';
import type { MissingHost } from '../fleet/fleet-question.js';
import { connectBus } from '../fleet/nats.js';
import { Signer } from '../fleet/nkey.js';
import { didYouMean } from '../nearest.js';
import { safeText } from '../safe-text.js';
import { age } from '../units.js';
import { abortBySignal } from './ending-signals.js';
import type { FleetVerb } from './fleet-call.js';
import { deleteFlows, updateFlows } from './fleet-changes.js';
import { examineFleet } from './fleet-doctor.js';
import { watchEvents } from './fleet-events.js';
import { getFlow, hasFlows, listFlows } from './fleet-flows.js';
import { pastFlows } from './fleet-history.js';
import { showLog } from './fleet-log.js';
import { whoHad } from './fleet-past.js';
import { asUsage, serversOf, usageError, userOf } from './fleet-servers.js';
import { manageUsers, setUp } from './fleet-setup.js';
import { countFlows, listCollectors, listHosts, printStatistics, topGroups } from './fleet-sums.js';
import { tailRecords } from './fleet-tail.js';
import type { Word, WordContext } from './run-word.js';
import { listOf, secondsOf } from './word-values.js';
import { FLEET_VERBS } from './words.js';

/** Those that connect as they need it, or not at all. */
const OTHERS = ['tail', 'doctor', 'setup', 'auth'] as const;
type FleetVerbName = (typeof FLEET_VERBS)[number];

/** Those that ask over a connection. */
const VERBS: Readonly<Partial<Record<string, FleetVerb>>> & Record<Exclude<FleetVerbName, (typeof OTHERS)[number]>, FleetVerb> = {
  hosts: listHosts,
  collectors: listCollectors,
  list: listFlows,
  count: countFlows,
  has: hasFlows,
  get: getFlow,
  top: topGroups,
  stats: printStatistics,
  whohad: whoHad,
  history: pastFlows,
  events: watchEvents,
  delete: deleteFlows,
  update: updateFlows,
  log: showLog,
};

/** The answer is not complete. */
const INCOMPLETE = 3;

export const word: Word = async (line, context) => {
  const { host } = context;
  const [name, ...operands] = line.operands;
  const verb = name !== undefined && Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (name === 'tail') return tailRecords(line, operands, context);
  if (name === 'doctor') return examineFleet(line, operands, context);
  if (name === 'setup') return setUp(line, operands, context);
  if (name === 'auth') return manageUsers(line, operands, context);
  if (!verb)
    throw new UsageError(
      name === undefined ? 'fleet needs a verb' : `fleet: there is no verb ${quoted(name)}${didYouMean(name, FLEET_VERBS)}`,
      { hint: `one of ${FLEET_VERBS.join(', ')}` },
    );
  const servers = serversOf(line, context);
  const { config } = servers;
  const user = userOf(config);
  const sites = asUsage(() => checkSites(config.sites));
  const tell = (text: string) => context.err(`conntrack: fleet: ${text}`);
  const bus = await connectBus({ ...servers, name: user, patient: false, tell });
  const fleet = new Fleet(bus, user, sites);
  const abort = abortBySignal(host);
  const wait = secondsOf(line, 'wait', 0.01, 3600);
  const deadline = secondsOf(line, 'deadline', 0.01, 86_400);
  try {
    return await verb({
      fleet,
      line,
      operands,
      context,
      ask: (usual) => ({
        on: listOf(line, 'on'),
        sites: listOf(line, 'site'),
        ...(wait === undefined ? {} : { wait: wait * 1000 }),
        deadline: deadline === undefined ? usual : deadline * 1000,
        signal: abort.signal,
      }),
      signer: () => {
        const { seed } = servers;
        if (seed === undefined)
          throw new UsageError('changes are signed with a key', { hint: '--seed FILE; conntrack fleet auth operator makes it' });
        return asUsage(() => new Signer(seed));
      },
      conclude: (asked, otherwise = 0) => {
        tellMissing(asked, context);
        return asked.complete ? otherwise : INCOMPLETE;
      },
    });
  } catch (error) {
    throw usageError(error);
  } finally {
    await fleet.close();
  }
};

/** Hosts that are told by name; the others are a number. */
const MOST_TOLD = 20;

/** On standard error: who is missing, and why. */
function tellMissing({ missing, stopped, unlisted }: Asked, { out, err }: WordContext): void {
  out.flush();
  if (unlisted !== undefined) err(`conntrack: hosts that did not answer are not known: ${safeText(unlisted)}`);
  const told = missing.slice(0, MOST_TOLD);
  for (const [n, host] of told.entries()) {
    err(`conntrack: ${safeText(reasonOf(host))}`);
    const hint = host.error?.hint;
    // Several hosts have often the same, which stands behind the last of them.
    if (hint !== undefined && told[n + 1]?.error?.hint !== hint) err(`  hint: ${safeText(hint)}`);
  }
  if (missing.length > MOST_TOLD) err(`conntrack: ${missing.length - MOST_TOLD} more hosts did not answer completely`);
  for (const { host, age: ago } of stopped.slice(0, MOST_TOLD))
    err(`conntrack: note: ${host} was stopped ${age(ago / 1000)} ago`);
  if (stopped.length > MOST_TOLD) err(`conntrack: note: ${stopped.length - MOST_TOLD} more hosts were stopped`);
}

/** Milliseconds since a host was heard of, from which on that is worth telling. */
const LONG_AGO = 45_000;

function reasonOf({ host, why, rows, age: ago, error }: MissingHost): string {
  const some = rows > 0 ? ` after ${counted(rows, 'flow')}` : '';
  switch (why) {
    case 'silent':
      if (rows > 0) return `${host} fell silent${some}`;
      return `no answer from ${host}${ago !== undefined && ago >= LONG_AGO ? ` (silent for ${age(ago / 1000)})` : ''}`;
    case 'deadline':
      return `${host} did not end in time${some}; --deadline gives it more`;
    case 'stalled':
      return `${host}: the reader was too slow: it ended${some}`;
    case 'hole':
      return `${host}: a part of its answer was lost${some}`;
    case 'cancelled':
      return `${host} was interrupted${some}`;
    default:
      return `${host}: ${error?.message ?? why}${some}`;
  }
}
