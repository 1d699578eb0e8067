// `conntrack fleet doctor`: what is wrong with the servers, the streams and the hosts of a fleet.

import { quoted, UsageError } from '../cli/usage-error.js';
import { diagnosisText } from '../doctor/diagnosis-text.js';
import { ConntrackError } from '../errors.js';
import type { Bus } from '../fleet/bus.js';
import { Fleet } from '../fleet/fleet.js';
import { diagnoseFleet, type FleetSnapshot, type FleetStream } from '../fleet/fleet-checks.js';
import { connectBus } from '../fleet/nats.js';
import { compareClocks } from '../fleet/server-clocks.js';
import { readStreams } from '../fleet/streams.js';
import { RECORD_STREAM } from '../fleet/subjects.js';
import { readUsers } from '../fleet/user-file.js';
import { safeJson } from '../safe-text.js';
import { asUsage, serversOf, userOf } from './fleet-servers.js';
import { KEYS } from './fleet-setup.js';
import type { WordContext } from './run-word.js';
import type { WordLine } from './word-line.js';
import { textOf } from './word-values.js';

const FOUND = 1;
const UNKNOWN = 3;

export async function examineFleet(line: WordLine, operands: readonly string[], context: WordContext): Promise<number> {
  if (operands.length > 0) throw new UsageError(`fleet: ${quoted(operands[0]!)} is one word too many`);
  const format = (line.values['output'] as readonly string[] | undefined)?.at(-1) ?? 'text';
  if (format !== 'text' && format !== 'json')
    throw new UsageError(`-o ${format} cannot be had here`, { hint: 'one of text, json' });
  const diagnosis = diagnoseFleet(await snapshotOf(line, context));
  const { out, host } = context;
  if (format === 'json') out.text(`${safeJson(diagnosis)}\n`);
  else {
    const findings = diagnosis.findings.map((finding) => ({ ...finding, about: `fleet.md#${finding.id}` }));
    const columns = host.stdout.isTTY ? Math.max(60, host.stdout.columns || 80) : undefined;
    out.text(diagnosisText({ ...diagnosis, findings, seconds: 0 }, columns, 'docs/fleet.md names all'));
  }
  if (diagnosis.findings.some(({ severity }) => severity !== 'info')) return FOUND;
  return diagnosis.unchecked.length > 0 ? UNKNOWN : 0;
}

/** Looks at every server by itself, and through the first that answers at the rest. @throws UsageError, FleetError if none does */
async function snapshotOf(line: WordLine, context: WordContext): Promise<FleetSnapshot> {
  const options = serversOf(line, context);
  const name = userOf(options.config);
  const users = asUsage(() => readUsers(textOf(line, 'keys') ?? KEYS));
  const buses: Bus[] = [];
  try {
    const servers: { url: string; version?: string; error?: string }[] = [];
    let failure: unknown;
    for (const url of options.servers)
      try {
        const bus = await connectBus({ ...options, servers: [url], name, patient: false });
        buses.push(bus);
        servers.push({ url, version: bus.serverVersion });
      } catch (error) {
        if (!(error instanceof ConntrackError)) throw error;
        failure = error;
        servers.push({ url, error: error.message });
      }
    const [bus] = buses;
    if (!bus) throw failure;
    const streams: readonly FleetStream[] = await readStreams(bus);
    const fleet = new Fleet(bus, name);
    // That a bucket is missing, or cannot be read, is told as such.
    const inventory = await ifReadable(fleet.inventory());
    const collectors = await ifReadable(fleet.collectors());
    const isKnown = streams.some(({ name: stream, state }) => stream === RECORD_STREAM && typeof state === 'object');
    const serverClocks =
      isKnown && inventory
        ? await compareClocks(bus, inventory.hosts).catch((error: unknown) => ({ unknown: knownError(error).message }))
        : undefined;
    return {
      servers,
      streams,
      hosts: inventory?.hosts,
      unreadable: inventory?.unreadable ?? 0,
      collectors,
      serverClocks,
      now: Date.now(),
      users: users.length > 0 ? users : undefined,
    };
  } finally {
    for (const bus of buses) await bus.close();
  }
}

async function ifReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    knownError(error);
    return undefined;
  }
}

/** @throws every error that this package has not made */
function knownError(error: unknown): ConntrackError {
  if (error instanceof ConntrackError) return error;
  throw error;
}
