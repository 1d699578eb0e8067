// The meaning of a command line, by the grammar of docs/behaviour.md 1 (1.4.9). This is separate code, so that the expected differences
// do not depend on the parser under test. Values stay text; legality is not checked.

/** An option as found. `name` is the first alias of docs/behaviour.md 1.4 or 1.6 (ports: `sport`, keys: `srckey`, …). */
export interface GivenOption {
  readonly name: string;
  readonly value: string | undefined;
  /** `-s192.0.2.1`, `--src=192.0.2.1`. */
  readonly glued: boolean;
}

export interface CommandLine {
  readonly argv: readonly string[];
  /** The letters of all commands, in order: `-L` is `L`, `--dump` too. Exactly one is legal. */
  readonly commands: readonly string[];
  /** conntrack unless a table word follows; undefined when that word names no table. */
  readonly table: 'conntrack' | 'expect' | 'dying' | 'unconfirmed' | undefined;
  readonly options: readonly GivenOption[];
  readonly operands: readonly string[];
  /** Words that are not options, or ambiguous, or lack their value. */
  readonly unknown: readonly string[];
  /**
   * The words, with everything separated that was glued to a command or to an option with an optional value: `-Lz` is `-L -z`,
   * `--src-nat=A` is `--src-nat A`. The reference 1.4.7 ignores such text.
   */
  readonly unglued: readonly string[];
}

type Argument = 'none' | 'required' | 'optional';

/** Long names of the commands. */
export const COMMANDS: Readonly<Record<string, string>> = {
  dump: 'L', create: 'I', add: 'A', delete: 'D', update: 'U', get: 'G', flush: 'F', event: 'E', counter: 'C', count: 'C', stats: 'S', version: 'V', help: 'h',
}; // biome-ignore format: a table

/** The options of docs/behaviour.md 1.4, by index. */
export const OPTIONS: readonly (readonly [short: string, names: readonly string[], argument: Argument])[] = [
  ['s', ['src', 'orig-src'], 'required'],
  ['d', ['dst', 'orig-dst'], 'required'],
  ['r', ['reply-src'], 'required'],
  ['q', ['reply-dst'], 'required'],
  ['p', ['proto', 'protonum'], 'required'],
  ['t', ['timeout'], 'required'],
  ['u', ['status'], 'required'],
  ['z', ['zero'], 'none'],
  ['e', ['event-mask'], 'required'],
  ['[', ['tuple-src'], 'required'],
  [']', ['tuple-dst'], 'required'],
  ['{', ['mask-src'], 'required'],
  ['}', ['mask-dst'], 'required'],
  ['a', ['nat-range'], 'required'],
  ['m', ['mark'], 'required'],
  ['i', ['id'], 'required'],
  ['f', ['family'], 'required'],
  ['n', ['src-nat'], 'optional'],
  ['g', ['dst-nat'], 'optional'],
  ['o', ['output'], 'required'],
  ['c', ['secmark'], 'required'],
  ['b', ['buffer-size'], 'required'],
  ['j', ['any-nat'], 'optional'],
  ['w', ['zone'], 'required'],
  ['l', ['label'], 'required'],
  ['<', ['label-add'], 'required'],
  ['>', ['label-del'], 'optional'],
  ['(', ['orig-zone'], 'required'],
  [')', ['reply-zone'], 'required'],
  ['M', ['labelmap'], 'required'],
];

const PORTS = [
  ['sport', 'orig-port-src'],
  ['dport', 'orig-port-dst'],
  ['reply-port-src'],
  ['reply-port-dst'],
  ['mask-port-src'],
  ['mask-port-dst'],
  ['tuple-port-src'],
  ['tuple-port-dst'],
];
const KEYS = [
  ['srckey', 'orig-key-src'],
  ['dstkey', 'orig-key-dst'],
  ['reply-key-src'],
  ['reply-key-dst'],
  ['mask-key-src'],
  ['mask-key-dst'],
  ['tuple-key-src'],
  ['tuple-key-dst'],
];
const ICMP = [['icmp-type'], ['icmp-code'], ['icmp-id']];
const ICMPV6 = [['icmpv6-type'], ['icmpv6-code'], ['icmpv6-id']];

