// `-S`: counters of each CPU.

import { CPU_STATISTICS, EXPECTATION_STATISTICS, statisticMember } from '../../ctnetlink/statistics.js';
import type { View } from '../../ctnetlink/view.js';
import { KernelError, SystemError } from '../../errors.js';
import { token } from '../../format/byte-writer.js';
import { NamespaceLabel } from '../../format/format-options.js';
import { statisticMembers, writeStatisticsJson } from '../../format/statistics-json.js';
import { writeCpuStatistics } from '../../format/statistics-text.js';
import { safeJson } from '../../safe-text.js';
import type { Context } from '../context.js';
import { isJson } from '../invocation.js';

/** Readable by everybody: a header line of names, then a line of hexadecimal numbers a CPU. */
const STATISTICS_FILE = '/proc/net/stat/nf_conntrack';

/** @returns 0, or 1 when one of several namespaces failed */
export async function stats(context: Context): Promise<number> {
  const { invocation, out, tables } = context;
  const expect = invocation.table === 'expect';
  const names = expect ? EXPECTATION_STATISTICS : CPU_STATISTICS;
  const label = tables.several ? new NamespaceLabel() : undefined;
  const writer = isJson(invocation.values.output) ? jsonWriter(context, names, label) : textWriter(context, names, label);
  writer.begin();
  const complete = await tables.each(async (table) => {
    if (table.netns !== undefined) label?.set(table.netns);
    try {
      const conntrack = table.conntrack();
      await (expect ? conntrack.scanExpectationStatistics(writer.entry) : conntrack.scanStatistics(writer.entry));
    } catch (error) {
      const text = error instanceof KernelError || error instanceof SystemError ? table.readText(STATISTICS_FILE) : undefined;
      if (text === undefined) throw error;
      for (const row of statisticsFromFile(text, expect)) writer.row(row);
    }
  });
  writer.end();
  out.flush();
  return complete ? 0 : 1;
}

/** Counters of a CPU as the /proc file has them: names and numbers. */
interface CpuRow {
  readonly cpu: number;
  readonly counters: readonly (readonly [name: string, value: number])[];
}

interface StatisticsWriter {
  begin(): void;
  readonly entry: (view: View) => void;
  row(row: CpuRow): void;
  end(): void;
}

function textWriter({ out }: Context, names: readonly string[], label: NamespaceLabel | undefined): StatisticsWriter {
  const tokens = names.map((name) => token(`${name}=`));
  return {
    begin: () => {},
    entry: (view) => {
      label?.startLine(out);
      writeCpuStatistics(out, view, tokens);
    },
    row: ({ cpu, counters }) => {
      label?.startLine(out);
      out.text(`cpu=${String(cpu).padEnd(4)}\t${counters.map(([name, value]) => `${name}=${value} `).join('')}\n`);
    },
    end: () => {},
  };
}

function jsonWriter({ out, invocation }: Context, names: readonly string[], label: NamespaceLabel | undefined): StatisticsWriter {
  const members = statisticMembers(names);
  const lines = invocation.values.output?.ndjson ?? false;
  let written = 0;
  const separated = (write: () => void) => {
    if (!lines) out.text(written++ > 0 ? ',\n' : '\n');
    write();
    if (lines) out.text('\n');
  };
  return {
    begin: () => {
      if (!lines) out.text('[');
    },
    entry: (view) => separated(() => writeStatisticsJson(out, view, members, label)),
    row: ({ cpu, counters }) =>
      separated(() => {
        const netns = label ? { netns: label.name } : {};
        const numbers = Object.fromEntries(counters.map(([name, value]) => [statisticMember(name), value]));
        out.text(safeJson({ ...netns, cpu, ...numbers }));
      }),
    end: () => {
      if (!lines) out.text('\n]\n');
    },
  };
}

/** The counters, from the text of the /proc file. Expectations: those of its columns that begin with `expect`. */
function statisticsFromFile(text: string, expect: boolean): CpuRow[] {
  const [header = '', ...rows] = text.split('\n').filter((line) => line.trim() !== '');
  const names = header.trim().split(/\s+/);
  return rows.map((row, cpu) => {
    const counters = row
      .trim()
      .split(/\s+/)
      .map((value, i) => [names[i] ?? 'unknown', Number.parseInt(value, 16)] as const)
      .filter(([name]) => !expect || name.startsWith('expect'));
    return { cpu, counters };
  });
}
