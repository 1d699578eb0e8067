// What is on the screen, as command lines that show or delete the same.

import { formatFilter } from '../library/index.js';
import type { TopOptions } from './top-options.js';
import type { TopState } from './top-state.js';

export function commandLines(state: TopState, { scope }: Pick<TopOptions, 'scope'>): string[] {
  const parts = [scope, state.focus === 'groups' ? withGroup(state) : state.flowFilter].filter(
    (part) => part !== undefined && part !== '',
  );
  const filter = parts.length === 0 ? undefined : formatFilter(parts.map((part) => `(${part})`).join(' and '));
  const option = filter === undefined ? '' : ` --filter ${quoted(filter)}`;
  const operand = filter === undefined ? '' : ` ${quoted(filter)}`;
  const by = state.by === undefined ? '' : ` --by ${state.by}`;
  const { sort } = state.by === undefined ? state.flowOrder : state.groupOrder;
  return [
    `conntrack -L${option}`,
    `conntrack -C${option}`,
    `conntrack -E${option}`,
    `conntrack top --once${operand}${by} --sort ${sort}`,
    `conntrack usage${operand} --by ${state.by ?? 'src'}`,
    ...(filter === undefined ? [] : [`conntrack -D${option} --dry-run`]),
  ];
}

function withGroup(state: TopState): string {
  return [state.filter, state.currentGroup?.filter ?? '']
    .filter((text) => text !== '')
    .map((text) => `(${text})`)
    .join(' and ');
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