/** By number of the protocol: what `-p` adds to the long options. */
export const PROTOCOL_OPTIONS: Readonly<Record<number, readonly (readonly string[])[]>> = {
  1: ICMP,
  6: [...PORTS, ['state']],
  17: PORTS,
  33: [...PORTS, ['state'], ['role']],
  47: KEYS,
  58: ICMPV6,
  132: [...PORTS, ['state'], ['orig-vtag'], ['reply-vtag']],
  136: PORTS,
};
const PROTOCOL_NAMES: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};

/** The number whose protocol options apply, or undefined: a number in C notation, or one of the eight names in any case. */
export function protocolWithOptions(text: string): number | undefined {
  const named = PROTOCOL_NAMES[text.toLowerCase()];
  if (named !== undefined) return named;
  const number = cNumber(text.trimStart().replace(/^\+/, ''));
  return number !== undefined && number in PROTOCOL_OPTIONS ? number : undefined;
}

/** strtoul with base 0, nothing before or after. */
export function cNumber(text: string): number | undefined {
  if (/^0x[0-9a-f]+$/i.test(text)) return Number(text);
  if (/^0[0-7]*$/.test(text)) return Number.parseInt(text, 8);
  return /^[1-9]\d*$/.test(text) ? Number(text) : undefined;
}

const TABLES = ['expect', 'conntrack', 'dying', 'unconfirmed'] as const;

/** Reads a command line from left to right. */
export function readCommandLine(argv: readonly string[]): CommandLine {
  const commands: string[] = [];
  const options: GivenOption[] = [];
  const operands: string[] = [];
  const unknown: string[] = [];
  let table: CommandLine['table'] = 'conntrack';
  const unglued: string[] = [];
  let protocol: readonly (readonly string[])[] = [];

  const isWord = (word: string | undefined): word is string =>
    word !== undefined && !word.startsWith('-') && !word.startsWith('!');
  const command = (letter: string, next: string | undefined) => {
    commands.push(letter);
    if (next !== undefined && isWord(next)) table = TABLES.find((name) => name.startsWith(next));
  };
  const option = (name: string, value: string | undefined, glued: boolean) => {
    options.push({ name, value, glued });
    if (name === 'proto' && value !== undefined)
      protocol = [...protocol, ...(PROTOCOL_OPTIONS[protocolWithOptions(value) ?? -1] ?? [])];
  };

  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '--') {
      operands.push(...argv.slice(i + 1));
      unglued.push(...argv.slice(i));
      break;
    }
    const first = i;
    const pieces: string[] = [];
    if (!word.startsWith('-') || word === '-') {
      operands.push(word);
    } else if (word.startsWith('--')) {
      const [, text = '', glued] = /^--([^=]*)(?:=(.*))?$/s.exec(word) ?? [];
      const found = findLong(text, protocol);
      if (found === undefined) unknown.push(word);
      else if (found.command !== undefined) {
        if (glued !== undefined) pieces.push(`--${text}`, glued);
        command(found.command, glued ?? argv[i + 1]);
      } else if (found.argument === 'none') {
        if (glued === undefined) option(found.name, undefined, false);
        else unknown.push(word);
      } else if (glued !== undefined) {
        if (found.argument === 'optional') pieces.push(`--${text}`, glued);
        option(found.name, glued, true);
      } else if (found.argument === 'required') {
        const value = argv[++i];
        if (value === undefined) unknown.push(word);
        else option(found.name, value, false);
      } else option(found.name, isWord(argv[i + 1]) ? argv[++i] : undefined, false);
    } else {
      let start = 1;
      for (let at = 1; at < word.length; at++) {
        const letter = word[at]!;
        const rest = word.slice(at + 1);
        if ('LIDUGEFACSVh'.includes(letter)) {
          if (rest !== '') {
            pieces.push(`-${word.slice(start, at + 1)}`);
            start = at + 1;
          }
          if (letter === 'C' && rest !== '') {
            pieces.push(rest);
            command(letter, rest);
            break;
          }
          command(letter, argv[i + 1]);
          continue;
        }
        const row = OPTIONS.find(([short]) => short === letter);
        if (row === undefined) {
          unknown.push(word);
          continue;
        }
        const [, [name = ''], argument] = row;
        if (argument === 'none') option(name, undefined, false);
        else if (rest !== '') {
          if (argument === 'optional') pieces.push(`-${word.slice(start, at + 1)}`, rest);
          option(name, rest, true);
          break;
        } else if (argument === 'required') {
          const value = argv[++i];
          if (value === undefined) unknown.push(word);
          else option(name, value, false);
          break;
        } else {
          option(name, isWord(argv[i + 1]) ? argv[++i] : undefined, false);
          break;
        }
      }
      if (start > 1 && start < word.length && pieces.at(-1) !== word.slice(start)) pieces.push(`-${word.slice(start)}`);
    }
    unglued.push(...(pieces.length > 0 ? pieces : [word]), ...argv.slice(first + 1, i + 1));
  }
  return { argv, commands, table, options, operands, unknown, unglued };
}

