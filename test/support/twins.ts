// Two identical namespaces: the reference changes the table in one, the command under test in the other.

import { kernelTable } from './kernel-table.js';
import { Namespace } from './namespace.js';
import { message } from './netlink.js';
import { type CompareOptions, compareOutcomes, diffLines, type Outcome, toOutcome } from './outcome.js';
import { LABELS } from './population.js';
import { REFERENCE, UNDER_TEST } from './project.js';

/** Each form has something that the other lacks: status and tags; marks, labels, helpers. */
const FLOW_FORMS = [
  ['-o', 'save'],
  ['-o', 'labels'],
] as const;
const EXPECTATION_FORMS = [
  ['expect', '-f', 'ipv4'],
  ['expect', '-f', 'ipv6'],
] as const;
/** Within the private /etc of each namespace. */
const LOAD_FILE = '/etc/xtables/load';
const FLUSH = message(0x102, 5, 0);

/** Entries of both tables were made at different times since `started`. */
export const since = (started: number): CompareOptions => ({
  order: 'any',
  namespaces: 'two',
  tolerance: Math.ceil((Date.now() - started) / 1000) + 1,
});

/** The source of right answers: the namespace of the reference. */
export interface Oracle {
  /** Runs the reference. */
  run(argv: readonly string[]): Promise<Outcome>;
  /** Sends a request. @returns its errno */
  send(message: Buffer): Promise<number>;
  /** Within a load file: entries that are there already take the rest of their values (docs/differences.md B50). */
  readonly inFile: boolean;
}

export class Twins {
  readonly reference: Namespace;
  readonly actual: Namespace;

  private constructor(reference: Namespace, actual: Namespace) {
    this.reference = reference;
    this.actual = actual;
  }

  static async create(name: string): Promise<Twins> {
    const twins = new Twins(await Namespace.create(`${name}r`, 'answer'), await Namespace.create(`${name}a`, 'answer'));
    for (const namespace of twins.#both) {
      await namespace.labels(LABELS);
      await namespace.nft('table inet labels { chain never { ct label set 127; }; }\n');
    }
    return twins;
  }

  get #both(): readonly Namespace[] {
    return [this.reference, this.actual];
  }

  /** Empties both tables and sends these requests to each. */
  async reset(requests: readonly Buffer[] = []): Promise<void> {
    for (const namespace of this.#both) await namespace.netlink([FLUSH, ...requests]);
  }

  async close(): Promise<void> {
    for (const namespace of this.#both) await namespace.close();
  }

  oracle(inFile = false): Oracle {
    return {
      inFile,
      run: async (argv) => toOutcome(await this.reference.run([REFERENCE, ...argv])),
      send: async (request) => (await this.reference.ask('netlink', [request]))[0]!,
    };
  }

  async underTest(argv: readonly string[], input?: string): Promise<Outcome> {
    return toOutcome(await this.actual.run([UNDER_TEST, ...argv], input === undefined ? {} : { input: Buffer.from(input) }));
  }

  /** Loads the same file with each. Not from standard input: ours is a socket here, which the reference cannot open again. */
  async loadFile(text: string): Promise<[Outcome, Outcome]> {
    for (const namespace of this.#both) await namespace.ask('write', LOAD_FILE, text);
    return [
      toOutcome(await this.reference.run([REFERENCE, '-R', LOAD_FILE])),
      toOutcome(await this.actual.run([UNDER_TEST, '-R', LOAD_FILE])),
    ];
  }

  /** The differences between the tables, attribute by attribute. */
  async kernelDifferences(started: number): Promise<string[]> {
    const faults: string[] = [];
    for (const table of ['flows', 'expectations'] as const) {
      const [expected, actual] = await Promise.all([kernelTable(this.reference, table), kernelTable(this.actual, table)]);
      faults.push(...differences(`${table} by the kernel`, expected, actual, started));
    }
    return faults;
  }

  /**
   * Where any of this differs: each table as each tool lists it, and as the kernel does. Most of the time goes into lists (a
   * dump visits every bucket of the machine's table), so flows are listed in one form, which `turn` chooses.
   */
  async differences(started: number, turn: number, expectations: boolean): Promise<string[]> {
    const faults = await this.kernelDifferences(started);
    const list = async (namespace: Namespace, command: string, form: readonly string[]) =>
      toOutcome(await namespace.run([command, '-L', ...form])).stdout;
    for (const form of [FLOW_FORMS[turn % FLOW_FORMS.length]!, ...(expectations ? EXPECTATION_FORMS : [])]) {
      const words = form.join(' ');
      const [expected, other, own, ofReference] = await Promise.all([
        list(this.reference, REFERENCE, form),
        list(this.actual, REFERENCE, form),
        list(this.actual, UNDER_TEST, form),
        list(this.reference, UNDER_TEST, form),
      ]);
      faults.push(...differences(`tables by the reference, ${words}`, expected, other, started));
      // (null): docs/differences.md B25; lone `labels`: docs/differences.md B19
      const ours = expected.replaceAll('--state (null)', '--state HEARTBEAT_SENT').replaceAll(/ labels$/gm, '');
      faults.push(...differences(`its own table by the command under test, ${words}`, ours, own, started));
      faults.push(...differences(`the table of the reference by the command under test, ${words}`, ours, ofReference, started));
    }
    return faults;
  }
}

function differences(what: string, expected: string, actual: string, started: number): string[] {
  const options = since(started);
  const outcome = (stdout: string): Outcome => ({ status: '0', stdout, stderr: '' });
  if (compareOutcomes(outcome(expected), outcome(actual), options).length === 0) return [];
  return [`${what}: - expected, + got\n${diffLines(expected, actual, options)}`];
}
