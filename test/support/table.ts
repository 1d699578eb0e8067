// A private table and the command under test on it: common code for tests of commands that change the table.

import { splitWords } from './argv.js';
import { Namespace, type RunOptions } from './namespace.js';
import { FLUSH, type NewFlow, newFlow } from './netlink.js';
import { type Outcome, toOutcome } from './outcome.js';
import { LABELS } from './population.js';
import { UNDER_TEST } from './project.js';
import type { Purpose } from './resident.js';

/** A namespace with a label file and rules that use labels. `await using table = await Table.create('name')`. */
export class Table {
  readonly namespace: Namespace;

  private constructor(namespace: Namespace) {
    this.namespace = namespace;
  }

  static async create(name: string, { labels = true, purpose }: { labels?: boolean; purpose?: Purpose } = {}): Promise<Table> {
    const namespace = await Namespace.create(name, purpose);
    await namespace.labels(LABELS);
    if (labels) await namespace.nft('table inet labels { chain never { ct label set 127; }; }\n');
    return new Table(namespace);
  }

  /** Empties the table and fills it with these. */
  async fill(flows: readonly NewFlow[]): Promise<void> {
    await this.namespace.netlink([FLUSH, ...flows.map(newFlow)]);
  }

  /** Runs the command under test. A text is split as a shell does. */
  async run(words: string | readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const argv = typeof words === 'string' ? splitWords(words) : words;
    return toOutcome(await this.namespace.run([UNDER_TEST, ...argv], options));
  }

  /** Loads these lines from standard input. */
  load(lines: string | readonly string[], ...more: readonly string[]): Promise<Outcome> {
    const text = typeof lines === 'string' ? lines : lines.map((line) => `${line}\n`).join('');
    return this.run(['-R', '-', ...more], { input: Buffer.from(text) });
  }

  /** The lines of a listing, sorted; the seconds that tick are `T`. */
  async list(...words: readonly string[]): Promise<string[]> {
    const { status, stdout, stderr } = await this.run(['-L', ...words], { purpose: 'look' });
    if (status !== '0') throw new Error(`-L ${words.join(' ')}: ${status} ${stderr}`);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map(withoutSeconds)
      .sort();
  }

  /** Everything that can be saved. */
  saved(): Promise<string[]> {
    return this.list('-o', 'save,full');
  }

  async count(): Promise<number> {
    return Number(await this.namespace.ask('read', '/proc/sys/net/netfilter/nf_conntrack_count'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.namespace.close();
  }
}

function withoutSeconds(line: string): string {
  return line.replace(/^(-[AUD] -t )\d+/, '$1T').replace(/^((?:ipv[46] +\d+ )?[a-z]+ +\d+ )\d+ /, '$1T ');
}
