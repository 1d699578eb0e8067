// exportParquet: flows of a record as a file of Parquet.

import type { FilterInput } from '../library/index.js';
import type { FoundRow } from './flow-search.js';
import { formatMoment } from './moments.js';
import type { FlowHistory, PastFlowsOptions } from './open-history.js';
import { endOfRow, PAST_COLUMNS } from './past-columns.js';
import { gapJson } from './record-directory.js';

/**
 * The flows that `history.flows` reads as a file of Parquet, in parts as they are made; its columns are those of the view `flows`. What the
 * record covers, its gaps and its files are in the file's metadata, as JSON named `conntrack`. 16,384 flows are encoded at once, which
 * keeps the event loop for a tenth of a second.
 *
 * ```ts
 * import { createWriteStream } from 'node:fs';
 * import { pipeline } from 'node:stream/promises';
 *
 * await using history = await openHistory('/var/lib/conntrack');
 * await pipeline(exportParquet(history, 'tcp', { from: '24h-ago' }), createWriteStream('day.parquet'));
 * ```
 *
 * @throws as `history.flows`
 */
export async function* exportParquet(
  history: FlowHistory,
  filter?: FilterInput,
  options: PastFlowsOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  // It brings a package with it.
  const { parquetFile } = await import('./parquet-file.js');
  const makeOf = () => (found: FoundRow) => ({
    end: found.open ? undefined : endOfRow(found.row),
    cells: PAST_COLUMNS.map(({ cell }) => cell(found)),
  });
  const { from, to } = history.coverage();
  const about = {
    coverage: { from: formatMoment(from), to: formatMoment(to) },
    gaps: history.gaps(options).map(gapJson),
    segments: history.segments().map(({ name, recorder, sealed }) => ({ name, recorder, sealed })),
  };
  yield* parquetFile(history.read(filter, options, makeOf), JSON.stringify(about));
}
