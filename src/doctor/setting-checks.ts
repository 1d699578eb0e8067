// Checks of settings: what flows do not have because nobody asked for it.

import { count } from '../units.js';
import { type CheckRow, check, setting } from './check-row.js';
import { counted } from './figures.js';
import { HELPER_MODULES } from './helper-modules.js';

export const SETTING_CHECKS: readonly CheckRow[] = [
  check({
    id: 'nothing-tracked',
    reads: ['counts', 'tracked'],
    mayRead: ['packets', 'addresses'],
    finds: 'no rule of this network namespace needs connection tracking, so the table stays empty',
    means:
      'The kernel tracks connections of a network namespace only once a rule needs it: one that says ct, NAT, or -m conntrack. Until then the table ' +
      'is empty, however much traffic there is, and conntrack -L shows nothing.',
    see: ['nft list ruleset', 'conntrack -C'],
    mend: 'A single rule is enough. The one below accepts nothing and drops nothing, it only has packets tracked.',
    judge: ({ counts: { first, last }, tracked, packets, addresses }) => {
      const { ipv4, ipv6 } = tracked;
      const fix = [
        { command: 'nft add table inet track' },
        { command: "nft 'add chain inet track seen { type filter hook prerouting priority 0; }'" },
        { command: 'nft add rule inet track seen ct state new counter', note: 'has IPv4 and IPv6 tracked' },
      ];
      const noRule = 'no rule of this network namespace uses connection tracking';
      if (ipv4 === false && ipv6 === false)
        return { severity: 'warning', title: 'nothing is tracked: the table stays empty', detail: [noRule], fix };
      if (ipv4 === undefined && ipv6 === undefined) {
        // A kernel that does not say: packets that leave no trace do.
        if (first.entries + last.entries > 0) return undefined;
        const more = packets ? packets.last - packets.first : 0;
        if (more <= 0) return { unknown: 'this kernel does not say whether it tracks, and no packets came by' };
        return {
          severity: 'warning',
          title: `nothing is tracked: ${counted(more, 'packet')} went by, and the table is empty`,
          detail: [`most likely ${noRule}; this kernel does not say`],
          fix,
        };
      }
      const has = (colon: boolean) =>
        addresses?.own.some((address) => address.includes(':') === colon && !isLocal(address)) ?? false;
      if (ipv4 === false && ipv6 && has(false)) return untracked('IPv4', fix);
      if (ipv6 === false && ipv4 && has(true)) return untracked('IPv6', fix);
      return undefined;
    },
  }),
  check({
    id: 'accounting-off',
    reads: ['sysctls'],
    mayRead: ['fixedSysctls'],
    finds: 'flows have no packet and byte counters',
    means:
      'Without net.netfilter.nf_conntrack_acct, nobody counts packets and bytes of flows: conntrack top has no rates, and who used how much cannot ' +
      'be told. Flows that began while it was off stay without counters.',
    see: ['sysctl net.netfilter.nf_conntrack_acct', 'conntrack -L'],
    mend: 'Switch it on; it costs a few percent of the time of a packet at most. It counts for flows that begin afterwards.',
    judge: ({ sysctls, fixedSysctls }) =>
      sysctls['acct'] === 0
        ? {
            severity: 'info',
            title: 'flows have no packet and byte counters',
            detail: ['conntrack top shows no rates, and records have no bytes'],
            fix: [setting('acct', 1, fixedSysctls, 'counts for flows that begin afterwards')],
          }
        : undefined,
  }),
  check({
    id: 'timestamps-off',
    reads: ['sysctls'],
    mayRead: ['fixedSysctls'],
    finds: 'the kernel does not keep when flows begin and end',
    means:
      'Without net.netfilter.nf_conntrack_timestamp, the age of a flow is at least what a program has seen of it, and records have no exact times.',
    see: ['sysctl net.netfilter.nf_conntrack_timestamp', 'conntrack -L -o timestamp'],
    mend: 'Switch it on. It counts for flows that begin afterwards.',
    judge: ({ sysctls, fixedSysctls }) =>
      sysctls['timestamp'] === 0
        ? {
            severity: 'info',
            title: 'flows have no times of beginning and end',
            detail: ['ages in conntrack top are at least what they say'],
            fix: [setting('timestamp', 1, fixedSysctls, 'counts for flows that begin afterwards')],
          }
        : undefined,
  }),
  check({
    id: 'events-off',
    reads: ['sysctls'],
    mayRead: ['fixedSysctls'],
    finds: 'the kernel sends no events of flows',
    means:
      'With net.netfilter.nf_conntrack_events 0, conntrack -E stays silent, conntrackd replicates nothing, and conntrack top finds beginnings and ends ' +
      'only with its next list.',
    see: ['sysctl net.netfilter.nf_conntrack_events'],
    mend: 'Set it to 2, the default of current kernels, or to 1: docs/events.md has the difference. It counts for flows that begin afterwards.',
    judge: ({ sysctls, fixedSysctls }) =>
      sysctls['events'] === 0
        ? {
            severity: 'warning',
            title: 'the kernel sends no events of flows',
            detail: ['conntrack -E is silent, and short flows are missing in records'],
            fix: [setting('events', 1, fixedSysctls, 'counts for flows that begin afterwards')],
          }
        : undefined,
  }),
  check({
    id: 'events-auto',
    reads: ['sysctls', 'listeners'],
    mayRead: ['fixedSysctls'],
    finds: 'flows that begin while nobody listens will end without an event',
    means:
      'With net.netfilter.nf_conntrack_events 2, the default since Linux 5.19, a flow gets events only if somebody was listening when it began. Nobody ' +
      'listens now, so what starts later will not hear of the end of flows that begin before.',
    see: ['sysctl net.netfilter.nf_conntrack_events'],
    mend: 'Nothing has to be done for conntrack top and watch(), which compare with a list. For conntrack -E and other collectors, 1 has all flows make events.',
    judge: ({ sysctls, listeners, fixedSysctls }) =>
      sysctls['events'] === 2 && listeners.length === 0
        ? {
            severity: 'info',
            title: 'nobody listens to events, so flows that begin now will end without one',
            detail: ['who listens later hears nothing of them (nf_conntrack_events = 2, the default)'],
            fix: [setting('events', 1, fixedSysctls, 'only if a collector must hear of every end')],
          }
        : undefined,
  }),
  check({
    id: 'labels-without-room',
    reads: ['labelFile', 'flows'],
    finds: 'there are names for labels, but no flow has a label, and maybe no room for one',
    means:
      'A flow has room for labels only if a rule of the network namespace set labels (nft), or matched them (iptables), when the flow began. ' +
      '/etc/xtables/connlabel.conf names labels, but no flow has one. If no rule sets any, conntrack -U --label-add fails. The kernel does not tell ' +
      'whether a flow without labels has room for them.',
    see: ['nft list ruleset | grep label', 'conntrack -L -o labels'],
    mend: 'Add a rule that sets a label, even if it matches nothing: the fix has one. It counts for flows that begin afterwards.',
    judge: ({ labelFile, flows }) =>
      labelFile && flows.flows > 0 && flows.labelled === 0
        ? {
            severity: 'info',
            title: `labels have names, but none of ${counted(flows.flows, 'flow')} has one`,
            detail: ['if no rule sets labels, flows have no room for them, and conntrack -U --label-add fails'],
            fix: [
              { command: 'nft add table inet labelling' },
              { command: "nft 'add chain inet labelling room { type filter hook prerouting priority 0; }'" },
              {
                command: 'nft add rule inet labelling room meta l4proto 255 ct label set 127',
                note: 'matches nothing, but makes room in flows that begin afterwards',
              },
            ],
          }
        : undefined,
  }),
  check({
    id: 'helpers-unused',
    reads: ['modules', 'flows'],
    finds: 'a helper is loaded, but answered flows at its port are not given to it',
    means:
      'Helpers read protocols that open further connections, such as FTP and SIP. Since Linux 4.7 they read only flows that a rule gives to them ' +
      '(ct helper set), and no longer all flows at their port. Without a helper, passive FTP or calls through NAT fail, though the first connection works.',
    see: ['conntrack -L --filter "has helper"', 'conntrack -L expect'],
    mend: 'Add an object for the helper and a rule that assigns it, in the chain that sees the first packet. If nobody needs the helper, leave it.',
    judge: ({ modules, flows }) =>
      modules.flatMap((module) => {
        const row = HELPER_MODULES.find((one) => one.module === module);
        const alone = flows.unhelped[module] ?? 0;
        if (!row || alone === 0 || Object.hasOwn(flows.helped, row.helper)) return [];
        const protocol = row.protonum === 6 ? 'tcp' : 'udp';
        return [
          {
            severity: 'info' as const,
            title: `${module} reads nothing: ${counted(alone, 'flow')} to ${protocol} port ${row.port} and none with the helper ${row.helper}`,
            detail: ['connections that they announce are not expected, and fail behind NAT'],
            fix: [
              { command: 'nft add table inet assist' },
              { command: `nft 'add ct helper inet assist ${row.helper} { type "${row.helper}" protocol ${protocol}; }'` },
              { command: "nft 'add chain inet assist assign { type filter hook prerouting priority 0; }'" },
              {
                command: `nft add rule inet assist assign ${protocol} dport ${row.port} ct helper set '"${row.helper}"'`,
                note: 'counts for flows that begin afterwards',
              },
            ],
          },
        ];
      }),
  }),
  check({
    id: 'expectations-full',
    reads: ['expectations', 'sysctls'],
    mayRead: ['fixedSysctls'],
    finds: 'helpers expect nearly as many connections as the kernel permits',
    means:
      'Every expected connection, such as the data connection of an FTP transfer or the audio of a call, takes a place in the table of expectations. ' +
      'When it is full, further ones are not expected: transfers and calls fail through NAT, although the connections themselves work.',
    see: ['conntrack -C expect', 'conntrack -L expect'],
    mend: 'Raise net.netfilter.nf_conntrack_expect_max. If one helper has nearly all of them, look at who makes them: SIP registrations that nobody uses stay for their whole time.',
    judge: ({ expectations: { entries, byHelper }, sysctls, fixedSysctls }) => {
      const most = sysctls['expect_max'];
      if (!most || entries < 0.8 * most) return undefined;
      const [helper, times] = Object.entries(byHelper).sort(([, a], [, b]) => b - a)[0] ?? ['', 0];
      return {
        severity: entries >= most ? 'error' : 'warning',
        title: `helpers expect ${count(entries)} connections, of ${count(most)} that are possible`,
        detail: [
          ...(helper === '' ? [] : [`${helper} expects ${count(times)} of them`]),
          'further ones are not expected: transfers and calls that need them fail',
        ],
        fix: [setting('expect_max', 2 * most, fixedSysctls)],
      };
    },
  }),
];

function untracked(family: 'IPv4' | 'IPv6', fix: readonly { readonly command: string }[]) {
  return {
    severity: 'info' as const,
    title: `${family} is not tracked, only the other family is`,
    detail: [`this host has ${family} addresses, and no rule uses connection tracking for ${family}`],
    fix,
  };
}

/** Whether an address means nothing beyond its link. */
function isLocal(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || /^fe[89ab]/.test(address) || address.startsWith('169.254.');
}
