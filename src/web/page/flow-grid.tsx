// The table of flows: a head that sorts, and rows in a pool below it.

import { computed, signal, untracked, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { currentFlow, cursor, followFlows, moveTo, selection, toggle } from './flow-cursor.js';
import { flows } from './flow-window.js';
import { fittingColumns, leastWidth, NARROW, type PageColumnRow, templateOf } from './page-columns.js';
import { filterProblem, sample, status } from './page-state.js';
import { filterOf, look, queryOf, view } from './page-view.js';
import { RowPool } from './row-pool.js';

const ROW = 26;
const CARD = 72;
/** Of the head. */
const HEAD = 28;

/** Pixels that the table has. */
const size = signal({ width: 0, height: 0 });
const several = computed(() => (sample.value?.namespaces.length ?? 0) > 1);
const chosenColumns = computed(() => view.value.columns);
const columns = computed(() => fittingColumns(chosenColumns.value, size.value.width, several.value));
/** For those who hear it: it changes only with the filter, not with each sample. */
const spoken = signal('');
let pool: RowPool | undefined;

/** For the keyboard. */
export const grid = {
  get page(): number {
    return pool?.page ?? 1;
  },
  focus(): void {
    document.querySelector<HTMLElement>('.grid')?.focus();
  },
};

/** Sorts by a column, or the other way round. */
export function sortBy(sort: string): void {
  const { sort: old, reverse } = view.value;
  look({ sort, reverse: sort === old && reverse === '' ? '1' : '' });
}

export function FlowGrid() {
  const scroller = useRef<HTMLDivElement>(null);
  const layer = useRef<HTMLDivElement>(null);
  const spacer = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const element = scroller.current!;
    const made = new RowPool(element, layer.current!, spacer.current!, {
      get total() {
        return flows.total;
      },
      get unit() {
        return view.value.unit as 'bits' | 'bytes';
      },
      get rates() {
        return view.value.rates as 'average' | 'rate';
      },
      get cursor() {
        return cursor.value.index;
      },
      at: (index) => flows.at(index),
      isSelected: (key) => selection.value.has(key),
    });
    pool = made;
    const observer = new ResizeObserver(() => {
      size.value = { width: element.clientWidth, height: element.clientHeight };
    });
    observer.observe(element);
    flows.start();
    return () => observer.disconnect();
  }, []);

  const draw = useRef(0);
  const drawSoon = () => {
    draw.current ||= requestAnimationFrame(() => {
      draw.current = 0;
      pool?.draw();
      const { first, count } = pool!.shown;
      flows.look(first, count);
    });
  };
  useSignalEffect(() => {
    const { width, height } = size.value;
    if (width === 0) return;
    const isCards = width < NARROW;
    pool?.build(columns.value, isCards ? CARD : ROW, Math.max(0, height - (isCards ? 0 : HEAD)));
    const { first } = pool!.shown;
    flows.look(first, pool!.page + 1);
    drawSoon();
  });
  useSignalEffect(() => {
    flows.changes.value;
    untracked(followFlows);
    drawSoon();
  });
  useSignalEffect(() => {
    cursor.value;
    selection.value;
    view.value;
    drawSoon();
  });
  // Another filter or order begins at its first row.
  useSignalEffect(() => {
    queryOf.value;
    if (scroller.current) scroller.current.scrollTop = 0;
    cursor.value = { index: -1 };
  });
  useSignalEffect(() => {
    const { index } = cursor.value;
    if (index < 0) return;
    pool?.reveal(index);
    scroller.current?.setAttribute('aria-activedescendant', rowId(index));
  });
  const filter = filterOf.value;
  const matched = flows.answer.value?.matched;
  useEffect(() => {
    if (matched !== undefined) spoken.value = filter === '' ? '' : `${matched} flows match`;
  }, [filter, matched === undefined]);

  const click = (event: MouseEvent) => {
    const index = pool?.indexAt(event.target);
    if (index === undefined || !flows.at(index)) return;
    moveTo(index);
    const isBox = (event.target as Element).closest('.box') !== null;
    if (isBox || event.ctrlKey || event.metaKey) toggle(currentFlow());
    else if (getSelection()?.isCollapsed !== false) look({ flow: currentFlow()?.key ?? '' });
  };

  return (
    <>
      <div
        ref={scroller}
        class={size.value.width < NARROW ? 'grid cards' : 'grid'}
        role="grid"
        tabIndex={0}
        aria-label="Flows"
        aria-rowcount={(matched ?? 0) + 1}
        aria-colcount={columns.value.length + 1}
        aria-multiselectable
        style={{ '--columns': templateOf(columns.value), '--least': `${leastWidth(columns.value)}px` }}
        onScroll={drawSoon}
        onClick={click}
      >
        <div class="grid-head" role="rowgroup">
          <div class="head-row" role="row" aria-rowindex={1}>
            <span role="columnheader">
              <span class="unseen">selected</span>
            </span>
            {columns.value.map((column) => (
              <Title key={column.name} column={column} />
            ))}
          </div>
        </div>
        <div ref={layer} class="layer" role="rowgroup" />
        <div ref={spacer} role="none" />
      </div>
      <Nothing />
      <div class="unseen" role="status">
        {spoken.value}
      </div>
    </>
  );
}

function rowId(index: number): string {
  const rows = document.querySelectorAll('.layer > .row');
  return `row-${rows.length === 0 ? 0 : index % rows.length}`;
}

function Title({ column: { title, spoken: says, sort, ascending, right } }: { readonly column: PageColumnRow }) {
  const { sort: by, reverse } = view.value;
  // By default the sum of both rates is what is sorted by.
  const isRising = (ascending === true) === (reverse === '');
  const isSorted = sort !== undefined && (sort === by || (by === 'average' && sort.startsWith('average')));
  return (
    <span
      role="columnheader"
      class={right ? 'right' : undefined}
      aria-sort={isSorted ? (isRising ? 'ascending' : 'descending') : undefined}
    >
      {sort === undefined ? (
        title
      ) : (
        <button type="button" tabIndex={-1} aria-label={says} onClick={() => sortBy(sort)}>
          {title}
          <i>{isSorted ? (isRising ? '▲' : '▼') : ''}</i>
        </button>
      )}
    </span>
  );
}

/** Why there is nothing to see. */
function Nothing() {
  const answer = flows.answer.value;
  if (filterProblem.value !== undefined || answer?.matched !== 0) return null;
  const isEmpty = answer.total === 0;
  const untracked = status.value?.notices.some(({ code }) => code === 'NOTHING_TRACKED');
  return (
    <div class="nothing">
      <strong>{isEmpty ? 'No flows' : 'No flow matches'}</strong>
      <span>
        {isEmpty
          ? untracked
            ? 'No rule here uses connection tracking, so the table stays empty.'
            : 'The table is empty. Packets are tracked where a rule needs it, such as NAT or a match on ct state; flows appear here as they begin.'
          : `There are ${answer.total.toLocaleString('en')} others.`}
      </span>
      {!isEmpty && (
        <button type="button" onClick={() => look({ filter: '' })}>
          Show all
        </button>
      )}
    </div>
  );
}
