// The systemd units that `conntrack agent --print-unit` and `conntrack collector --print-unit` print.

/** What a unit runs. */
interface Service {
  readonly word: 'agent' | 'collector';
  readonly about: string;
  readonly description: string;
  /** The command line, each word as a unit has it. */
  readonly words: readonly string[];
  /** Path of the seed: the service manager hands it over, so that only root can read its file. */
  readonly seed: string | undefined;
  /** Lines about what it may read and write. */
  readonly places: readonly string[];
  readonly capabilities: readonly string[];
  /** It enters other network namespaces. */
  readonly namespaces: boolean;
  readonly families: string;
  readonly memory: string;
  /** Seconds that it has to end. */
  readonly stopping: number;
}

/** What the unit of an agent runs. */
export interface AgentUnit extends Pick<Service, 'words' | 'seed' | 'namespaces'> {
  /** Directory of the record that it answers from. */
  readonly history: string | undefined;
}

export function agentUnit({ history, namespaces, ...rest }: AgentUnit): string {
  return unit({
    ...rest,
    word: 'agent',
    about: 'answers questions about the table of this host',
    description: 'Agent of the fleet for the connection tracking table',
    places: history === undefined ? [] : [`ReadWritePaths=${history}`],
    capabilities: ['CAP_NET_ADMIN', ...(namespaces ? ['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE'] : [])],
    namespaces,
    families: 'AF_NETLINK AF_UNIX AF_INET AF_INET6',
    memory: '512M',
    stopping: 15,
  });
}

/** What the unit of a collector runs. */
export interface CollectorUnit extends Pick<Service, 'words' | 'seed'> {
  readonly directory: string;
}

export function collectorUnit({ directory, ...rest }: CollectorUnit): string {
  return unit({
    ...rest,
    word: 'collector',
    about: 'keeps copies of the records of a fleet',
    description: 'Copies of the records of the fleet',
    places: /^\/var\/lib\/[^/]+$/.test(directory)
      ? [`StateDirectory=${directory.slice('/var/lib/'.length)}`, 'StateDirectoryMode=0750']
      : [`ReadWritePaths=${directory}`],
    capabilities: [],
    namespaces: false,
    families: 'AF_UNIX AF_INET AF_INET6',
    memory: '1G',
    stopping: 60,
  });
}

function unit(service: Service): string {
  const { word, about, description, words, seed, places, capabilities, namespaces, families, memory, stopping } = service;
  const lines = [...(seed === undefined ? [] : [`LoadCredential=seed:${seed}`]), ...places];
  return `# conntrack ${word}: ${about}. Made by conntrack ${word} --print-unit.
# User and group: systemd-sysusers with the line  u conntrack - "Connection tracking"
[Unit]
Description=${description}
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
WatchdogSec=30
ExecStart=${words.join(' ')}
Restart=always
RestartSec=5
# A wrong command line stays wrong.
RestartPreventExitStatus=2
User=conntrack
Group=conntrack
${lines.map((line) => `${line}\n`).join('')}AmbientCapabilities=${capabilities.join(' ')}
CapabilityBoundingSet=${capabilities.join(' ')}
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
UMask=${word === 'collector' ? '0027' : '0077'}
RestrictAddressFamilies=${families}
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
${namespaces ? '' : 'RestrictNamespaces=yes\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\n'}SystemCallArchitectures=native
MemoryMax=${memory}
TimeoutStopSec=${stopping}

[Install]
WantedBy=multi-user.target
`;
}
