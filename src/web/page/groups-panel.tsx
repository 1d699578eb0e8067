// Who has most: groups of flows, by a choice of what they have in common.

import { count, percent, rate } from '../../units.js';
import { groups, measured, minute, status } from './page-state.js';
import { look, minuteOf, narrow, view } from './page-view.js';
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
/** Seconds: times of the day say enough. */
const TODAY = 20 * 3600;
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
  const isPast = minuteOf.value !== undefined;
  const past = minute.value;
  const answer = isPast ? (past && 'groups' in past ? past : undefined) : groups.value;
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
      {isPast && <PastLine at={minuteOf.value!} answer={past} />}
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
        {answer && 'other' in answer && answer.count > answer.groups.length && (
          <p class="rest">
            {count(answer.other.groups)} more with {count(answer.other.flows)} flows
          </p>
        )}
        {past && 'problem' in past && <p class="rest">{past.problem}</p>}
        {answer?.groups.length === 0 && <p class="rest">No flows</p>}
      </div>
    </section>
  );
}

/** Which minute the list is of, what it says, and the way back. */
function PastLine({ at, answer }: { readonly at: number; readonly answer: typeof minute.value }) {
  const isToday = Date.now() / 1000 - at < TODAY;
  const time = (seconds: number) =>
    new Date(seconds * 1000).toLocaleString('en-GB', {
      ...(isToday ? {} : { day: 'numeric', month: 'short' }),
      hour: '2-digit',
      minute: '2-digit',
    });
  const of =
    answer && 'from' in answer
      ? answer.from === 'memory'
        ? 'all flows, at its end'
        : `flows that ended in it${answer.unreadable ? `; ${answer.unreadable} files cannot be read` : ''}`
      : '';
  return (
    <p class="past" role="status">
      <b>{time(at)}</b>
      {of}
      <span class="gap" />
      <button type="button" class="small" title="Back to now (0)" onClick={() => look({ at: '' })}>
        Now
      </button>
    </p>
  );
}

function sumOf({ average }: PageGroup): number {
  return average ? average.original + average.reply : 0;
}

interface GroupRowProps {
  readonly group: PageGroup;
  readonly part: number;
  readonly all: number | undefined;
  readonly unit: string;
  /** The key is the name of a network namespace, which no filter says. */
  readonly isNamespace: boolean;
}

function GroupRow({ group, part, all, unit, isNamespace }: GroupRowProps) {
  const { key, filter, flows, unreplied = 0, average } = group;
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
      <td class="right part">{all === undefined ? '' : percent(flows, all)}</td>
    </tr>
  );
}
