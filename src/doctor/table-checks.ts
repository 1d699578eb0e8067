// Checks of the table as a whole: how full it is, what was dropped, how long its chains are.

import { bytes, count, percent } from '../units.js';
import { type CheckRow, check, type Found, setting } from './check-row.js';
import { counted, deletion, duration, perSecond } from './figures.js';
import type { FlowSurvey } from './flow-survey.js';
import type { SnapshotParts } from './snapshot.js';

const NEARLY = 0.8;
const ALMOST = 0.95;
/** Seconds before the table is full that are an error. */
const SOON = 600;
/** Entries that must have come in the sample, before a forecast is worth its name. */
const GROWTH = 10;
/** Bytes of an entry with its extensions, if the kernel does not say. */
const ENTRY_SIZE = 320;
/** Entries per bucket. */
const LONG_CHAINS = 4;
const BUCKET_SIZE = 8;

const grown = (twice: SnapshotParts['statistics'], name: keyof SnapshotParts['statistics']['first']) =>
  Math.max(0, twice.last[name] - twice.first[name]);

/** Who has most of the table. */
function largest(flows: FlowSurvey | undefined): string[] {
  const [first] = flows?.sources ?? [];
  if (!flows || !first || first.flows < flows.flows / 100) return [];
  const share = `${percent(first.flows, flows.flows)} of all`;
  const unanswered = first.unreplied === 0 ? '' : `, ${percent(first.unreplied, first.flows)} unanswered`;
  return [`${first.src} has ${count(first.flows)} of them (${share}${unanswered}): conntrack top src ${first.src}`];
}

/** A larger limit, and what it costs. */
function raise(maxEntries: number, { fixedSysctls, slab }: Partial<SnapshotParts>) {
  const wanted = 2 * maxEntries;
  const more = maxEntries * (slab?.entrySize ?? ENTRY_SIZE);
  return setting('max', wanted, fixedSysctls, `takes up to ${bytes(more)} more when full`);
}

