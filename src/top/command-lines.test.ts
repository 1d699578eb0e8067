import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { FlowGroup } from '../meter/index.js';
import { commandLines } from './command-lines.js';
import { TopState } from './top-state.js';

const EVERYWHERE = { scope: undefined, netns: undefined };

function state(filter = ''): TopState {
  const state = new TopState('average', false);
  state.filter = filter;
  return state;
}

suite('what is shown, as command lines', () => {
  test('without a filter', () => {
    assert.deepEqual(commandLines(state(), EVERYWHERE), [
      'conntrack -L',
      'conntrack -C',
      'conntrack -E',
      'conntrack top --once --sort average',
      'conntrack usage --by src',
    ]);
  });

  test('within a scope, in a group, the other way round', () => {
    const one = state('tcp or udp');
    one.groupBy('service');
    one.groupOrder.reverse = true;
    const group: FlowGroup = { key: 'tcp 443', filter: 'tcp and dst port 443', flows: 1, unreplied: 0 };
    one.showGroups({ groups: [group], offset: 0, count: 1 } as never);
    const filter = "'src 10.0.0.0/8 and (tcp or udp) and tcp and dst port 443'";
    assert.deepEqual(commandLines(one, { ...EVERYWHERE, scope: 'src 10.0.0.0/8' }), [
      `conntrack -L --filter ${filter}`,
      `conntrack -C --filter ${filter}`,
      `conntrack -E --filter ${filter}`,
      `conntrack top --once ${filter} --by service --sort flows --reverse`,
      `conntrack usage ${filter} --by service`,
      `conntrack -D --filter ${filter} --dry-run`,
    ]);
  });

  test('in the network namespace that is shown', () => {
    for (const line of commandLines(state('tcp'), { ...EVERYWHERE, netns: 'blue' })) assert.match(line, / --netns 'blue' /);
  });

  test('with a filter as long as one can be', () => {
    const filter = Array.from({ length: 255 }, (_, n) => `mark ${n}`).join(' or ');
    const long = `${filter}${' '.repeat(4096 - filter.length)}`;
    assert.match(commandLines(state(long), { ...EVERYWHERE, scope: 'tcp' })[0]!, /^conntrack -L --filter 'tcp and /);
  });
});
