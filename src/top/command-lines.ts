// What is on the screen, as command lines that show or delete the same.

import { formatFilter } from '../library/index.js';
import { joinFilters } from '../meter/index.js';
import type { TopOptions } from './top-options.js';
import type { TopState } from './top-state.js';

export function commandLines(state: TopState, { scope, netns }: Pick<TopOptions, 'scope' | 'netns'>): string[] {
  const group = state.by === undefined ? undefined : state.focus === 'groups' ? state.currentGroup : state.groupOfFlows;
  const joined = joinFilters([scope, state.filter, group?.filter]);
  const filter = joined && formatFilter(joined);
  const where = netns === undefined ? '' : ` --netns ${quoted(netns)}`;
  const option = `${where}${filter === undefined ? '' : ` --filter ${quoted(filter)}`}`;
  const operand = `${where}${filter === undefined ? '' : ` ${quoted(filter)}`}`;
  const by = state.by === undefined ? '' : ` --by ${state.by}`;
  const { sort, reverse } = state.by === undefined ? state.flowOrder : state.groupOrder;
  return [
    `conntrack -L${option}`,
    `conntrack -C${option}`,
    `conntrack -E${option}`,
    `conntrack top --once${operand}${by} --sort ${sort}${reverse ? ' --reverse' : ''}`,
    `conntrack usage${operand} --by ${state.by ?? 'src'}`,
    ...(filter === undefined ? [] : [`conntrack -D${option} --dry-run`]),
  ];
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