interface LongOption {
  name: string;
  command?: string;
  argument: Argument;
}

/** Exact name, else the only name that starts with the text. Two aliases of one option are two names, as in getopt_long. */
function findLong(text: string, protocol: readonly (readonly string[])[]): LongOption | undefined {
  const all: [string, LongOption][] = [
    ...Object.entries(COMMANDS).map(([name, letter]): [string, LongOption] => [
      name,
      { name, command: letter, argument: 'optional' },
    ]),
    ...OPTIONS.flatMap(([, names, argument]) => names.map((name): [string, LongOption] => [name, { name: names[0]!, argument }])),
    ...protocol.flatMap((names) => names.map((name): [string, LongOption] => [name, { name: names[0]!, argument: 'required' }])),
  ];
  const exact = all.find(([name]) => name === text);
  if (exact !== undefined) return exact[1];
  const candidates = all.filter(([name]) => name.startsWith(text));
  const same = candidates.every(([, { name }]) => name === candidates[0]![1].name);
  return candidates.length > 0 && same ? candidates[0]![1] : undefined;
}

/** The items of every `-o`, full names; an abbreviation counts as what it stands for, anything else as nothing. */
export function outputItems(line: CommandLine): Set<string> {
  const names = ['xml', 'extended', 'timestamp', 'id', 'ktimestamp', 'labels', 'userspace', 'save'];
  const items = values(line, 'output').flatMap((value) => value.split(','));
  return new Set(
    items.flatMap((item) =>
      item === '' || 'src_nat'.startsWith(item.toLowerCase())
        ? []
        : names.filter((name) => name.startsWith(item.toLowerCase())).slice(0, 1),
    ),
  );
}

export const has = (line: CommandLine, ...names: readonly string[]): boolean =>
  line.options.some(({ name }) => names.includes(name));
export const values = (line: CommandLine, name: string): string[] =>
  line.options.flatMap((option) => (option.name === name && option.value !== undefined ? [option.value] : []));
/** The value that counts: the last one. */
export const lastValue = (line: CommandLine, name: string): string | undefined => values(line, name).at(-1);

/** Shell spelling, for people to paste. */
export function quote(argv: readonly string[]): string {
  return argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}

/** The words of a line of a .case file: blanks separate, single or double quotes group. */
export function splitWords(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, (_, single, double) => single ?? double),
  );
}

const STATUS_WORDS = ['ASSURED', 'SEEN_REPLY', 'UNSET', 'FIXED_TIMEOUT', 'EXPECTED', 'OFFLOAD', 'HW_OFFLOAD'];

/** Bits that must be set and that must not, as docs/behaviour.md 3.5 reads `-u`. */
export function statusSets(line: CommandLine): { set: Set<string>; clear: Set<string> } {
  const set = new Set<string>();
  const clear = new Set<string>();
  for (const item of values(line, 'status').flatMap((value) => value.split(','))) {
    if (item.startsWith('UNREPLIED')) {
      clear.add('SEEN_REPLY');
      continue;
    }
    const text = item.replace(/^!/, '').toUpperCase();
    const name =
      'SRC_NAT'.startsWith(text) || 'DST_NAT'.startsWith(text) ? undefined : STATUS_WORDS.find((full) => full.startsWith(text));
    if (name !== undefined && name !== 'UNSET') (item.startsWith('!') ? clear : set).add(name);
  }
  return { set, clear };
}
