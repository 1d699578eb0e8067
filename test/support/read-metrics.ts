// Reads metrics as strictly as Prometheus does: what does not follow the format, or is there twice, is an error. Written from the grammar
// of the OpenMetrics specification, 1.0, and of the text format 0.0.4.

/** `name{label="value"}` with sorted labels → value. */
export type ReadMetrics = ReadonlyMap<string, number>;

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const DESCRIPTION = new RegExp(`^# (HELP|TYPE|UNIT) (${NAME}) (.*)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`, 's');
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,(?=.)|$)/;
const SUFFIXES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  openmetrics: { gauge: '', counter: '_total', info: '_info' },
  text: { gauge: '', counter: '' },
};

/** @throws Error */
export function readMetrics(text: string, format: 'openmetrics' | 'text'): ReadMetrics {
  if (!(format === 'openmetrics' ? /(^|\n)# EOF\n$/ : /(^|\n)$/).test(text)) throw new Error('the end is missing');
  const lines = text.slice(0, -1).split('\n');
  if (format === 'openmetrics' || text === '') lines.pop();
  const found = new Map<string, number>();
  const families = new Map<string, string>();
  let family = '';
  for (const line of lines) {
    const described = DESCRIPTION.exec(line);
    if (described) {
      const [, kind, name, rest] = described as unknown as [string, string, string, string];
      if (name !== family && families.has(name)) throw new Error(`the family ${name} comes twice`);
      family = name;
      if (kind === 'TYPE') {
        if (!(rest in SUFFIXES[format]!)) throw new Error(`no type: ${line}`);
        if (format === 'text' && (rest === 'counter') !== name.endsWith('_total'))
          throw new Error(`not called after its type: ${line}`);
        families.set(name, rest);
      }
      if (kind === 'UNIT' && (format === 'text' || !name.endsWith(`_${rest}`))) throw new Error(`no unit: ${line}`);
      continue;
    }
    const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
    if (name === undefined) throw new Error(`no line: ${JSON.stringify(line)}`);
    const type = families.get(family);
    if (type === undefined || name !== family + SUFFIXES[format]![type]!)
      throw new Error(`outside of its family ${family}: ${line}`);
    const pairs = labelsOf(labels, line);
    const key = `${name}{${pairs.sort().join(',')}}`;
    if (found.has(key)) throw new Error(`twice: ${line}`);
    const number = value === '+Inf' ? Number.POSITIVE_INFINITY : value === '-Inf' ? Number.NEGATIVE_INFINITY : Number(value);
    if (Number.isNaN(number) && value !== 'NaN') throw new Error(`no number: ${line}`);
    if (type === 'counter' && !(number >= 0)) throw new Error(`no count: ${line}`);
    found.set(key, number);
  }
  return found;
}

function labelsOf(text: string, line: string): string[] {
  const pairs: string[] = [];
  const names = new Set<string>();
  for (let rest = text; rest !== ''; ) {
    const [whole, name, escaped] = LABEL.exec(rest) ?? [];
    if (whole === undefined) throw new Error(`no labels: ${JSON.stringify(line)}`);
    if (names.has(name!)) throw new Error(`a label twice: ${line}`);
    names.add(name!);
    const value = escaped!.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
    pairs.push(`${name}=${JSON.stringify(value)}`);
    rest = rest.slice(whole.length);
  }
  return pairs;
}
