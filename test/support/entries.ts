// Lines of the reference's output as entries, and lists cut down to some of them: with this a known difference can say what
// the reference should have listed.

import { type CommandLine, outputItems } from './argv.js';
import type { Outcome } from './outcome.js';

/** Fields of a line of `-L -o extended,id,labels` that the reference printed. Absent fields are undefined. */
export interface Entry {
  readonly family: 4 | 6;
  readonly proto: number;
  readonly state: string | undefined;
  readonly original: EntrySide;
  readonly reply: EntrySide;
  readonly mark: number;
  readonly zone: number;
  readonly unreplied: boolean;
  readonly assured: boolean;
  readonly id: string;
}

export interface EntrySide {
  readonly src: string;
  readonly dst: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly zone?: number;
}

/** Reads one line of `-o extended,id`. */
export function parseEntry(line: string): Entry {
  const [, family, proto, rest = ''] = /^(ipv4|ipv6) +\d+ \S+ +(\d+) (.*)$/.exec(line) ?? [];
  if (family === undefined || proto === undefined) throw new Error(`not an entry: ${line}`);
  const second = rest.indexOf(' src=', rest.indexOf('src=') + 4);
  const side = (text: string): EntrySide => {
    const field = (name: string) => new RegExp(`\\b${name}=(\\S+)`).exec(text)?.[1];
    const number = (...names: string[]) => names.map(field).flatMap((value) => (value === undefined ? [] : [Number(value)]))[0];
    const sport = number('sport', 'srckey');
    const dport = number('dport', 'dstkey');
    const zone = number('zone-orig', 'zone-reply');
    return {
      src: field('src')!,
      dst: field('dst')!,
      ...(sport === undefined ? {} : { sport }),
      ...(dport === undefined ? {} : { dport }),
      ...(zone === undefined ? {} : { zone }),
    };
  };
  const tail = rest.slice(second);
  return {
    family: family === 'ipv4' ? 4 : 6,
    proto: Number(proto),
    state: /^(?:\d+ )?([A-Z_0-9]+) src=/.exec(rest)?.[1],
    original: side(rest.slice(0, second)),
    reply: side(tail),
    mark: Number(/ mark=(\d+)/.exec(tail)?.[1] ?? 0),
    zone: Number(/ zone=(\d+)/.exec(tail)?.[1] ?? 0),
    unreplied: rest.includes(' [UNREPLIED] '),
    assured: rest.includes(' [ASSURED] '),
    id: / id=(\d+)$/.exec(tail)?.[1] ?? '', // the last one: ICMP has an id of its own
  };
}

/** The canonical words of a command line, with only some of its options: for the reference, one option a word or two. */
export function rebuild(
  line: CommandLine,
  keep: (name: string, value: string | undefined) => boolean,
  more: readonly string[] = [],
): string[] {
  const [command = 'L'] = line.commands;
  const table = line.table === 'conntrack' || line.table === undefined ? [] : [line.table];
  const options = line.options.filter(({ name, value }) => keep(name, value));
  return [
    `-${command}`,
    ...table,
    ...options.flatMap(({ name, value }) => (value === undefined ? [longName(name)] : [longName(name), value])),
    ...more,
  ];
}

/** `--id VALUE` crashes the reference; its letter does not. */
const longName = (name: string) => (name === 'id' ? '-i' : name === 'proto' ? '--protonum' : `--${name}`);

const XML_OPEN = /^<\?xml[^\n]*\n<(conntrack|expect)>\n/;

/** The lines of a listing, one an entry, without an XML frame. */
export function entryLines(stdout: string): string[] {
  return stdout.split('\n').filter((line) => line !== '' && !/^<(\?xml.*|\/?(conntrack|expect))>$/.test(line));
}

/** A listing of these lines, in the frame of the format, with its closing line. XML as a whole document, even when empty. */
export function listing(line: CommandLine, lines: readonly string[], like: Outcome): Outcome {
  const expect = line.table === 'expect';
  const root = expect ? 'expect' : 'conntrack';
  const xml = outputItems(line).has('xml');
  const body = lines.map((text) => `${text}\n`).join('');
  const stdout = xml ? `<?xml version="1.0" encoding="utf-8"?>\n<${root}>\n${body}</${root}>\n` : body;
  const closing = `conntrack v1.4.7 (conntrack-tools): ${lines.length} ${expect ? 'expectations' : 'flow entries'} have been shown.\n`;
  const warnings = like.stderr.split('\n').filter((text) => text !== '' && !text.includes('have been shown'));
  return { status: '0', stdout, stderr: [...warnings.map((text) => `${text}\n`), closing].join('') };
}

export { XML_OPEN };

/** What the command line should list if the reference, asked without some options, lists more: those entries that `wanted` takes. */
export async function select(
  line: CommandLine,
  ask: (argv: readonly string[]) => Promise<Outcome>,
  keep: (name: string, value: string | undefined) => boolean,
  wanted: (entry: Entry, saved: string) => boolean,
): Promise<Outcome> {
  const shown = await ask(rebuild(line, keep));
  const withoutFormat = (name: string, value: string | undefined) => name !== 'output' && keep(name, value);
  const text = entryLines((await ask(rebuild(line, withoutFormat, ['-o', 'extended,id']))).stdout);
  const saved = entryLines((await ask(rebuild(line, withoutFormat, ['-o', 'save']))).stdout);
  const lines = entryLines(shown.stdout);
  if (shown.status !== '0') return shown;
  if (lines.length !== text.length || lines.length !== saved.length)
    throw new Error('the reference lists differently from one moment to the next');
  return listing(
    line,
    lines.filter((_, n) => wanted(parseEntry(text[n]!), saved[n]!)),
    shown,
  );
}
