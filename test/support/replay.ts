// What somebody who reads the events knows of the table: the lines of `-E -o id` (or `-o extended,id`) applied one by one, to be
// compared with a list. Times, counters and references are not part of it: events do not tell them.

/** How strictly events are taken. */
export interface ReplayOptions {
  /** With `--initial`: nothing begins twice, and nothing changes or ends that has not begun. */
  readonly strict?: boolean;
}

/** A table, as far as it is known from events. */
export class Replay {
  /** Entry → what is known of it. */
  readonly entries = new Map<string, string>();
  /** What a strict reader must not meet. */
  readonly faults: string[] = [];
  /** How many lines had a mark, by mark and type. */
  readonly marks = new Map<string, number>();
  readonly #strict: boolean;

  constructor(options: ReplayOptions = {}) {
    this.#strict = options.strict ?? false;
  }

  /** Applies lines of text. @throws Error for a line that is no event */
  apply(text: string): this {
    for (const line of text.split('\n')) if (line !== '') this.#applyLine(line);
    return this;
  }

  #applyLine(line: string): void {
    const [, type, entry] = /^(?:\[\d+\.\d+\]\t)? *\[(NEW|UPDATE|DESTROY)\] (.*)$/.exec(line) ?? [];
    if (type === undefined || entry === undefined) throw new Error(`not an event: ${line}`);
    const mark = / \[(INITIAL|RESYNC)\]$/.exec(entry)?.[1];
    if (mark !== undefined) this.marks.set(`${mark} ${type}`, (this.marks.get(`${mark} ${type}`) ?? 0) + 1);
    const [key, value] = readEntry(entry);
    const known = this.entries.has(key);
    if (this.#strict && known !== (type !== 'NEW')) this.faults.push(line);
    if (type === 'DESTROY') this.entries.delete(key);
    else this.entries.set(key, value);
  }
}

/** The same map, of a list `-L -o id`. */
export function listed(text: string): Map<string, string> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map(readEntry),
  );
}

/** Entries of `expected` that `actual` has not or otherwise, and those it has too many: at most ten, for a person. */
export function mapDifference(expected: ReadonlyMap<string, string>, actual: ReadonlyMap<string, string>): string[] {
  const faults: string[] = [];
  for (const [key, value] of expected) {
    const other = actual.get(key);
    if (other === undefined) faults.push(`missing: ${key} ${value}`);
    else if (other !== value) faults.push(`${key} is ${value}, known as ${other}`);
  }
  for (const key of actual.keys()) if (!expected.has(key)) faults.push(`gone, but known: ${key}`);
  return faults.length > 10 ? [...faults.slice(0, 10), `… ${faults.length} in all`] : faults;
}

/** The entry's name (protocol, tuples, zones, id), and what may change: state, marks of the line, mark, helper. */
function readEntry(line: string): [string, string] {
  const protocol = /(\S+ +\d+) /.exec(line)?.[1]?.replace(/ +/, ' ');
  const id = / id=(\d+)(?= |$)(?!.* id=)/.exec(line)?.[1];
  const tuples = [...line.matchAll(/(?:src|dst|sport|dport|srckey|dstkey|type|code|zone|zone-orig|zone-reply)=\S+/g)].map(String);
  const icmp = [...line.matchAll(/code=\d+ id=(\d+)/g)].map(([, value]) => value);
  const state = /^\S+ +\d+ (?:\d+ )?([A-Z_]+\d?) src=/.exec(line)?.[1] ?? '';
  const words = [...line.matchAll(/\[(?:UNREPLIED|ASSURED)\]|helper=\S+/g)].map(String);
  const mark = / mark=(\d+)/.exec(line)?.[1] ?? '0';
  return [`${protocol} ${tuples.join(' ')} ${icmp.join(' ')} #${id}`, `${state} ${words.join(' ')} mark=${mark}`];
}
