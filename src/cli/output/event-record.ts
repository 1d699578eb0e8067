// What `-E` prints on standard error: warnings at the start, each loss, and whether the record is complete.

import type { EventLoss } from '../../library/index.js';
import type { Context } from '../context.js';
import type { NamespaceTable } from '../tables.js';

const EVENT_MODE = '/proc/sys/net/netfilter/nf_conntrack_events';

/** Warns of events that the kernel will not send, if its settings show that (docs/kernel.md 7.3). */
export function warnOfEventMode(context: Context, table: NamespaceTable): void {
  const mode = table.readText(EVENT_MODE)?.trim();
  if (mode === '0') {
    context.err('conntrack: the kernel sends no events for new flows here: net.netfilter.nf_conntrack_events is 0');
    context.err('  hint: sysctl -w net.netfilter.nf_conntrack_events=1');
  } else if (mode === '2' && table.conntrack().count().entries > 0) {
    context.err('conntrack: flows that began while nobody listened cause no UPDATE or DESTROY events here');
    context.err('  hint: sysctl -w net.netfilter.nf_conntrack_events=1 gives events for every flow from its beginning on');
  }
}

/** Counts losses and repairs. */
export class EventRecord {
  readonly #err: (line: string) => void;
  readonly #resync: boolean;
  #overruns = 0;
  #lost = 0;
  /** The watches that lost something that was not repaired. */
  readonly #unrepaired = new Set<object>();
  #shown = 0;

  constructor(err: (line: string) => void, resync: boolean) {
    this.#err = err;
    this.#resync = resync;
  }

  /** One warning for each overrun. */
  lost({ events, at }: EventLoss, watch: object): void {
    this.#lost += events;
    this.#unrepaired.add(watch);
    this.#err(`conntrack: ${new Date(at).toISOString()}: ${events} events were lost: the receive buffer was full`);
    if (this.#overruns++ === 0 && !this.#resync)
      this.#err('  hint: a larger buffer (-b BYTES) or fewer events (-e, -p, -s) help; --resync shows what was missed');
  }

  /** This many events have made up for all losses so far. */
  repaired(events: number, watch: object): void {
    this.#unrepaired.delete(watch);
    this.#shown += events;
    this.#err(`conntrack: ${events} events marked [RESYNC] replace those that were lost`);
  }

  /** Whether the record is complete, in one line. `unwritten`: bytes that the reader of the output did not take. */
  close(unwritten: number): void {
    if (unwritten > 0)
      this.#err(
        `conntrack: the record is incomplete: the reader did not take the last ${unwritten} bytes, nor what followed them`,
      );
    if (this.#overruns === 0) {
      if (unwritten === 0) this.#err('conntrack: the record is complete: no event was lost');
    } else if (this.#unrepaired.size === 0)
      this.#err(
        `conntrack: ${this.#lost} events were lost in ${this.#overruns} overruns; ${this.#shown} events [RESYNC] repaired the record`,
      );
    else this.#err(`conntrack: the record is incomplete: ${this.#lost} events were lost in ${this.#overruns} overruns`);
  }
}
