// The words: commands that are not letters, such as `conntrack help`. One row each; dispatch, help, manual page and completions read the
// rows. The file of the same name in this folder (`help.ts` for `help`) runs the word, in its own bundle.

/**
 * What the operands of a word are, and so how a shell completes them. `expression`: a filter, in one text or in words, which blanks join.
 */
export type OperandKind = 'topic' | 'expression' | 'address';

/** An option of a word, under its long name. */
export interface WordOptionRow {
  /** Its letter. */
  readonly short?: string;
  /** The name of its value, such as `NUMBER`; a switch has none. */
  readonly value?: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** May be given several times. */
  readonly repeated?: boolean;
  /** One line. */
  readonly help: string;
}

/** A word. */
export interface WordRow {
  /** Lower-case letters and hyphens. */
  readonly name: string;
  /** What follows it, in the synopsis. */
  readonly synopsis: string;
  /** One line. */
  readonly help: string;
  /** Paragraphs for the word's own help. */
  readonly about: readonly string[];
  /** By long name, without dashes. `--help` and `-h` are every word's. */
  readonly options: Readonly<Record<string, WordOptionRow>>;
  /** What may follow the options; if absent, nothing. Without `most` there may be any number. */
  readonly operands?: { readonly kind: OperandKind; readonly most?: number };
  /** What the first operand must be; the expression follows it. */
  readonly verbs?: readonly string[];
  /** Exit status when it fails, if not 1. */
  readonly failureStatus?: number;
  /** For programs: neither help, manual page nor completions list it. */
  readonly unlisted?: true;
  /** Command lines without the program's name, and what they do. */
  readonly examples: readonly (readonly [string, string])[];
}

const GROUPS = {
  by: {
    value: 'KEY',
    help: 'Groups: src, dst, src/24, pair, service, protocol, state, family, zone, mark, label, helper, snat, dnat, netns.',
  },
  sort: { value: 'KEY', help: 'Order: flows, average, rate, bytes, packets, unreplied and others; the largest first.' },
  reverse: { help: 'The other way round.' },
} as const satisfies WordRow['options'];

const LABELS = { value: 'FILE', help: 'Names of labels; default /etc/xtables/connlabel.conf.' } as const satisfies WordOptionRow;

const RECORD = {
  dir: { value: 'DIR', repeated: true, help: 'Where the record is; default /var/lib/conntrack.' },
} as const satisfies WordRow['options'];

const NETNS = { value: 'WHERE', help: 'The table of this network namespace, or all of them.' } as const satisfies WordOptionRow;

const PAST_QUESTION = {
  at: { value: 'TIME', help: 'When.' },
  protocol: { value: 'NAME', help: 'Only this protocol, by name or number.' },
  to: { value: 'ADDRESS[:PORT]', help: 'Only with this other side: who had the port towards it.' },
  within: { value: 'TIME', help: 'Look so long before and after as well: 2s, 500ms.' },
  zone: { value: 'NUMBER', help: 'Only in this zone.' },
  'no-follow': { help: 'Do not follow further translations on the same host.' },
} as const satisfies WordRow['options'];

const SERVERS = {
  nats: { value: 'URL,...', repeated: true, help: 'Servers: nats://HOST:PORT, tls://HOST:PORT; default nats://127.0.0.1.' },
  seed: { value: 'FILE', help: 'The seed of the key; nobody else may read the file.' },
  ca: { value: 'FILE', help: "Certificates of authorities in PEM, if not the system's." },
  insecure: { help: 'Connect to other machines without TLS or a key.' },
  config: { value: 'FILE', help: 'Read this instead of /etc/conntrack/fleet.json and ~/.config/conntrack/fleet.json.' },
} as const satisfies WordRow['options'];

const PRINT_UNIT = { help: 'Print a unit for systemd with these options, and end.' } as const satisfies WordOptionRow;

const statusPages = (example: string): WordOptionRow => ({
  value: 'WHERE',
  help: `Answer /healthz, /readyz and /metrics at ADDRESS:PORT or unix:PATH, such as ${example}.`,
});

