// Notices: what keeps the numbers of the meter from being complete, in a sentence, and what to do about it.

/** What a notice is about. */
export type NoticeCode =
  | 'ACCOUNTING_OFF'
  | 'ACCOUNTING_PARTLY'
  | 'EVENTS_OFF'
  | 'EVENTS_NEW_ONLY'
  | 'TIMESTAMP_OFF'
  | 'EVENTS_LOST'
  | 'TABLE_NEARLY_FULL'
  | 'TABLE_FULL'
  | 'OFFLOAD_WITHOUT_COUNTERS'
  | 'SLOW'
  | 'NOTHING_TRACKED'
  | 'NO_NAMESPACE';

/** Something that one should know about the numbers. */
export interface Notice {
  readonly code: NoticeCode;
  /** One sentence. */
  readonly text: string;
  /** A command that changes it, if there is one. */
  readonly remedy?: string;
  /** Name of the namespace, in a meter of several. */
  readonly netns?: string;
}

/** What notices are made from. */
export interface Circumstances {
  /** Sysctls net.netfilter.nf_conntrack_*; `undefined`: the kernel has none, or does not show it. */
  readonly acct: number | undefined;
  readonly events: number | undefined;
  readonly timestamp: number | undefined;
  /** Whether packets are tracked at all; `undefined`: the kernel does not say. */
  readonly tracking: boolean | undefined;
  readonly flows: number;
  /** Flows with counters, and flows that certainly have none. */
  readonly read: number;
  readonly blank: number;
  /** Offloaded flows whose counters stand still. */
  readonly blind: number;
  readonly entries: number;
  readonly maxEntries: number | undefined;
  /** Packets dropped, and entries dropped early, since the last sample, because the table is full. */
  readonly dropped: number;
  readonly lost: number;
  readonly repaired: number;
  /** Milliseconds: between sweeps, and as asked for. */
  readonly pace: number;
  readonly interval: number;
  /** What begins a command line that runs something in the network namespace, as `ip netns exec blue`; empty in one's own. */
  readonly enter: string;
}

/** All network namespaces of a meter have gone. */
export const NO_NAMESPACE: Notice = {
  code: 'NO_NAMESPACE',
  text: 'the network namespace is gone: nothing is metered until there is one of that name again',
};

const NEARLY_FULL = 0.8;
/** A sweep may come so many times later than asked before that is worth a notice. */
const MUCH_SLOWER = 1.5;

/** The notices for a namespace, the most important first. */
export function noticesOf(c: Circumstances): Notice[] {
  const notices: Notice[] = [];
  const add = (code: NoticeCode, text: string, remedy?: string) =>
    notices.push({ code, text, ...(remedy === undefined ? {} : { remedy }) });
  const sysctl = (name: string, value: number, note: string) =>
    `${c.enter === '' ? '' : `${c.enter} `}sysctl -w net.netfilter.nf_conntrack_${name}=${value}  # ${note}`;
  const fill = c.maxEntries ? c.entries / c.maxEntries : 0;
  if (c.dropped > 0) add('TABLE_FULL', `the table is full: ${c.dropped} packets or entries were dropped`, larger(c.maxEntries));
  else if (fill >= NEARLY_FULL)
    add('TABLE_NEARLY_FULL', `${Math.floor(100 * fill)} % of the table is in use`, larger(c.maxEntries));
  if (c.tracking === false && c.flows === 0)
    add('NOTHING_TRACKED', 'no rule in this network namespace uses connection tracking, so the table stays empty');
  if (c.acct === 0 && c.read === 0)
    add('ACCOUNTING_OFF', 'accounting is off: no bytes, no packets, no rates', sysctl('acct', 1, 'new flows only'));
  else if (c.blank > 0)
    add(
      'ACCOUNTING_PARTLY',
      `${c.blank} of ${c.flows} flows have no counters: they began while accounting was off`,
      c.acct === 0 ? sysctl('acct', 1, 'new flows only') : undefined,
    );
  if (c.events === 0)
    add(
      'EVENTS_OFF',
      'events are off: flows that begin and end between two lists are not seen',
      sysctl('events', 1, 'new flows only'),
    );
  else if (c.events === 2)
    add('EVENTS_NEW_ONLY', 'flows from before the meter began may end without an event: then their last bytes are not counted');
  if (c.timestamp === 0)
    add('TIMESTAMP_OFF', 'the kernel keeps no times: ages are at least what they say', sysctl('timestamp', 1, 'new flows only'));
  if (c.lost > 0) add('EVENTS_LOST', `${c.lost} times events were lost, and ${c.repaired} entries put right by a list`);
  if (c.blind > 0)
    add(
      'OFFLOAD_WITHOUT_COUNTERS',
      `${c.blind} offloaded flows have counters that stand still: whoever forwards them does not tell`,
    );
  if (c.pace > MUCH_SLOWER * c.interval)
    add(
      'SLOW',
      `the table is listed every ${(c.pace / 1000).toFixed(1)} s, not every ${c.interval / 1000} s, to save processor time`,
    );
  return notices;
}

/** Whether flows have counters, by the notices of so many namespaces. */
export function accountingOf(notices: readonly Notice[], namespaces: number): 'on' | 'partly' | 'off' {
  const off = notices.filter(({ code }) => code === 'ACCOUNTING_OFF').length;
  if (off > 0 && off === namespaces) return 'off';
  return off > 0 || notices.some(({ code }) => code === 'ACCOUNTING_PARTLY') ? 'partly' : 'on';
}

/** The limit is that of the whole machine, and set in its first network namespace. */
function larger(maxEntries: number | undefined): string | undefined {
  return maxEntries === undefined ? undefined : `sysctl -w net.netfilter.nf_conntrack_max=${2 * maxEntries}`;
}
