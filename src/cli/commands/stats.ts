// `-S`: counters of each CPU.

import { CPU_STATISTICS, EXPECTATION_STATISTICS } from '../../ctnetlink/statistics.js';
import type { View } from '../../ctnetlink/view.js';
import { KernelError, SystemError } from '../../errors.js';
import { token } from '../../format/byte-writer.js';
import { NamespaceLabel } from '../../format/options.js';
import { writeCpuStatistics } from '../../format/statistics-text.js';
import type { Context } from '../context.js';

/** Readable by everybody: a header line of names, then a line of hexadecimal numbers a CPU. */
const STATISTICS_FILE = '/proc/net/stat/nf_conntrack';

export async function stats(context: Context): Promise<number> {
  const { invocation, out, tables } = context;
  const expect = invocation.table === 'expect';
  const names = (expect ? EXPECTATION_STATISTICS : CPU_STATISTICS).map((name) => token(`${name}=`));
  const label = tables.several ? new NamespaceLabel() : undefined;
  const writeLabel = () => {
    if (!label) return;
    out.reserve(label.size);
    label.writeText(out);
  };
  const write = (view: View) => {
    writeLabel();
    writeCpuStatistics(out, view, names);
  };
  const complete = await tables.each(async (table) => {
    if (table.netns !== undefined) label?.set(table.netns);
    try {
      const conntrack = table.conntrack();
      await (expect ? conntrack.scanExpectationStatistics(write) : conntrack.scanStatistics(write));
    } catch (error) {
      const text = error instanceof KernelError || error instanceof SystemError ? table.readText(STATISTICS_FILE) : undefined;
      if (text === undefined) throw error;
      for (const line of statisticsFromFile(text, expect)) {
        writeLabel();
        out.text(line);
      }
    }
  });
  out.flush();
  return complete ? 0 : 1;
}

/** The lines of `-S`, from the text of the /proc file. Expectations: those of its columns that begin with `expect`. */
export function statisticsFromFile(text: string, expect: boolean): string[] {
  const [header = '', ...rows] = text.split('\n').filter((line) => line.trim() !== '');
  const names = header.trim().split(/\s+/);
  return rows.map((row, cpu) => {
    const fields = row
      .trim()
      .split(/\s+/)
      .map((value, i) => [names[i] ?? 'unknown', Number.parseInt(value, 16)] as const)
      .filter(([name]) => !expect || name.startsWith('expect'));
    return `cpu=${String(cpu).padEnd(4)}\t${fields.map(([name, value]) => `${name}=${value} `).join('')}\n`;
  });
}
