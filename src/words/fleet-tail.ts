// `conntrack fleet tail`: records of all hosts as they come, a line of JSON each, for programs that keep them elsewhere.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { PacedOutput } from '../cli/output/paced-output.js';
import { UsageError } from '../cli/usage-error.js';
import type { Bus, FollowedMessage } from '../fleet/bus.js';
import { FleetError } from '../fleet/fleet-error.js';
import { connectBus } from '../fleet/nats.js';
import { readRecords, sourceOf } from '../fleet/record-message.js';
import { RECORD_STREAM, subjects } from '../fleet/subjects.js';
import { ByteWriter } from '../format/byte-writer.js';
import { flowsOfPart, jsonOfGap } from '../history/part-lines.js';
import { safeJson, safeText } from '../safe-text.js';
import { abortBySignal } from './ending-signals.js';
import { serversOf, userOf } from './fleet-servers.js';
import type { WordContext } from './run-word.js';
import type { WordLine } from './word-line.js';
import { listOf, textOf } from './word-values.js';

const STDOUT = 1;
/** Milliseconds before it begins anew. */
const PAUSE = 1000;

/** Up to where everything was printed. */
interface Place {
  readonly created: string;
  readonly sequence: number;
}

export async function tailRecords(line: WordLine, operands: readonly string[], context: WordContext): Promise<number> {
  if (operands.length > 0) throw new UsageError('fleet tail takes options only');
  const formats = (line.values['output'] as readonly string[] | undefined) ?? ['ndjson'];
  if (formats.some((format) => format !== 'ndjson')) throw new UsageError('fleet tail prints ndjson', { hint: '-o ndjson' });
  const on = listOf(line, 'on');
  const state = textOf(line, 'state');
  const { host, err } = context;
  const servers = serversOf(line, context);
  const tell = (text: string) => err(`conntrack: fleet tail: ${safeText(text)}`);
  const bus = await connectBus({ ...servers, name: userOf(servers.config), patient: false, tell });
  const abort = abortBySignal(host);
  const output = new PacedOutput(STDOUT);
  const out = new ByteWriter((bytes, length) => output.write(bytes, length));
  const print = async (text: string) => {
    out.text(text);
    out.flush();
    if (output.kept > 0) await output.taken();
  };
  let place = state === undefined ? undefined : readPlace(state);
  let begun = false;
  try {
    for (let troubled = false; !abort.signal.aborted; )
      try {
        place = await beginning(bus, place, state !== undefined);
        if (!begun || troubled) tell(`reads from message ${place.sequence + 1} on, at ${bus.server}`);
        begun = true;
        troubled = false;
        const subject = subjects.record('*', '*', '*');
        for await (const message of bus.followStream(RECORD_STREAM, {
          subject,
          from: place.sequence + 1,
          signal: abort.signal,
        })) {
          const text = linesOf(message, on, tell);
          if (text !== '') await print(text);
          // Written behind the lines: after a crash some of them come again, and none is missing.
          place = { ...place, sequence: message.sequence };
          if (state !== undefined) writePlace(state, place);
        }
      } catch (error) {
        if (!(error instanceof FleetError) || error.code !== 'UNAVAILABLE') throw error;
        if (!troubled) tell(`${error.message}; it goes on trying`);
        troubled = true;
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
  } finally {
    output.close();
    await bus.close();
  }
  return 0;
}

/** Where to begin: behind what was printed. Without a file, with what comes from now on. */
async function beginning(bus: Bus, place: Place | undefined, kept: boolean): Promise<Place> {
  const stream = await bus.streamState(RECORD_STREAM);
  if (!stream)
    throw new FleetError('NOT_SET_UP', 'these servers keep no records', { hint: 'conntrack fleet setup prepares them' });
  const { created, last } = stream;
  if (place?.created === created) return place;
  // Of another stream of this name, everything is new.
  return { created, sequence: place || kept ? 0 : last };
}

function linesOf(message: FollowedMessage, on: readonly string[] | undefined, tell: (text: string) => void): string {
  const source = sourceOf(message.subject);
  if (!source || (on && !on.includes(source.host))) return '';
  const { host, site } = source;
  try {
    const part = readRecords(message);
    const { recorder } = part;
    const gaps = part.gaps.map((gap) => `${safeJson({ host, site, recorder, gap: jsonOfGap(gap) })}\n`);
    const flows = Array.from(flowsOfPart(part), (flow) => `${safeJson({ host, site, recorder, ...flow })}\n`);
    return [...gaps, ...flows].join('');
  } catch (error) {
    if (!(error instanceof FleetError)) throw error;
    tell(`message ${message.sequence} of ${host}: ${error.message}`);
    return '';
  }
}

/** @throws UsageError for a file that is something else */
function readPlace(path: string): Place | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new UsageError(`--state: ${(error as Error).message}`);
  }
  try {
    const { created, sequence } = JSON.parse(text) as Partial<Place>;
    if (typeof created === 'string' && Number.isSafeInteger(sequence) && sequence! >= 0) return { created, sequence: sequence! };
  } catch {
    // Below.
  }
  throw new UsageError(`--state: ${path} is no state of fleet tail`, {
    hint: 'without the file it begins with the oldest record',
  });
}

function writePlace(path: string, place: Place): void {
  writeFileSync(`${path}.new`, `${safeJson(place)}\n`);
  renameSync(`${path}.new`, path);
}
