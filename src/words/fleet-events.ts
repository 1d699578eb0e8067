// `conntrack fleet events`: the events of all hosts as they happen, as -E prints them.

import { flowWriter } from '../cli/output/entry-writer.js';
import { PacedOutput } from '../cli/output/paced-output.js';
import { parseEvents } from '../cli/values.js';
import { EVENT_TYPES } from '../ctnetlink/event.js';
import { createFlowView } from '../ctnetlink/view.js';
import type { MissingHost } from '../fleet/fleet-question.js';
import { watchFleet } from '../fleet/fleet-watch.js';
import { Nl1Reader } from '../fleet/nl1.js';
import { ByteWriter } from '../format/byte-writer.js';
import { safeText } from '../safe-text.js';
import type { FleetVerb } from './fleet-call.js';
import { bodyOf, filterOf, outputOf } from './fleet-flows.js';
import { labelsOf } from './word-labels.js';
import type { WordLine } from './word-line.js';
import { numberOf, secondsOf } from './word-values.js';

const STDOUT = 1;
const INCOMPLETE = 3;
/** Of a host that is away, this is printed for the reasons that it may have. */
const AWAY: Readonly<Partial<Record<MissingHost['why'], string>>> = {
  silent: 'nothing is heard of it',
  stalled: 'the reader was too slow',
  cancelled: 'its agent was stopped',
  hole: 'a part of what it sent was lost',
  deadline: 'it sends nothing',
};

export const watchEvents: FleetVerb = async (call) => {
  const { context, fleet, line, operands } = call;
  const { err } = context;
  const modes = outputOf(line, context);
  const types = typesOf(line, err);
  const body = { ...bodyOf(line, filterOf(call, operands)), ...(types ? { types } : {}) };
  const limit = numberOf(line, 'limit', 1, Number.MAX_SAFE_INTEGER, true) ?? Number.POSITIVE_INFINITY;
  const seconds = secondsOf(line, 'for', 0.1, 366 * 86_400);
  const asking = call.ask(0);
  const end = new AbortController();
  asking.signal?.addEventListener('abort', () => end.abort(), { once: true });
  const timer = seconds === undefined ? undefined : setTimeout(() => end.abort(), seconds * 1000);
  const output = new PacedOutput(STDOUT);
  try {
    const out = new ByteWriter((bytes, length) => output.write(bytes, length));
    const writer = await flowWriter(out, modes, {
      labels: modes.labels ? labelsOf(line, context) : undefined,
      netns: true,
      event: true,
    });
    const view = createFlowView();
    const reader = new Nl1Reader();
    let shown = 0;
    let complete = true;
    writer.begin();
    out.flush();
    await watchFleet(
      fleet,
      body,
      { ...asking, signal: end.signal },
      {
        rows: async (host, netns, packed, at) => {
          writer.clock.set(at ?? Date.now());
          writer.begin(netns, host);
          const rows = reader.read(packed, (bytes, from, to) => {
            if (shown >= limit) return;
            view.decode(bytes, from, to);
            writer.entry(view);
            shown++;
          });
          out.flush();
          if (output.kept > 0) await output.taken();
          return { rows, enough: shown >= limit };
        },
        watched: (host, again) => {
          if (again) err(`conntrack: ${host} is watched again`);
        },
        lost: (host, { lost, at, netns }) => {
          complete = false;
          const where = netns === undefined ? host : `${host} netns=${netns}`;
          err(`conntrack: ${safeText(`${where}: ${momentOf(at)}: ${lost} events were lost`)}`);
        },
        away: (missing) => {
          complete = false;
          const { host, why, error } = missing;
          err(
            `conntrack: ${safeText(`${host}: ${error?.message ?? AWAY[why] ?? why}: events of it may be missing from now on`)}`,
          );
        },
      },
    );
    writer.end();
    out.flush();
    await Promise.race([output.taken(), new Promise((resolve) => setTimeout(resolve, LAST_CHANCE).unref())]);
    err(`conntrack: ${shown} flow events have been shown.`);
    err(complete ? 'conntrack: the record is complete: no event was lost' : 'conntrack: the record is incomplete');
    return complete ? 0 : INCOMPLETE;
  } finally {
    clearTimeout(timer);
    output.close();
  }
};

/** Milliseconds for a reader that has stopped, at the end. */
const LAST_CHANCE = 1000;

function momentOf(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? '-' : date.toISOString();
}

/** @throws UsageError */
function typesOf(line: WordLine, err: (line: string) => void) {
  let mask: number | undefined;
  for (const text of (line.values['types'] as readonly string[] | undefined) ?? [])
    mask = parseEvents(text, '--types', mask, (warning) => err(`conntrack: ${warning}`));
  return mask === undefined ? undefined : EVENT_TYPES.filter((_, n) => (mask >> n) & 1);
}