export const TABLE_CHECKS: readonly CheckRow[] = [
  check({
    id: 'table-full',
    reads: ['counts', 'statistics'],
    mayRead: ['flows', 'fixedSysctls', 'slab'],
    finds: 'the table is full: new connections are dropped, or others removed for them',
    means:
      'The table has as many entries as net.netfilter.nf_conntrack_max permits. The kernel drops the first packet of a new connection, or, to make ' +
      'room, removes a flow that is not ASSURED. Users see connections that hang, and that work at the second or third attempt. The kernel logs ' +
      '"nf_conntrack: table full, dropping packet".',
    see: ['conntrack -C', 'conntrack -S', 'conntrack usage --by src', 'dmesg | grep nf_conntrack'],
    mend:
      'Find out who fills it before you raise the limit: a single source with mostly unanswered flows is a scan or a broken program. Otherwise raise ' +
      'the limit, and write it to /etc/sysctl.d so that it outlives a restart. Shorter timeouts, of UDP and of established TCP, help as well.',
    judge: ({ counts: { last }, statistics, ...others }, seconds) => {
      const { entries, maxEntries } = last;
      const drops = grown(statistics, 'drop');
      const early = grown(statistics, 'earlyDrop');
      const isFull = maxEntries !== undefined && maxEntries > 0 && entries >= maxEntries;
      if (!isFull && drops + early === 0) return undefined;
      const of = maxEntries === undefined ? '' : ` of ${count(maxEntries)}`;
      const lost = [
        ...(drops > 0 ? [`${count(drops)} new connections were dropped`] : []),
        ...(early > 0 ? [`${counted(early, 'flow was', 'flows were')} removed early for others`] : []),
      ];
      return {
        severity: 'error',
        title: `the table is full: ${count(entries)}${of} entries`,
        detail: [
          lost.length > 0
            ? `in ${duration(seconds)}, ${lost.join(', and ')}`
            : 'the next new connection is dropped, or a flow removed for it',
          ...largest(others.flows),
        ],
        fix: maxEntries === undefined ? [] : [raise(maxEntries, others)],
      };
    },
  }),
  check({
    id: 'table-nearly-full',
    reads: ['counts', 'statistics'],
    mayRead: ['flows', 'fixedSysctls', 'slab'],
    finds: `the table is ${100 * NEARLY} % full or more, or will be full within ${SOON / 60} minutes`,
    means:
      'When the table is full, the kernel drops new connections. The forecast draws a straight line through the two samples, so it is rough: with a ' +
      'longer --sample it is better.',
    see: ['conntrack -C', 'conntrack top --by src', 'conntrack usage --fail-above 80'],
    mend:
      'As for table-full. Before you double the limit, look whether one source has most of the flows, and whether they are answered. ' +
      'conntrack usage --fail-above is made for a monitoring system.',
    judge: ({ counts: { first, last }, statistics, ...others }, seconds) => {
      const { entries, maxEntries } = last;
      if (maxEntries === undefined || maxEntries === 0 || entries >= maxEntries) return undefined;
      if (grown(statistics, 'drop') + grown(statistics, 'earlyDrop') > 0) return undefined; // table-full
      const fill = entries / maxEntries;
      const more = entries - first.entries;
      const left = more >= GROWTH && seconds > 0 ? ((maxEntries - entries) * seconds) / more : Number.POSITIVE_INFINITY;
      // A burst into an empty table says nothing yet.
      const soon = left < SOON && fill > 0.5;
      if (fill < NEARLY && !soon) return undefined;
      const growth = more >= GROWTH ? `, growing by ${perSecond(more, seconds)}` : '';
      const full = Number.isFinite(left) && left < 86_400 ? `: full in ${duration(left)}` : '';
      return {
        severity: fill >= ALMOST || soon ? 'error' : 'warning',
        title: `${count(entries)} of ${count(maxEntries)} entries (${percent(entries, maxEntries)})${growth}${full}`,
        detail: largest(others.flows),
        fix: [raise(maxEntries, others)],
      };
    },
  }),
  check({
    id: 'drops-in-the-past',
    reads: ['counts', 'statistics'],
    mayRead: ['fixedSysctls', 'slab'],
    finds: 'the table has been full at some time since the start, though it has room now',
    means:
      'The counters drop and early_drop of conntrack -S are not 0, but did not grow during the sample: the table was full at a peak. ' +
      'They count since the network namespace was made, usually since the machine was started.',
    see: ['conntrack -S'],
    mend: 'Find out when: record conntrack -C each minute, or serve metrics. If the peaks are ordinary traffic, raise the limit.',
    judge: ({ counts: { last }, statistics, ...others }) => {
      const { drop, earlyDrop } = statistics.last;
      if (drop + earlyDrop === 0 || grown(statistics, 'drop') + grown(statistics, 'earlyDrop') > 0) return undefined;
      const { entries, maxEntries } = last;
      if (maxEntries !== undefined && entries >= maxEntries) return undefined;
      const parts = [
        ...(drop > 0 ? [`${counted(drop, 'new connection was', 'new connections were')} dropped`] : []),
        ...(earlyDrop > 0 ? [`${counted(earlyDrop, 'flow was', 'flows were')} removed early`] : []),
      ];
      return {
        severity: 'info',
        title: `the table was full at some time: ${parts.join(', ')}`,
        detail: [`since this network namespace exists; now it has ${counted(entries, 'entry', 'entries')}`],
        fix: maxEntries === undefined ? [] : [{ ...raise(maxEntries, others), note: 'if that happens again' }],
      };
    },
  }),
  check({
    id: 'insert-failed',
    reads: ['statistics'],
    finds: 'new flows cannot be inserted, because another one has their addresses and ports',
    means:
      'The counter insert_failed grows: when the first packet of a connection left, another flow had taken the same tuple, and the packet was ' +
      'dropped. With NAT, two connections raced for one outside port; without, a program sent two UDP packets from one socket at the same time, ' +
      'as resolvers do with the queries for A and AAAA. Users see lookups that take 5 seconds, and connections that need a second attempt.',
    see: ['conntrack -S', 'conntrack usage --by snat'],
    mend:
      'With NAT: let the kernel choose ports at random (masquerade fully-random, snat … fully-random), or give it more outside addresses. With DNS: ' +
      'the option single-request-reopen in /etc/resolv.conf, or a resolver on the machine itself.',
    judge: ({ statistics }, seconds) => {
      const failed = grown(statistics, 'insertFailed');
      if (failed === 0) return undefined;
      return {
        severity: 'warning',
        title: `${counted(failed, 'new flow')} could not be inserted in ${duration(seconds)}: packets were dropped`,
        detail: [
          'two connections want the same addresses and ports: NAT that chooses the same outside port for both, or DNS queries from one socket',
        ],
        fix: [
          {
            note: 'with NAT: add fully-random to the rule, as in:',
            optional: ['nft add rule ip nat postrouting oifname "wan0" masquerade fully-random'],
          },
          { note: 'with DNS: in /etc/resolv.conf of the clients, options single-request-reopen' },
        ],
      };
    },
  }),
  check({
    id: 'clashes',
    reads: ['statistics'],
    finds: 'new flows clash with others, and the kernel resolves it',
    means:
      'The counter clash_resolve grows: two packets of a new UDP flow were handled at the same time, and the kernel let both pass. Nothing is lost. ' +
      'It shows that programs send several packets from a new socket at once.',
    see: ['conntrack -S'],
    mend: 'Nothing has to be done, as long as insert_failed does not grow, too.',
    judge: ({ statistics }, seconds) => {
      const clashes = grown(statistics, 'clashResolve');
      if (clashes === 0) return undefined;
      return {
        severity: 'info',
        title: `${counted(clashes, 'clash', 'clashes')} of new flows in ${duration(seconds)}, all resolved`,
        detail: ['programs send several packets from a new socket at once, as resolvers do; nothing is lost'],
      };
    },
  }),
  check({
    id: 'chains-too-long',
    reads: ['statistics'],
    mayRead: ['sysctls', 'fixedSysctls'],
    finds: 'chains of the hash table are too long for new flows, or searches have to start again often',
    means:
      'A bucket of the hash table holds so many entries that the kernel gives up (chaintoolong, since Linux 5.16) and drops the packet, or searches ' +
      'restart because entries move meanwhile (search_restart). There are too few buckets for the entries of all network namespaces, or somebody ' +
      'chooses ports so that they hash alike.',
    see: ['conntrack -S', 'sysctl net.netfilter.nf_conntrack_buckets'],
    mend: 'More buckets: as many as entries is a good number. They can be set while the machine runs, in the first network namespace.',
    judge: ({ statistics, sysctls, fixedSysctls }, seconds) => {
      const dropped = grown(statistics, 'chaintoolong');
      const restarts = grown(statistics, 'searchRestart');
      if (dropped === 0 && restarts / Math.max(seconds, 1) < 100) return undefined;
      const buckets = sysctls?.['buckets'];
      return {
        severity: dropped > 0 ? 'error' : 'info',
        title:
          dropped > 0
            ? `${counted(dropped, 'new flow was', 'new flows were')} dropped in ${duration(seconds)}: their chain is too long`
            : `searches start again ${perSecond(restarts, seconds)}: entries move meanwhile`,
        ...(buckets === undefined
          ? {}
          : { fix: [setting('buckets', 4 * buckets, fixedSysctls, `takes ${bytes(4 * buckets * BUCKET_SIZE)}`)] }),
      };
    },
  }),
  check({
    id: 'few-buckets',
    ofMachine: true,
    reads: ['counts', 'sysctls'],
    mayRead: ['slab', 'fixedSysctls'],
    finds: `there are more than ${LONG_CHAINS} entries for each bucket of the hash table`,
    means:
      'Every packet looks for its flow in a bucket of the hash table, which all network namespaces share. The more entries a bucket has, the longer ' +
      'that takes. Users see more processor time in soft interrupts, and less throughput.',
    see: ['sysctl net.netfilter.nf_conntrack_buckets', 'conntrack -C --netns all'],
    mend: 'Set net.netfilter.nf_conntrack_buckets to about the number of entries at a peak. A bucket takes 8 bytes.',
    judge: ({ counts: { last }, sysctls, slab, fixedSysctls }) => {
      const buckets = sysctls['buckets'];
      const entries = Math.max(slab?.entries ?? 0, last.entries);
      if (!buckets || entries / buckets <= LONG_CHAINS) return undefined;
      const wanted = 2 ** Math.ceil(Math.log2(entries));
      return {
        severity: 'warning',
        title: `${count(entries)} entries in ${count(buckets)} buckets: ${(entries / buckets).toFixed(1)} in each on average`,
        detail: ['every packet searches longer than it has to'],
        fix: [setting('buckets', wanted, fixedSysctls, `takes ${bytes(wanted * BUCKET_SIZE)}`)],
      };
    },
  }),
  check({
    id: 'invalid-packets',
    reads: ['statistics'],
    mayRead: ['sysctls', 'fixedSysctls'],
    finds: 'packets belong to no flow and cannot begin one',
    means:
      'The counter invalid grows: packets that the tracker of their protocol refuses, such as TCP packets outside the window, or answers of a ' +
      'connection whose first packets took another way (an asymmetric path). They are not translated, and most rulesets drop them. A few are ' +
      'ordinary: late answers to connections that have ended.',
    see: ['conntrack -S', 'sysctl -w net.netfilter.nf_conntrack_log_invalid=255', 'dmesg | grep nf_ct_proto'],
    mend:
      'Have the kernel log them for a while (log_invalid) to see which they are. If paths are asymmetric, or hardware forwards a part of the packets, ' +
      'net.netfilter.nf_conntrack_tcp_be_liberal accepts TCP packets outside the window; rules with notrack leave such traffic alone.',
    judge: ({ statistics, sysctls, fixedSysctls }, seconds) => {
      const invalid = grown(statistics, 'invalid');
      const rate = invalid / Math.max(seconds, 0.001);
      if (rate < 1) return undefined;
      const logged = (sysctls?.['log_invalid'] ?? 0) !== 0;
      return {
        severity: rate >= 10 ? 'warning' : 'info',
        title: `${counted(invalid, 'packet')} in ${duration(seconds)} (${perSecond(invalid, seconds)}) belong to no flow and cannot begin one`,
        detail: [
          'they are not translated, and most rulesets drop them: asymmetric paths, TCP outside its window, or late answers',
          logged
            ? 'the kernel logs them: dmesg | grep nf_ct_proto'
            : 'to see which they are, let the kernel log them for a while',
        ],
        fix: logged ? [] : [setting('log_invalid', 255, fixedSysctls, 'then: dmesg | grep nf_ct_proto; 0 ends it')],
      };
    },
  }),
  check({
    id: 'established-for-days',
    reads: ['counts', 'flows', 'sysctls'],
    mayRead: ['fixedSysctls'],
    finds: 'the table is more than half full, and more than a fifth of it are TCP connections idle for more than a day',
    means:
      'The kernel keeps an established TCP connection for 5 days after its last packet. Connections whose ends have vanished without a word stay so ' +
      'long. Clients behind NAT that lose their network, and load balancers that forget, leave thousands of them.',
    see: [
      "conntrack -L 'tcp and state established and timeout < 4d'",
      'sysctl net.netfilter.nf_conntrack_tcp_timeout_established',
    ],
    mend:
      'Shorten net.netfilter.nf_conntrack_tcp_timeout_established to a day, or to what RFC 5382 demands at least: 2 hours and 4 minutes. It counts ' +
      'for a flow from its next packet on; delete the old ones.',
    judge: ({ counts: { last }, flows, sysctls, fixedSysctls }): Found | undefined => {
      const { entries, maxEntries } = last;
      const timeout = sysctls['tcp_timeout_established'];
      if (!maxEntries || timeout === undefined || entries < maxEntries / 2) return undefined;
      const share = flows.flows === 0 ? 0 : flows.idleForDays / flows.flows;
      if (share <= 0.2) return undefined;
      return {
        severity: 'warning',
        title: `${count(flows.idleForDays)} TCP connections, ${percent(flows.idleForDays, flows.flows)} of the table, have been idle for more than a day`,
        detail: [`the kernel keeps them for ${duration(timeout)} after their last packet (nf_conntrack_tcp_timeout_established)`],
        fix: [
          setting('tcp_timeout_established', 86_400, fixedSysctls, 'from the next packet of each on'),
          {
            command: deletion(`tcp and state established and timeout < ${timeout - 86_400}s`),
            note: 'removes those that are idle now',
          },
        ],
      };
    },
  }),
];
