// What a reader of the events knows about the table: applies the lines of `-E -o id` (or `-o extended,id`) one by one, for a comparison
// with a list. Times, counters and references are left out, because events do not contain them.

/** How strictly events are checked. */
export interface ReplayOptions {
  /** With `--initial`: nothing begins twice, and nothing changes or ends that has not begun. */
  readonly strict?: boolean;
}

/** A table, as far as events reveal it. */
export class Replay {
  /** Entry → what is known about it. */
  readonly entries = new Map<string, string>();
  /** Events that a strict reader must not see. */
  readonly faults: string[] = [];
  /** How many lines had a mark, by mark and type. */
  readonly marks = new Map<string, number>();
  readonly #strict: boolean;

  constructor(options: ReplayOptions = {}) {
    this.#strict = options.strict ?? false;
  }

  /** Applies lines of text. @throws Error for a line that is not an event */
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

/** The same map, from a list `-L -o id`. */
export function listed(text: string): Map<string, string> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '')
      .map(readEntry),
  );
}

/** Entries of `expected` that `actual` lacks or has in another form, and its surplus ones: at most ten, for people to read. */
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
