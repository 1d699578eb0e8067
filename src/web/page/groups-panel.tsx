// Who has most: groups of flows, by a choice of what they have in common.

import { count, percent, rate } from '../../units.js';
import { groups, measured, status } from './page-state.js';
import { look, narrow, view } from './page-view.js';
import type { PageGroup } from './shapes.js';

export const GROUPINGS: readonly (readonly [by: string, text: string])[] = [
  ['src', 'source'],
  ['dst', 'destination'],
  ['pair', 'source and destination'],
  ['service', 'service'],
  ['protocol', 'protocol'],
  ['state', 'state'],
  ['snat', 'outside address'],
  ['dnat', 'real destination'],
  ['mark', 'mark'],
  ['label', 'labels'],
  ['helper', 'helper'],
  ['zone', 'zone'],
  ['family', 'address family'],
  ['netns', 'network namespace'],
];
/** Parts of an address, of both families. */
const LENGTHS: readonly (readonly [length: string, text: string])[] = [
  ['', 'address'],
  ['24,64', '/24 · /64'],
  ['16,48', '/16 · /48'],
  ['8,32', '/8 · /32'],
];
/** Groups that are asked for. */
export const GROUPS = 12;
/** From so many flows on, those without answers are worth a word. */
const MANY = 20;

/** The grouping of the view, in its parts. */
export function groupingOf(by: string): readonly [name: string, length: string] {
  const [name = '', length = ''] = by.split('/');
  return GROUPINGS.some(([known]) => known === name) ? [name, length] : ['src', ''];
}

export function GroupsPanel() {
  const [name, length] = groupingOf(view.value.by);
  const { groups: sort, unit } = view.value;
  const answer = groups.value;
  const hasRates = status.value?.accounting !== 'off';
  const amount = (group: PageGroup) => (sort === 'average' && hasRates ? sumOf(group) : group.flows);
  const most = Math.max(1, ...(answer?.groups ?? []).map(amount));
  return (
    <section class="panel groups" aria-label="Largest groups">
      <div class="panel-head">
        <h2>Top by</h2>
        <select aria-label="Group by" value={name} onChange={({ currentTarget }) => look({ by: currentTarget.value })}>
          {GROUPINGS.map(([by, text]) => (
            <option key={by} value={by}>
              {text}
            </option>
          ))}
        </select>
        {(name === 'src' || name === 'dst') && (
          <select
            aria-label="Prefix length"
            value={length}
            onChange={({ currentTarget: { value } }) => look({ by: value === '' ? name : `${name}/${value}` })}
          >
            {LENGTHS.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        )}
        <span class="gap" />
        <div class="choice" role="group" aria-label="Largest by">
          {(
            [
              ['average', 'rate'],
              ['flows', 'flows'],
              ['unreplied', 'unreplied'],
            ] as const
          ).map(([value, text]) => (
            <button key={value} type="button" aria-pressed={sort === value} onClick={() => look({ groups: value })}>
              {text}
            </button>
          ))}
        </div>
      </div>
      <div class="panel-body" tabIndex={0} role="region" aria-label="Groups">
        <table>
          <colgroup>
            <col />
            <col class="rate" />
            <col class="number" />
            <col class="part" />
          </colgroup>
          <thead class="unseen">
            <tr>
              <th scope="col">group</th>
              <th scope="col">rate</th>
              <th scope="col">flows</th>
              <th scope="col">share</th>
            </tr>
          </thead>
          <tbody>
            {answer?.groups.map((group) => (
              <GroupRow
                key={group.key}
                group={group}
                part={amount(group) / most}
                all={answer.matched}
                unit={unit}
                isNamespace={answer.by === 'netns'}
              />
            ))}
          </tbody>
        </table>
        {answer && answer.count > answer.groups.length && (
          <p class="rest">
            {count(answer.other.groups)} more with {count(answer.other.flows)} flows
          </p>
        )}
        {answer?.groups.length === 0 && <p class="rest">No flows</p>}
      </div>
    </section>
  );
}

function sumOf({ average }: PageGroup): number {
  return average ? average.original + average.reply : 0;
}

interface GroupRowProps {
  readonly group: PageGroup;
  readonly part: number;
  readonly all: number;
  readonly unit: string;
  /** The key is the name of a network namespace, which no filter says. */
  readonly isNamespace: boolean;
}

function GroupRow({ group, part, all, unit, isNamespace }: GroupRowProps) {
  const { key, filter, flows, unreplied, average } = group;
  const isSilent = flows >= MANY && unreplied > flows / 2;
  return (
    <tr class={isSilent ? 'silent' : undefined}>
      <td class="who">
        <i class="share" style={{ width: `${Math.round(100 * part)}%` }} />
        {filter === undefined && !isNamespace ? (
          <span>{key}</span>
        ) : (
          <button
            type="button"
            title={filter ?? `only ${key}`}
            onClick={() => (filter === undefined ? look({ netns: key }) : narrow(filter))}
          >
            {key}
          </button>
        )}
      </td>
      <td class="right rate">
        {isSilent ? `${percent(unreplied, flows)} silent` : rate(measured(average && sumOf(group)), unit as 'bits')}
      </td>
      <td class="right">{count(flows)}</td>
      <td class="right part">{percent(flows, all)}</td>
    </tr>
  );
}
