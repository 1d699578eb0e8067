// Several translations on one host, as with network namespaces or zones: where an inside address is the outside one of another flow.

import { parseAddress } from '../ctnetlink/address.js';
import { type SearchOptions, searchFlows } from './flow-search.js';
import type { Span } from './moments.js';
import { spansOf, within } from './networks.js';
import { type PastFlow, PastFlowReader } from './past-flow.js';
import type { DirectoryState, RecordDirectory } from './record-directory.js';
import { all, any, equals } from './sql-condition.js';
import type { TranslationHop, WhoHadMatch } from './who-had-answer.js';
import { endOf, gradeOf } from './who-had-match.js';

const MOST_HOPS = 4;

/** Matches whose further translations are looked for. */
const MOST_FOLLOWED = 20;

/** Whether flows may be translated several times on this host: it has namespaces or zones. */
export function isLayered({ segments, last }: DirectoryState, matches: readonly WhoHadMatch[]): boolean {
  return last?.zones || segments.some(({ namespaces }) => namespaces.size > 0) || matches.some(({ zone }) => zone !== undefined);
}

/** Where an inside address is the outside one of a flow in another namespace or zone, the one who had that, and so on. */
export async function followTranslations(
  directory: RecordDirectory,
  matches: readonly WhoHadMatch[],
  span: Span,
  options: Pick<SearchOptions, 'now' | 'check'>,
): Promise<readonly (readonly TranslationHop[])[]> {
  const addressOf = (text: string) => parseAddress(text)!;
  const chains = matches
    .slice(0, MOST_FOLLOWED)
    .map(({ inside, zone, netns }) => ({ at: [{ inside, zone, netns }], hops: [] as TranslationHop[] }));
  const reader = new PastFlowReader();
  for (let hop = 0; hop < MOST_HOPS; hop++) {
    const open = chains.filter(({ at, hops }) => hops.length === hop && at[hop]!.inside.port !== undefined);
    if (open.length === 0) break;
    const addresses = open.map(({ at }) => addressOf(at[hop]!.inside.address));
    const conditions = open.map(({ at }, n) =>
      all([within('ext', spansOf({ address: addresses[n]! })), equals('eport', at[hop]!.inside.port!)]),
    );
    const sql = any(conditions);
    const indexes = conditions.map((condition) => ({ index: 'flow_ext', ...condition, only: condition.values }));
    const rows = searchFlows(
      directory,
      { plan: { flow: sql, open: sql, indexes }, span, everBefore: true },
      (found, view): PastFlow | undefined => (gradeOf(found, span, 0, 0) ? reader.read(found, view()) : undefined),
      options,
    );
    for await (const batch of rows)
      for (const past of batch) {
        if (!past) continue;
        const { original, reply, zone: both } = past.flow;
        const zone = both ?? original.zone ?? reply.zone;
        const { netns } = past;
        const outside = endOf(reply, 'dst');
        for (const { at, hops } of open) {
          const last = at[hop]!;
          const isNext = outside.address === last.inside.address && outside.port === last.inside.port;
          const elsewhere = at.every((place) => place.zone !== zone || place.netns !== netns);
          if (hops.length > hop || !isNext || !elsewhere) continue;
          const inside = endOf(original, 'src');
          hops.push({ inside, outside, zone, netns });
          at.push({ inside, zone, netns });
        }
      }
  }
  return chains.map(({ hops }) => hops);
}
