// The systemd unit that `conntrack record --print-unit` prints.

/** What the unit runs. */
export interface RecordUnit {
  readonly directory: string;
  /** The command line, without the program. */
  readonly words: readonly string[];
  readonly program: string;
  /** It enters other network namespaces: that takes much more. */
  readonly namespaces: boolean;
}

export function recordUnit({ directory, words, program, namespaces }: RecordUnit): string {
  const capabilities = `CAP_NET_ADMIN${namespaces ? ' CAP_SYS_ADMIN CAP_SYS_PTRACE' : ''}`;
  const state = /^\/var\/lib\/[^/]+$/.test(directory)
    ? `StateDirectory=${directory.slice('/var/lib/'.length)}\nStateDirectoryMode=0750`
    : `ReadWritePaths=${directory}`;
  return `# conntrack record: every flow, a row for each life. Made by conntrack record --print-unit.
# User and group: systemd-sysusers with the line  u conntrack - "Connection tracking" ${directory}
[Unit]
Description=Record of the connection tracking table
After=network-pre.target

[Service]
Type=notify
WatchdogSec=30
# Without ProtectClock=, which forbids even to ask how well the clock is kept.
# Times and counters that only the kernel knows; they hold for flows that begin from then on.
ExecStartPre=+/sbin/sysctl -q -w net.netfilter.nf_conntrack_timestamp=1 net.netfilter.nf_conntrack_acct=1
ExecStart=${[program, 'record', ...words].map(unitWord).join(' ')}
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=2
User=conntrack
Group=conntrack
UMask=0027
${state}
AmbientCapabilities=${capabilities}
CapabilityBoundingSet=${capabilities}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=${namespaces ? 'default' : 'invisible'}
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
PrivateTmp=yes
PrivateDevices=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_NETLINK AF_UNIX
RestrictNamespaces=${namespaces ? 'net' : 'yes'}
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# Files are made fast to search at a lower priority, and the clock is asked how well it is kept.
SystemCallFilter=setpriority adjtimex clock_adjtime${namespaces ? ' @mount setns' : ''}
SystemCallErrorNumber=EPERM
IPAddressDeny=any
MemoryMax=512M
TimeoutStopSec=60

[Install]
WantedBy=multi-user.target
`;
}

/** A word for ExecStart=. */
export function unitWord(word: string): string {
  const escaped = word.replace(/[\\"$%]/g, (c) => (c === '$' || c === '%' ? c + c : `\\${c}`));
  return /^[\w./:=+,@%$-]+$/.test(word) ? escaped : `"${escaped}"`;
}
