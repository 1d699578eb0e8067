// The systemd unit that `conntrack agent --print-unit` prints.

/** What the unit runs. */
export interface AgentUnit {
  /** The command line, each word as a unit has it. */
  readonly words: readonly string[];
  /** Path of the seed: the service manager hands it to the agent. */
  readonly seed: string | undefined;
  /** It enters other network namespaces: that takes much more. */
  readonly namespaces: boolean;
  /** Directory of the record that it answers from. */
  readonly history: string | undefined;
}

export function agentUnit({ words, seed, namespaces, history }: AgentUnit): string {
  const capabilities = `CAP_NET_ADMIN${namespaces ? ' CAP_SYS_ADMIN CAP_SYS_PTRACE' : ''}`;
  return `# conntrack agent: answers questions about the table of this host. Made by conntrack agent --print-unit.
# User and group: systemd-sysusers with the line  u conntrack - "Connection tracking"
[Unit]
Description=Agent of the fleet for the connection tracking table
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=${words.join(' ')}
Restart=always
RestartSec=5
# A wrong command line stays wrong.
RestartPreventExitStatus=2
User=conntrack
Group=conntrack
${seed === undefined ? '' : `LoadCredential=seed:${seed}\n`}${history === undefined ? '' : `ReadWritePaths=${history}\n`}AmbientCapabilities=${capabilities}
CapabilityBoundingSet=${capabilities}
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
UMask=0077
RestrictAddressFamilies=AF_NETLINK AF_UNIX AF_INET AF_INET6
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
${namespaces ? '' : 'RestrictNamespaces=yes\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\n'}SystemCallArchitectures=native
MemoryMax=512M
TimeoutStopSec=15

[Install]
WantedBy=multi-user.target
`;
}
