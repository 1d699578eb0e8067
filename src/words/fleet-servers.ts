// `--nats`, `--seed`, `--ca`, `--config` of words: how the servers of a fleet are reached.

import { basename } from 'node:path';
import { UsageError } from '../cli/usage-error.js';
import type { Bus } from '../fleet/bus.js';
import { type Connecting, configPlaces, connecting, type FleetConfig, readConfig } from '../fleet/fleet-config.js';
import { FleetError } from '../fleet/fleet-error.js';
import { type BusOptions, connectBus, whyNot } from '../fleet/nats.js';
import { checkName } from '../fleet/subjects.js';
import type { WordContext } from './run-word.js';
import type { WordLine } from './word-line.js';
import { isGiven, listOf, textOf } from './word-values.js';

/** Options count more than CONNTRACK_FLEET, that more than files. @throws UsageError */
export function serversOf(line: WordLine, { host }: Pick<WordContext, 'host'>): Connecting & { readonly config: FleetConfig } {
  const { env } = host;
  return asUsage(() => {
    const file = textOf(line, 'config');
    const config =
      file === undefined
        ? Object.assign({}, ...configPlaces(env['HOME']).map((path) => readConfig(path, false)))
        : readConfig(file, true);
    const servers = listOf(line, 'nats') ?? (env['CONNTRACK_FLEET'] ? env['CONNTRACK_FLEET'].split(',') : undefined);
    const [seed, ca, user] = [textOf(line, 'seed'), textOf(line, 'ca'), textOf(line, 'user')];
    const all: FleetConfig = {
      ...config,
      ...(servers ? { servers } : {}),
      ...(seed === undefined ? {} : { seed }),
      ...(ca === undefined ? {} : { ca }),
      ...(user === undefined ? {} : { user }),
    };
    const folder = env['CREDENTIALS_DIRECTORY'];
    const credentials = folder === undefined ? undefined : `${folder}/seed`;
    return { ...connecting(all, { insecure: isGiven(line, 'insecure'), credentials }), config: all };
  });
}

/** Exit status: another agent or collector has the name. */
export const NAME_TAKEN = 4;

/** Milliseconds after which it is told that no server answers. */
const TOLD_AFTER = 3000;

/** Connects, however long it takes. @returns `undefined` if `over` comes first */
export async function reachServers(
  options: Omit<BusOptions, 'patient'> & { readonly tell: (line: string) => void },
  over: Promise<void>,
): Promise<Bus | undefined> {
  const { tell } = options;
  let reached = false;
  const tellWhy = async () => {
    const why = await whyNot({ ...options, patient: false });
    if (why && !reached) tell(`${why.message}; it goes on trying${why.hint === undefined ? '' : ` (${why.hint})`}`);
  };
  const waiting = setTimeout(() => void tellWhy(), TOLD_AFTER);
  const bus = await Promise.race([connectBus({ ...options, patient: true }), over]).finally(() => {
    reached = true;
    clearTimeout(waiting);
  });
  return bus ?? undefined;
}

/** Tells that the name is taken. @returns the exit status @throws every other error */
export function nameTaken(error: unknown, tell: (line: string) => void, err: (line: string) => void): number {
  if (!(error instanceof FleetError) || error.code !== 'NAME_TAKEN') throw error;
  tell(error.message);
  if (error.hint !== undefined) err(`  hint: ${error.hint}`);
  return NAME_TAKEN;
}

/** Who asks: as it is told, or as the file of the seed is named. @throws UsageError */
export function userOf({ user, seed }: FleetConfig): string {
  const named = seed === undefined ? 'local' : basename(seed).replace(/\.seed$/, '');
  return asUsage(() => checkName('the user', user ?? named));
}

/** What is wrong with options or files is a wrong command line. */
export function asUsage<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw usageError(error);
  }
}

/** As `asUsage`, for an error that is at hand. */
export function usageError(error: unknown): unknown {
  return error instanceof FleetError && error.code === 'CONFIG' ? new UsageError(error.message, { hint: error.hint }) : error;
}
