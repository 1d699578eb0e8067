// Checks of what flows do: who gets no answers, who scans, whom translated addresses do not reach.

import { count, percent } from '../units.js';
import { type CheckRow, check, type Found } from './check-row.js';
import { counted, deletion, endpoint, several } from './figures.js';
import { type FlowSurvey, type OutsideFlows, PATIENCE, type PortUse, type SourceFlows } from './flow-survey.js';
import type { SnapshotParts } from './snapshot.js';

const SCAN_FLOWS = 1000;
const SCAN_UNREPLIED = 0.9;
/** Connections to one destination without an answer that are many. */
const MANY = 20;
/** Flows to one target that are enough to judge it. */
const ENOUGH = 10;
/** Places that a finding names. */
const MOST_NAMED = 5;
/** Ports that source NAT may choose from, for a flow whose own port is not privileged: net/netfilter/nf_nat_core.c. */
const ALL_PORTS = 65_535 - 1024 + 1;
const SCARCE = 0.8;

export const TRAFFIC_CHECKS: readonly CheckRow[] = [
  check({
    id: 'scan',
    reads: ['flows'],
    finds: `one source has more than ${count(SCAN_FLOWS)} flows, and more than ${100 * SCAN_UNREPLIED} % of them are unanswered`,
    means:
      'A host that gets no answer to nearly everything it sends scans, is infected, or has lost its counterpart. Each attempt takes a place in the ' +
      'table until its timeout: 2 minutes for TCP, half a minute for UDP.',
    see: ['conntrack usage unreplied --by src', "conntrack top --by service 'src ADDRESS'"],
    mend: 'Look at where it goes. Stop it where it enters: an nft rule in the prerouting chain before connection tracking (priority raw) costs least.',
    judge: ({ flows }) => {
      const scanners = flows.sources.filter(
        (source) => source.flows > SCAN_FLOWS && source.unreplied > SCAN_UNREPLIED * source.flows,
      );
      return scanners.slice(0, MOST_NAMED).map(({ src, flows: all, unreplied }) => ({
        severity: 'warning',
        title: `${src} has ${count(all)} flows, ${percent(unreplied, all)} of them unanswered`,
        detail: [
          `a scan, or a program whose counterpart is gone: conntrack top --by service 'src ${src}'`,
          `that is ${percent(all, flows.flows)} of all flows`,
        ],
        fix: [
          { command: deletion(`src ${src} and unreplied`), note: 'frees their places; stop the source as well' },
          {
            note: 'to stop it:',
            optional: [
              'nft add table inet stop',
              "nft 'add chain inet stop first { type filter hook prerouting priority raw; }'",
              `nft add rule inet stop first ip${src.includes(':') ? '6' : ''} saddr ${src} drop`,
            ],
          },
        ],
      }));
    },
  }),
  check({
    id: 'snat-address-gone',
    reads: ['flows', 'addresses', 'routes'],
    finds: 'flows are translated to an address that this host no longer has',
    means:
      'Source NAT chose an address when the flow began, and the flow keeps it. After a new lease, a new PPP session or a failover the address is gone: ' +
      'answers go elsewhere, and flows that packets keep alive (VPNs, SIP, DNS) never recover by themselves. Masquerade forgets such flows when the ' +
      'interface goes down, snat does not.',
    see: ['ip address', 'conntrack usage --by snat', "conntrack -L --filter 'snat to ADDRESS'"],
    mend:
      'Delete the flows; the next packet begins new ones with the address of now. Have the script that sets the address do the same (hooks of dhclient, ' +
      'ppp, keepalived). If the address belongs to a network that others route to this host, all is well: then answers come, and the check is silent ' +
      'as long as there are counters.',
    judge: ({ flows, addresses, routes }) => {
      const gone = goneAddresses({ flows, addresses, routes });
      return gone.slice(0, MOST_NAMED).map(({ address, flows: all, begun }) => {
        const rule = [`nft list ruleset | grep -F ${address}`];
        const remove = {
          command: deletion(`snat to ${address}`),
          note: 'the next packet begins new flows, with the address of now',
        };
        return {
          severity: 'warning',
          title: `${counted(all, 'flow is', 'flows are')} still translated to ${address}, which this host no longer has`,
          detail: [
            'they reach nobody: answers go to that address',
            ...(begun > 0 ? [`${count(begun)} of them began during the sample: a rule still gives that address`] : []),
            'no fault if others route the network of that address to this host',
          ],
          fix:
            begun > 0
              ? [{ note: 'first change the rule, or deleted flows come back with that address:', optional: rule }, remove]
              : [remove, { note: 'if they come back, a rule still names it:', optional: rule }],
        };
      });
    },
  }),
  check({
    id: 'dnat-target-gone',
    reads: ['flows', 'failedNeighbours'],
    finds: 'flows are pinned to a target of destination NAT that does not answer',
    means:
      'Destination NAT chose a target when the flow began, and the flow keeps it, whatever rules say now. The target does not answer: its neighbour ' +
      'entry has failed, or most flows to it never had an answer. Clients that use the same port again, as UDP does, stay with it.',
    see: ['conntrack usage --by dnat', 'ip neighbour show nud failed', "conntrack -L --filter 'dnat to ADDRESS'"],
    mend: 'If the target has moved, delete its flows: the next packet is translated by the rules of now. If it is only down, start it.',
    judge: ({ flows, failedNeighbours }): Found[] => {
      const failed = new Set(failedNeighbours);
      const isSilent = (all: number, unreplied: number) => all >= ENOUGH && unreplied > 0.9 * all;
      const gone = flows.targets.filter((row) => failed.has(row.address) || isSilent(row.flows, row.unreplied));
      return gone.slice(0, MOST_NAMED).map(({ address, flows: all, unreplied }) => ({
        severity: 'warning',
        title: `${counted(all, 'flow is', 'flows are')} translated to ${address}, which does not answer`,
        detail: [
          failed.has(address)
            ? 'it does not answer on the link (ip neighbour: FAILED)'
            : `${percent(unreplied, all)} of them never had an answer`,
          'the flows keep this target, whatever the rules say now',
        ],
        fix: [
          {
            command: deletion(`dnat to ${address}`),
            note: 'if the target has moved: the next packet takes the new one',
          },
        ],
      }));
    },
  }),
  check({
    id: 'one-way-udp',
    reads: ['flows'],
    mayRead: ['addresses', 'routes'],
    finds: 'UDP packets keep a flow alive to which nothing ever came back',
    means:
      'The sender goes on, nothing comes back, and each packet renews the flow. As long as it lives, the flow keeps the translation that it began ' +
      'with, even if rules, routes or addresses have changed since: SIP registrations, tunnels and DNS forwarders are stuck that way for days. ' +
      'Protocols that never answer, such as syslog and NetFlow, look the same; for those it means nothing. Flows that snat-address-gone tells are ' +
      'not told again.',
    see: ["conntrack -L --filter 'udp and unreplied'", 'conntrack top udp and unreplied'],
    mend:
      'Delete the flows: the next packet begins new ones, with the rules and routes of now. If they come back, they were not stuck: the other end or ' +
      'the way to it does not answer. For protocols that never answer, use --except one-way-udp.',
    judge: ({ flows, addresses, routes }) => {
      const broadcasts = new Set(addresses?.broadcast);
      const scanners = new Set(scannersIn(flows).map(({ src }) => src)); // theirs is another finding
      const lost = new Set(addresses && routes && goneAddresses({ flows, addresses, routes }).map(({ address }) => address));
      const rows = flows.oneWay.flatMap((row) => {
        if (broadcasts.has(row.dst) || scanners.has(row.src)) return [];
        const told = row.outside !== undefined && lost.has(row.outside) ? row.foreign : 0; // by snat-address-gone
        return row.flows > told ? [{ ...row, flows: row.flows - told, translated: row.translated - told }] : [];
      });
      return rows.slice(0, MOST_NAMED).map(({ dst, dport, flows: all, translated, young, src }) => {
        const remove = deletion(`udp and unreplied and dst ${dst} and dst port ${dport}`);
        const from = all === 1 ? `from ${src}` : `one of them from ${src}`;
        const look = [`tcpdump -ni any host ${dst} and udp port ${dport}`];
        // What has just begun has the translation of the rules of now: to delete it helps nobody.
        const isYoung = young >= all;
        return {
          severity: translated > 0 ? 'warning' : 'info',
          title: `${counted(all, 'UDP flow goes', 'UDP flows go')} on to ${endpoint(dst, dport)}, and nothing ever came back`,
          detail: [
            isYoung
              ? `${from}; ${all === 1 ? 'it' : 'all'} began less than ${PATIENCE} seconds ago: the other end, or the way to it, does not answer`
              : `${from}; each packet renews the flow, and with it the ${translated > 0 ? 'translation' : 'lack of translation'} that it began with`,
            'no fault if the protocol never answers, as syslog',
          ],
          fix: isYoung
            ? [
                { note: 'to see whether packets leave, and whether answers arrive:', optional: look },
                { note: 'only if rules or addresses changed since they began:', optional: [remove] },
              ]
            : [
                { command: remove, note: 'the next packet begins a new flow, with the rules of now' },
                { note: 'if they come back, the other end or the way to it does not answer:', optional: look },
              ],
        };
      });
    },
  }),
  check({
    id: 'unanswered-syns',
    reads: ['flows'],
    finds: `TCP connections have no answer for more than 30 seconds, or ${MANY} to one destination`,
    means:
      'The first packet of the connection (SYN) passed here, and nothing came back: the service is down, a firewall behind drops it, or answers take ' +
      'another way. Users see connections that hang until they time out.',
    see: ["conntrack -L --filter 'tcp and state syn-sent'", "conntrack usage 'tcp and state syn-sent' --by dst"],
    mend:
      'See whether the packets leave (tcpdump on the outer interface) and whether answers come back to this host. Answers that come another way belong ' +
      'to no flow here: the path is asymmetric.',
    judge: ({ flows }) => {
      const rows = flows.unanswered.filter((row) => row.old > 0 || row.flows >= MANY);
      if (rows.length === 0) return undefined;
      const scanned = rows.filter((row) => row.flows >= MANY);
      const all = rows.reduce((sum, row) => sum + row.flows, 0);
      const old = rows.reduce((sum, row) => sum + row.old, 0);
      const to = rows.map(({ dst, dport, flows: own }) => `${endpoint(dst, dport)} (${count(own)})`);
      return {
        severity: scanned.length > 0 ? 'warning' : 'info',
        title: `${counted(all, 'TCP connection waits', 'TCP connections wait')} for a first answer${old > 0 ? `, ${count(old)} for more than 30 seconds` : ''}`,
        detail: [
          `to ${several(to, MOST_NAMED)}`,
          'the service is down, something drops the packets, or answers take another way',
        ],
        fix: [
          {
            note: 'to see whether they leave and return:',
            optional: [`tcpdump -ni any host ${rows[0]!.dst} and tcp port ${rows[0]!.dport}`],
          },
        ],
      };
    },
  }),
  check({
    id: 'snat-ports-scarce',
    reads: ['flows'],
    finds: `more than ${100 * SCARCE} % of the ports of an outside address are in use for one remote address and port`,
    means:
      'Every flow to the same remote address and port needs a port of its own at the outside address. When all are taken, further connections to that ' +
      'place are dropped (insert_failed or drop of conntrack -S), while everything else works. Many clients of one popular service behind one ' +
      'address get there, the more so if the rule gives a range of ports.',
    see: ['conntrack usage --by snat', "conntrack usage 'snat to ADDRESS' --by pair"],
    mend: 'Give the rule more outside addresses or more ports, shorten timeouts (TIME_WAIT is 2 minutes), or have clients keep connections.',
    judge: ({ flows }): Found[] =>
      flows.ports
        .flatMap((use): Found[] => {
          const range = rangeOf(use);
          if (use.ports <= SCARCE * range.size) return [];
          const { address, protonum, ports, moved, lowest, highest } = use;
          const family = address.includes(':') ? 'ip6' : 'ip';
          return [
            {
              severity: ports >= 0.95 * range.size ? 'error' : 'warning',
              title: `${count(ports)} of ${count(range.size)} ports of ${address} are in use for ${endpoint(use.dst, use.dport)}`,
              detail: [
                range.guessed
                  ? `the rule seems to give ports ${lowest} to ${highest}: ${percent(moved, ports)} of the flows came with another port`
                  : 'all ports from 1024 on count',
                'when all are taken, further connections to that place are dropped',
              ],
              fix: [
                {
                  note: 'give the rule more addresses or ports; its handle, and then, with its own names and conditions:',
                  optional: [
                    'nft -a list ruleset',
                    `nft replace rule ${family} nat CHAIN handle HANDLE CONDITIONS meta l4proto ${protonum} snat to ${endpoint(address, 1024)}-65535`,
                  ],
                },
              ],
            },
          ];
        })
        .slice(0, MOST_NAMED),
  }),
  check({
    id: 'offload-without-counters',
    reads: ['flows'],
    finds: 'flows are offloaded, and their counters stand still',
    means:
      'A flowtable forwards these flows past the rules, in software or in a network card, and tells connection tracking nothing of packets and bytes. ' +
      'Rates and sums of them are missing everywhere.',
    see: ['conntrack -L --filter offload', 'nft list flowtables'],
    mend: 'Add the word counter to the flowtable (Linux 5.7): flowtable f { hook ingress priority 0; devices = { … }; counter; }.',
    judge: ({ flows: { offloaded, standing } }) =>
      standing > 0 && standing >= offloaded / 2
        ? {
            severity: 'info',
            title: `${counted(standing, 'offloaded flow has', 'offloaded flows have')} counters that stand still`,
            detail: [`of ${counted(offloaded, 'offloaded flow')}; what they carry is told nowhere`],
            fix: [{ note: 'add "counter" to the flowtable:', optional: ['nft list flowtables'] }],
          }
        : undefined,
  }),
];

/** Outside addresses that this host does not have, and from which nothing comes back. */
function goneAddresses({ flows, addresses, routes }: Pick<SnapshotParts, 'flows' | 'addresses' | 'routes'>): OutsideFlows[] {
  const own = new Set(addresses.own);
  return flows.outside.filter(
    ({ address, answered }) =>
      !own.has(address) && routes[address] !== undefined && routes[address] !== 'local' && answered !== true,
  );
}

/** Sources that get no answers. */
function scannersIn({ sources }: FlowSurvey): readonly SourceFlows[] {
  return sources.filter(({ flows, unreplied }) => flows > SCAN_FLOWS && unreplied > SCAN_UNREPLIED * flows);
}

/** The ports that a rule may choose from. If nearly all flows got another port than they came with, the rule gives a range. */
function rangeOf({ ports, moved, lowest, highest }: PortUse): { readonly size: number; readonly guessed: boolean } {
  const seen = highest - lowest + 1;
  const guessed = moved > 0.8 * ports && seen < ALL_PORTS / 4;
  return { size: guessed ? seen : ALL_PORTS, guessed };
}
