// What programs say with every question to a fleet: whom to ask, how long to wait, and what an incomplete answer is.

import type { Signal } from '../library/index.js';
import type { Asked, AskOptions } from './fleet.js';
import { FleetError } from './fleet-error.js';

/** Which hosts are asked, and how long they are waited for. Times are milliseconds. */
export interface FleetAskOptions {
  /** Names, or patterns with `*`. Default: all. */
  readonly on?: readonly string[] | undefined;
  readonly sites?: readonly string[] | undefined;
  /** Names of network namespaces, on agents that look into several. Default: all. */
  readonly netns?: readonly string[] | undefined;
  /** After so long, a host that says nothing is silent. Default 2000. */
  readonly wait?: number | undefined;
  /** So long hosts may work. Default 5000, of `list` 30000. */
  readonly deadline?: number | undefined;
  /** Throw if the answer is not complete. Default false. */
  readonly strict?: boolean | undefined;
  readonly signal?: Signal | undefined;
}

/** Part of what is asked. */
export function netnsOf({ netns }: Pick<FleetAskOptions, 'netns'>): { readonly netns?: readonly string[] } {
  return netns ? { netns } : {};
}

/** What a question about flows says. */
export function bodyOf(filter: string | undefined, options: Pick<FleetAskOptions, 'netns'>): object {
  return { ...(filter === undefined ? {} : { filter }), ...netnsOf(options) };
}

/** Whom to ask, and for how long. */
export function askOptions({ on, sites, wait, deadline, signal }: FleetAskOptions, usual: number): AskOptions {
  return { on, sites, ...(wait === undefined ? {} : { wait }), deadline: deadline ?? usual, signal };
}

/** @throws FleetError `INCOMPLETE` if the answer is not complete, and has to be */
export function checkComplete(asked: Asked, { strict = false }: Pick<FleetAskOptions, 'strict'>): Asked {
  if (!strict || asked.complete) return asked;
  const names = asked.missing.slice(0, 5).map(({ host, why }) => `${host} (${why})`);
  const more = asked.missing.length > names.length ? `, and ${asked.missing.length - names.length} more` : '';
  if (names.length === 0 && asked.unlisted !== undefined)
    throw new FleetError('INCOMPLETE', `hosts that did not answer are not known: ${asked.unlisted}`);
  throw new FleetError('INCOMPLETE', `no complete answer of ${names.join(', ')}${more}`);
}