/** What `conntrack fleet` can do, in the order of its help. */
export const FLEET_VERBS = [
  'hosts',
  'collectors',
  'list',
  'count',
  'has',
  'get',
  'top',
  'stats',
  'whohad',
  'history',
  'events',
  'delete',
  'update',
  'log',
  'tail',
  'doctor',
  'setup',
  'auth',
] as const;

/** The words that a user may want, in the order of the help. */
export function words(): readonly WordRow[] {
  return everyWord().filter((row) => !row.unlisted);
}

/** Every word. A function, so that letters do not pay for it when they start. */
export function everyWord(): readonly WordRow[] {
  return [
    {
      name: 'help',
      synopsis: '[WORD | COMMAND | PROTOCOL | expect]',
      help: 'Show help on everything, or on one word, command, protocol or table.',
      about: ['A command is named by its letter or its long name, with or without dashes: L, -L, dump and --dump are the same.'],
      options: {},
      operands: { kind: 'topic', most: 1 },
      examples: [
        ['help', 'everything at a glance'],
        ['help update', 'what -U takes'],
        ['help tcp', 'options of TCP entries'],
      ],
    },
    {
      name: 'top',
      synopsis: '[EXPRESSION...] [OPTIONS]',
      help: 'Show who talks, how fast, and who fills the table: live, until q.',
      about: [
        'What the expression says of addresses, ports and protocols is the scope: the kernel sends no other flows, which makes lists cheaper. ' +
          'The keys are told by ?. Without a terminal, or with --once or --batch, it prints samples.',
        'Exit status: 0; 1 after a failure; 2 for a wrong command line; 3 when a network namespace failed.',
      ],
      options: {
        ...GROUPS,
        'min-rate': { value: 'RATE', help: 'Only flows of at least so many bits per second on average: 1M.' },
        every: { value: 'SECONDS', help: 'Pause between lists, at least 0.5; default 2. A large table takes longer.' },
        share: { value: 'PERCENT', help: 'Share of one processor that lists may take; default 25.' },
        netns: NETNS,
        labelmap: LABELS,
        history: { value: 'DIR', help: 'Where the record is that p reads; default /var/lib/conntrack.' },
        'read-only': { help: 'Nothing can be deleted.' },
        once: { help: 'Print one sample with rates, and end.' },
        batch: { help: 'Print samples until the end of the reader.' },
        samples: { value: 'NUMBER', help: 'Print so many samples; implies --batch.' },
        limit: { value: 'NUMBER', help: 'Print so many rows of each sample; default 20.' },
        output: { short: 'o', value: 'FORMAT', choices: ['text', 'ndjson'], help: 'Print text or ndjson; implies --once.' },
        ascii: { help: 'No characters but ASCII.' },
        color: {
          value: 'WHEN',
          choices: ['auto', 'always', 'never'],
          help: 'Use colours: auto, always or never. NO_COLOR is heeded.',
        },
        'no-mouse': { help: 'Leave the mouse to the terminal.' },
      },
      operands: { kind: 'expression' },
      examples: [
        ['top', 'everything, the fastest flows first'],
        ['top --by src', 'who has most flows'],
        ["top 'tcp and dst port 443'", 'one service'],
        ['top --once --by service -o ndjson', 'for programs'],
      ],
    },
    {
      name: 'usage',
      synopsis: '[EXPRESSION...] [OPTIONS]',
      help: 'Print who has how many flows, from one list: for scripts.',
      about: [
        'Exit status: 0; 1 when the table is fuller than --fail-above; 2 when it is fuller than --critical-above, and for a wrong command ' +
          'line; 3 when nothing could be measured.',
      ],
      options: {
        ...GROUPS,
        limit: { value: 'NUMBER', help: 'Print so many groups; default 20.' },
        over: { value: 'SECONDS', help: 'Look on for so long, at least 0.5, and print rates.' },
        'fail-above': { value: 'PERCENT', help: 'Exit with 1 if more of the table is in use.' },
        'critical-above': { value: 'PERCENT', help: 'Exit with 2 if more of the table is in use.' },
        netns: NETNS,
        labelmap: LABELS,
        output: { short: 'o', value: 'FORMAT', choices: ['text', 'json'], help: 'Print text or json.' },
      },
      operands: { kind: 'expression' },
      failureStatus: 3,
      examples: [
        ['usage --by src/24 --limit 5', 'the networks with most flows'],
        ['usage unreplied --by src', 'who gets no answers: scans'],
        ['usage --over 5 --by service', 'which service has most bandwidth'],
        ['usage --fail-above 80 --critical-above 95', 'for Nagios and its kin'],
      ],
    },
    {
      name: 'serve',
      synopsis: '[EXPRESSION...] [OPTIONS]',
      help: 'Serve a live page, an API and metrics of the table.',
      about: [
        'It listens on this machine only, unless told otherwise, and everybody needs a token: that of a file, or one that it makes and tells on ' +
          'the terminal. Nothing can be deleted without --allow-changes. Started as root, it gives up all rights but that to the table.',
        'What the expression says of addresses, ports and protocols is the scope: no other flows are served.',
      ],
      options: {
        listen: { value: 'WHERE', repeated: true, help: 'ADDRESS:PORT or unix:PATH; default 127.0.0.1:8466.' },
        'allow-changes': { help: 'Flows can be deleted, by those with the token of --token-file.' },
        'token-file': { value: 'FILE', help: 'A token of at least 22 characters; the file must be readable by its owner only.' },
        'read-token-file': { value: 'FILE', help: 'A token that may only read.' },
        'no-auth': { help: 'No token: only on this machine.' },
        'tls-cert': { value: 'FILE', help: 'Certificates in PEM, with --tls-key.' },
        'tls-key': { value: 'FILE', help: 'The private key in PEM.' },
        'plain-http': { help: 'Listen on other addresses without TLS.' },
        host: { value: 'NAME', repeated: true, help: 'A name under which it is asked, such as that of a proxy.' },
        'trust-proxy': { value: 'WHO', repeated: true, help: 'A proxy that tells who asks: an address, a network, or unix.' },
        'base-path': { value: 'PATH', help: 'What precedes all paths, such as /ct.' },
        'metrics-only': { help: 'Nothing but metrics and health: no page, no API.' },
        'metrics-open': { help: 'Metrics need no token.' },
        'metrics-top': { value: 'BY=NUMBER', repeated: true, help: 'The largest groups have metrics, too: src=20, service=10.' },
        netns: NETNS,
        history: { value: 'DIR', help: 'A record of conntrack record, for the past of a flow and of a minute.' },
        every: { value: 'SECONDS', help: 'Pause between lists, at least 0.5; default 2, with --metrics-only 10.' },
        share: { value: 'PERCENT', help: 'Share of one processor that lists may take; default 25.' },
        'max-streams': { value: 'NUMBER', help: 'Pages and programs that may follow at the same time; default 64.' },
        user: { value: 'NAME', help: 'Who it becomes when root starts it; default nobody.' },
        check: { help: 'Check options, files and rights, and end.' },
        log: { value: 'FORMAT', choices: ['text', 'json'], help: 'Write the log as text or json.' },
      },
      operands: { kind: 'expression' },
      examples: [
        ['serve', 'a page for this machine'],
        ['serve --allow-changes --token-file /etc/conntrack/token', 'flows can be deleted'],
        ['serve --listen unix:/run/conntrack/sock', 'behind a reverse proxy'],
        ['serve --listen 0.0.0.0:8466 --tls-cert c.pem --tls-key k.pem', 'for others'],
        ['serve --metrics-only --metrics-open', 'an exporter for a Prometheus on this machine'],
      ],
    },
    {
      name: 'record',
      synopsis: '[EXPRESSION...] --keep TIME [OPTIONS] | status | flush | verify',
      help: 'Record every flow, a row for each life, for whohad and history.',
      about: [
        'The record is a directory with a file of SQLite for each day. What events were lost, what began before, and when nothing was recorded ' +
          'is part of it. It runs until a signal; SIGHUP begins a new file.',
        'status says what a recorder does, flush makes it write what it knows, verify whether sealed files are what they were.',
        'Exit status: 0; 1 after a failure; 2 for a wrong command line; 3 when there was a gap; 4 when another recorder has the directory.',
      ],
      options: {
        keep: { value: 'TIME', help: 'How long records are kept: 180d, or forever. It must be given.' },
        dir: { value: 'DIR', help: 'Where the record is; default /var/lib/conntrack.' },
        netns: NETNS,
        'max-size': { value: 'SIZE', help: 'Delete the oldest files when all take more: 50G.' },
        'min-free': { value: 'PERCENT', help: 'Delete the oldest files when less of the disk is free; default 5%.' },
        sync: { value: 'TIME', help: 'Pause between commits, or none: do not wait for the disk; default 1s.' },
        checkpoint: { value: 'TIME', help: 'Age at which a flow that lives is kept; default 10s.' },
        reconcile: { value: 'TIME', help: 'Pause between comparisons with the table; default 10m.' },
        'segment-rows': { value: 'NUMBER', help: 'Records in a file; default 4000000.' },
        'segment-age': { value: 'TIME', help: 'Age of a file; default 1d, until midnight (UTC).' },
        'no-destination': { help: 'Leave out whom flows went to.' },
        with: { value: 'WHAT', choices: ['id'], help: "Record the kernel's identifiers (id), too." },
        'buffer-size': { value: 'SIZE', help: 'Receive buffer for events; default 16M.' },
        metrics: { value: 'FILE', help: 'Write metrics to this file, for node_exporter.' },
        'on-seal': { value: 'COMMAND', help: 'Run this with the path of each file that is complete.' },
        user: { value: 'NAME', help: 'Become this user, and keep only the rights that are needed.' },
        for: { value: 'TIME', help: 'End after this time.' },
        'print-unit': PRINT_UNIT,
        known: { value: 'SHA256', help: 'Of verify: a hash that it printed once must still be in the manifest.' },
        output: { short: 'o', value: 'FORMAT', choices: ['text', 'json'], help: 'Of status, flush and verify: text or json.' },
      },
      operands: { kind: 'expression' },
      examples: [
        ['record --keep 180d', 'everything, for half a year'],
        ["record --keep 30d 'src 100.64.0.0/10'", 'the flows of subscribers'],
        ['record status', 'what the recorder does'],
      ],
    },
    {
      name: 'seal-record',
      synopsis: 'FILE',
      help: 'Make a file of a record fast to search.',
      about: [],
      options: {},
      operands: { kind: 'topic', most: 1 },
      unlisted: true,
      examples: [],
    },
    {
      name: 'whohad',
      synopsis: 'ADDRESS[:PORT] | ADDRESS PORT | NETWORK --at TIME [OPTIONS]',
      help: 'Say who had an address and port at a time, from a record.',
      about: [
        'TIME is RFC 3339 with its offset from UTC, such as 2026-03-01T14:32:15Z or 2026-03-01T15:32:15+01:00, or now, or 15m-ago. ' +
          'Without a fraction it is that whole second.',
        'A match is certain, possible (what is known of its beginning and end allows it), or near (only --within finds it).',
        'Exit status: 0: somebody; 1: nobody; 2: a wrong command line; 3: the record is not complete at that time, whether somebody was ' +
          'found or not; 4: there is no record that can be read.',
      ],
      options: {
        ...PAST_QUESTION,
        netns: { value: 'NAME', help: 'Only in this network namespace of the record.' },
        ...RECORD,
        output: { short: 'o', value: 'FORMAT', choices: ['text', 'json'], help: 'Print text or json.' },
      },
      operands: { kind: 'address', most: 2 },
      failureStatus: 4,
      examples: [
        ['whohad 203.0.113.50:32768 --at 2026-03-01T14:32:15Z', 'who had that port'],
        ['whohad 203.0.113.50:32768 --at 2026-03-01T14:32:15Z --to 198.51.100.7:443', 'if several had it'],
        ["whohad '[2001:db8::1]:443' --at 15m-ago --protocol tcp", 'IPv6'],
        ['whohad 203.0.113.50 --at 2026-03-01T14:32:15Z', 'everybody behind that address'],
      ],
    },
    {
      name: 'history',
      synopsis: '[top] [EXPRESSION...] | gaps | segments | forget ADDRESS --reason TEXT | import FILE [OPTIONS]',
      help: 'List flows of the past, from a record.',
      about: [
        'Flows that lived at some moment from --from to before --to, in the order of the record, which is nearly that of their ends; those that live come last, marked [OPEN]. ' +
          'Times are as those of whohad.',
        'history top sums up the flows that ended in that time. history gaps lists what is missing, and why; history segments the files.',
        'history forget takes out the records whose source or real destination is an address or in a network; it needs the right to write.',
        'history import makes a record of what -o ndjson or csv printed elsewhere, in a directory of its own; it is never certain.',
        'The form nat-log has a line for each flow with a translated source.',
        'Exit status: 0; 1 after a failure; 2 for a wrong command line; with --strict 3 if the record has gaps in that time.',
      ],
      options: {
        from: { value: 'TIME', help: 'What ended before is left out.' },
        to: { value: 'TIME', help: 'What began then or later is left out.' },
        limit: { value: 'NUMBER', help: 'Print so many at most.' },
        by: { value: 'KEY', help: 'Groups of top: src, dst, snat, service, protocol.' },
        sort: { value: 'KEY', help: 'Order of top: bytes, flows, packets; the largest first.' },
        reverse: { help: 'The smallest first.' },
        'newest-first': { help: 'Those that live, then the last to end.' },
        netns: { value: 'NAME', help: 'Only of this network namespace of the record.' },
        strict: { help: 'Exit with 3 if the record has gaps in that time.' },
        reason: { value: 'TEXT', help: 'Of forget: why. The manifest keeps it.' },
        ...RECORD,
        output: {
          short: 'o',
          value: 'FORMAT',
          choices: ['text', 'json', 'ndjson', 'csv', 'nat-log', 'parquet'],
          help: 'Print text, json, ndjson, csv, nat-log or parquet.',
        },
      },
      operands: { kind: 'expression' },
      examples: [
        ['history src 10.1.4.22 --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z', 'the day of a subscriber'],
        ["history 'tcp and dst port 25' --from 1h-ago --newest-first --limit 20", 'who sent mail'],
        ['history snat --from 24h-ago -o nat-log', 'for programs that read such lines'],
        ['history -o parquet --from 24h-ago > day.parquet', 'for DuckDB, Spark, pandas'],
        ['history top --by src --from 24h-ago', 'who had most of a day'],
        ['history gaps --from 24h-ago', 'what is missing of a day'],
        ["history forget 100.64.3.7 --to 2026-03-01T00:00:00Z --reason 'request 17'", 'take out the records of somebody'],
      ],
    },
    {
      name: 'doctor',
      synopsis: '[OPTIONS]',
      help: 'Look for what is wrong: a full table, lost events, dead translations.',
      about: [
        'It takes two samples and prints what it finds, the worst first, with commands that mend it, and what was fine. It changes nothing.',
        'Exit status: 0 when nothing is worse than info; 1 with a warning or an error; 2 for a wrong command line; 3 when something could not ' +
          'be checked.',
      ],
      options: {
        sample: { value: 'DURATION', help: 'Time between the samples, such as 5s; default 2s. Forecasts are better with more.' },
        only: { value: 'ID,...', repeated: true, help: 'Only these checks.' },
        except: { value: 'ID,...', repeated: true, help: 'Not these checks.' },
        fixes: { help: 'Print only what mends the findings, as a script.' },
        list: { help: 'Show every check and what it reads.' },
        netns: NETNS,
        output: { short: 'o', value: 'FORMAT', choices: ['text', 'json'], help: 'Print text or json.' },
      },
      failureStatus: 3,
      examples: [
        ['doctor', 'this machine'],
        ['doctor --netns all --except events-auto', 'all network namespaces'],
        ['doctor --fixes', 'a script to read before you run it'],
        ['doctor --only table-full,table-nearly-full', 'for monitoring'],
      ],
    },
    {
      name: 'explain',
      synopsis: "EXPRESSION... | ID | 'PROTOCOL SRC:PORT > DST:PORT' [OPTIONS]",
      help: 'Say what a flow is, in words, and what is wrong with it.',
      about: [
        'The first flows that match are explained, the others counted. What cannot be known is said to be unknown. A flow that nothing came back ' +
          'for is looked at twice, which takes a second.',
        'Exit status: 0; 1 when no flow matches, or after a failure; 2 for a wrong command line; 3 when a network namespace failed.',
      ],
      options: {
        limit: { value: 'NUMBER', help: 'Explain so many flows; default 5.' },
        netns: NETNS,
        output: { short: 'o', value: 'FORMAT', choices: ['text', 'json'], help: 'Print text or json.' },
      },
      operands: { kind: 'expression' },
      examples: [
        ["explain 'tcp 10.1.4.22:51514 > 142.250.74.46:443'", 'one connection'],
        ['explain 2847193022', 'by its id, as -o id prints it'],
        ["explain 'udp and unreplied' --limit 1", 'by a filter'],
      ],
    },
    {
      name: 'agent',
      synopsis: '[OPTIONS]',
      help: 'Answer questions about the table of this host, for conntrack fleet.',
      about: [
        'It connects to NATS servers, says every 15 seconds that it is there, and answers until a signal ends it. It changes nothing without --allow. On a server ' +
          'of this machine that needs no keys, nothing else has to be prepared; elsewhere TLS and a key are needed: docs/fleet.md.',
        'Exit status: 0 after a signal; 1 after a failure; 2 for a wrong command line; 4 when another agent has the name.',
      ],
      options: {
        ...SERVERS,
        name: { value: 'HOST', help: 'The name of this host in the fleet; default: its host name, up to the first dot.' },
        site: { value: 'SITE', help: 'Where it is; default default.' },
        netns: NETNS,
        history: { value: 'DIR', help: 'Answer whohad and history from the record in this directory.' },
        allow: { value: 'WHAT,...', repeated: true, help: 'Let flows be changed: delete, update. Each request is signed.' },
        changers: { value: 'FILE', help: 'Whose keys may change something: a line NAME KEY delete,update [FILTER] for each.' },
        audit: {
          value: 'WHERE',
          choices: ['stream', 'local'],
          help: 'Write changes down in the stream of the servers, or only in the log (local).',
        },
        'protect-ssh': { help: 'Never change the flow of the SSH session in which it was started.' },
        ship: { help: 'Ship the record of --history to the servers, for conntrack collector.' },
        flush: { value: 'TIME', help: 'How long a record may wait for others before it is shipped; default 15s.' },
        'print-unit': PRINT_UNIT,
        'print-daemonset': { help: 'Print a manifest for Kubernetes with these options, and end.' },
        listen: statusPages('127.0.0.1:9467'),
        'take-over': { help: 'Take the name from an agent that seems to be alive elsewhere.' },
      },
      failureStatus: 1,
      examples: [
        ['agent --nats nats://127.0.0.1 --name fw1', 'try it out, with nats-server -js on this machine'],
        ['agent --nats tls://n1.example.net --seed /etc/conntrack/fw1.seed --site ams', 'a host of a fleet'],
      ],
    },
    {
      name: 'collector',
      synopsis: '--name NAME --keep TIME [OPTIONS]',
      help: 'Keep copies of the records of all hosts of a fleet.',
      about: [
        'It reads what agents with --ship send to the NATS servers, and keeps a copy of the record of each host in DIR/HOST/RECORDER, which ' +
          'whohad, history and record verify read as any other. It goes on until a signal ends it, and where it was when it starts again. It ' +
          'answers conntrack fleet whohad, also for hosts that are gone.',
        'Exit status: 0 after a signal; 1 after a failure; 2 for a wrong command line; 4 when another collector has the name or the directory.',
      ],
      options: {
        ...SERVERS,
        name: { value: 'NAME', help: 'Its name in the fleet.' },
        dir: { value: 'DIR', help: 'Where copies are; default /var/lib/conntrack-collector.' },
        keep: {
          value: 'TIME',
          help: 'Delete records so long after their flows ended, such as 180d, or forever. There is no default.',
        },
        shards: { value: 'NUMBERS', help: 'Only hosts of these shards, such as 0-31; default 0-63, which is all.' },
        'max-size': { value: 'SIZE', help: 'Delete the oldest records of a host when its copy takes more, such as 10G.' },
        'min-free': { value: 'SHARE', help: 'Delete the oldest records when less of the disk is free; default 5%.' },
        'segment-rows': { value: 'NUMBER', help: 'Records in a file; default 2000000. A day ends a file as well.' },
        listen: statusPages('127.0.0.1:9468'),
        'print-unit': PRINT_UNIT,
        'take-over': { help: 'Take the name from a collector that seems to be alive elsewhere.' },
      },
      failureStatus: 1,
      examples: [
        ['collector --nats nats://127.0.0.1 --name c1 --keep 180d --dir /tmp/copies', 'try it out'],
        ['collector --nats tls://n1.example.net --seed /etc/conntrack/c1.seed --name c1 --keep 180d', 'of a fleet with keys'],
      ],
    },
    {
      name: 'fleet',
      synopsis: 'VERB [EXPRESSION...] [OPTIONS]',
      help: 'Ask all hosts at once: who has a flow, how many, who is there.',
      about: [
        'Verbs: hosts lists the hosts, collectors those who keep their records; list the flows that match; count how many there are, on which host; has says which hosts have an ' +
          'address, port or flow; get prints one flow; top sums up by --by; stats prints counters of each processor; whohad says who had an ' +
          'address and port at a time, from the records of the hosts; history lists flows of the past, history top sums them up; events prints what happens, as -E does; tail prints ' +
          'records as they are shipped, for programs.',
        'delete and update change the flows that match, on hosts that allow it: they say how many there are, ask for that number, and never ' +
          'change more. log says who changed what. doctor says what is wrong with servers, streams and hosts.',
        'setup prepares servers once. auth agent, viewer, operator, collector or admin NAME makes a key, auth remove NAME takes it away, auth ' +
          'render prints the configuration of the servers with all of them, auth changers the lines of operators for conntrack agent --changers.',
        'Hosts that do not answer are named, and the exit status says that the answer is not complete.',
        'Exit status: 0: complete; 1: a failure, and nothing found by has and get, something wrong found by doctor; 2: a wrong command line; 3: not complete.',
      ],
      options: {
        ...SERVERS,
        on: { value: 'HOST,...', repeated: true, help: "Ask only these hosts: names, or patterns such as 'ams-*'." },
        site: { value: 'SITE,...', repeated: true, help: 'Ask only hosts of these sites.' },
        netns: { value: 'NAME,...', repeated: true, help: 'Only these network namespaces, on agents with --netns all.' },
        wait: { value: 'TIME', help: 'Hosts that say nothing for so long are silent; default 2s.' },
        deadline: { value: 'TIME', help: 'How long hosts may work; default 5s, of list 30s.' },
        sort: {
          value: 'KEY',
          help: 'Of list: host, one host after the other. Of top: flows, bytes, packets, unreplied. Of history top: bytes, flows, packets.',
        },
        by: {
          value: 'KEY',
          help: 'Groups of top, as those of conntrack usage; default src. Of history top: src, dst, snat, service, protocol. Of log: who.',
        },
        limit: { value: 'NUMBER', help: 'Print so many at most.' },
        strict: { help: 'Print nothing unless every host has answered.' },
        set: {
          value: 'VALUE,...',
          repeated: true,
          help: 'Of update: timeout=60, mark=1/0xff, label=+NAME, label=-NAME, status=ASSURED.',
        },
        max: { value: 'NUMBER', help: 'Of delete and update: how many flows may be changed, on all hosts together.' },
        yes: { help: 'Of delete and update: do not ask; needs --max.' },
        'dry-run': { help: 'Of delete and update: only say what would be changed.' },
        partial: { help: 'Of delete and update: go on though some hosts do not answer.' },
        'protect-ssh': { help: 'Of delete and update: never change the flow of this SSH session, on any host.' },
        from: { value: 'TIME', help: 'Of log: since when. Of history: what ended before is left out.' },
        types: { value: 'TYPE,...', repeated: true, help: 'Of events: NEW, UPDATE, DESTROY; default all.' },
        for: { value: 'TIME', help: 'Of events: end after this time.' },
        'newest-first': { help: 'Of history: those that live, then the last to end.' },
        ...PAST_QUESTION,
        at: { value: 'TIME', help: 'Of whohad: when.' },
        to: {
          value: 'WHAT',
          help: 'Of whohad: ADDRESS[:PORT], the other side. Of history: a TIME; what began then or later is left out.',
        },
        state: { value: 'FILE', help: 'Of tail: go on where it was, which this file says.' },
        user: {
          value: 'NAME',
          help: 'Whose key --seed is, as fleet auth named it; default: the name of the file, without .seed.',
        },
        keys: { value: 'DIR', help: 'Where auth keeps users and seeds; default /etc/conntrack/fleet.' },
        replicas: { value: 'NUMBER', help: 'On how many servers setup keeps the inventory and the records; default 3.' },
        leaf: {
          value: 'SITE',
          help: 'Of setup: take in records from the servers of this site, a leaf node with its own JetStream.',
        },
        'records-size': { value: 'SIZE', help: 'What the stream of records may take on each server, such as 35G; default 4G.' },
        labelmap: LABELS,
        output: {
          short: 'o',
          value: 'FORMAT',
          repeated: true,
          help: 'Print text, json or ndjson; history also csv and nat-log; list and get: what -o of -L takes.',
        },
      },
      operands: { kind: 'expression' },
      verbs: FLEET_VERBS,
      examples: [
        ['fleet hosts', 'who is there'],
        ["fleet list 'tcp and dst port 22'", 'SSH, on all hosts'],
        ['fleet count unreplied', 'how many, on which host'],
        ['fleet has 203.0.113.9:40001', 'which host has it'],
        ['fleet whohad 203.0.113.50:32768 --at 2026-03-01T14:32:15Z', 'who had that port, on all hosts'],
        ["fleet history 'dst port 25' --from 1h-ago", 'flows of the last hour, on all hosts'],
        ["fleet delete 'udp and dst port 5060' --site ams", 'delete flows, once their number has been typed'],
        ["fleet events 'dst port 22' --types NEW", 'SSH as it begins, on any host'],
        ['fleet tail --state /var/lib/vector/fleet.json', 'every record, as it comes'],
        ['fleet auth agent fw1 --site ams', 'a key for a host'],
        ["fleet list --on 'ams-*' --sort host -o ndjson", 'for programs'],
      ],
    },
    {
      name: 'complete-filter',
      synopsis: '[--] TEXT',
      help: 'Tell shells what may stand at the end of a filter.',
      about: [],
      options: {},
      operands: { kind: 'expression' },
      unlisted: true,
      examples: [],
    },
  ];
}

/** The row of a word; `undefined` when there is no such word. */
export function wordByName(name: string): WordRow | undefined {
  return everyWord().find((row) => row.name === name);
}
