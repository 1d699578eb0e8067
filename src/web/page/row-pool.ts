// RowPool: as many rows as fit on the screen, written anew as the table moves below them. All are equally high, so nothing is measured; a
// table that is higher than browsers can scroll is scaled. Text is written as text, and the rows have no listeners.

import { hasStatus } from './flow-parts.js';
import type { PageColumnRow } from './page-columns.js';
import type { PageFlow } from './shapes.js';

/** Browsers end somewhere above. */
const HIGHEST = 12_000_000;

/** What the rows show. */
export interface RowSource {
  readonly total: number;
  readonly unit: 'bits' | 'bytes';
  /** Which of the rates is shown. */
  readonly rates: 'average' | 'rate';
  readonly cursor: number;
  at(index: number): PageFlow | undefined;
  isSelected(key: string): boolean;
}

interface PooledRow {
  readonly element: HTMLElement;
  readonly box: HTMLElement;
  readonly cells: readonly { readonly element: HTMLElement; readonly head: Text; readonly tail: Text | undefined }[];
  index: number;
  classes: string;
}

export class RowPool {
  readonly #scroller: HTMLElement;
  readonly #layer: HTMLElement;
  readonly #spacer: HTMLElement;
  readonly #source: RowSource;
  #columns: readonly PageColumnRow[] = [];
  #rows: PooledRow[] = [];
  #rowHeight = 28;
  /** Of the part of the scroller that has rows. */
  #height = 0;

  constructor(scroller: HTMLElement, layer: HTMLElement, spacer: HTMLElement, source: RowSource) {
    this.#scroller = scroller;
    this.#layer = layer;
    this.#spacer = spacer;
    this.#source = source;
  }

  /** Rows that can be seen whole. */
  get page(): number {
    return Math.max(1, Math.floor(this.#height / this.#rowHeight));
  }

  /** The first row that can be seen, at least in part, and how many. */
  get shown(): { readonly first: number; readonly count: number } {
    const first = Math.floor(this.#position);
    return { first, count: Math.min(this.#rows.length, Math.max(0, this.#source.total - first)) };
  }

  /** The row at the upper edge, with a fraction. */
  get #position(): number {
    const { total } = this.#source;
    const rows = this.#height / this.#rowHeight;
    if (total <= rows) return 0;
    const scaled = total * this.#rowHeight > HIGHEST;
    const position = scaled
      ? (this.#scroller.scrollTop / (HIGHEST - this.#height)) * (total - rows)
      : this.#scroller.scrollTop / this.#rowHeight;
    return Math.min(Math.max(position, 0), total - rows);
  }

  /** Other columns, or another size. Until they are drawn, rows are what they show: somebody may click on one. */
  build(columns: readonly PageColumnRow[], rowHeight: number, height: number): void {
    const count = Math.ceil(height / rowHeight) + 1;
    if (columns !== this.#columns || rowHeight !== this.#rowHeight) this.#rows = [];
    this.#columns = columns;
    this.#rowHeight = rowHeight;
    this.#height = height;
    this.#layer.style.height = `${height}px`;
    this.#layer.style.marginBottom = `${-height}px`;
    if (count !== this.#rows.length) {
      this.#rows = Array.from({ length: count }, (_, n) => this.#rows[n] ?? this.#make(n));
      this.#layer.replaceChildren(...this.#rows.map(({ element }) => element));
    }
  }

  /** Writes what has changed. */
  draw(): void {
    const { total, cursor } = this.#source;
    this.#spacer.style.height = `${Math.min(total * this.#rowHeight, HIGHEST)}px`;
    const position = this.#position;
    const first = Math.floor(position);
    const size = this.#rows.length;
    for (let index = first; index < first + size; index++) {
      const row = this.#rows[index % size]!;
      row.element.style.transform = `translateY(${Math.round((index - position) * this.#rowHeight)}px)`;
      this.#write(row, index, index < total, index === cursor);
    }
  }

  /** Scrolls as little as needed until a row can be seen whole. */
  reveal(index: number): void {
    const position = this.#position;
    const rows = this.#height / this.#rowHeight;
    const wanted = index < position ? index : index + 1 > position + rows ? index + 1 - rows : undefined;
    if (wanted === undefined) return;
    const { total } = this.#source;
    this.#scroller.scrollTop =
      total * this.#rowHeight > HIGHEST
        ? (wanted / Math.max(total - rows, 1)) * (HIGHEST - this.#height)
        : wanted * this.#rowHeight;
  }

  /** The row of an element inside one. */
  indexAt(target: EventTarget | null): number | undefined {
    const element = (target as Element | null)?.closest('.row');
    return this.#rows.find((row) => row.element === element)?.index;
  }

  #make(n: number): PooledRow {
    const element = make('div', 'row', 'row');
    element.id = `row-${n}`;
    const box = make('span', 'box', 'gridcell');
    const cells = this.#columns.map(({ name, right }) => {
      const cell = make('span', `cell ${name}${right ? ' right' : ''}`, 'gridcell');
      if (name !== 'source' && name !== 'destination') {
        const head = document.createTextNode('');
        cell.append(head);
        return { element: cell, head, tail: undefined };
      }
      const [first, second] = [make('span', 'head'), make('span', 'tail')];
      const [head, tail] = [document.createTextNode(''), document.createTextNode('')];
      first.append(head);
      second.append(tail);
      cell.append(first, second);
      return { element: cell, head, tail };
    });
    element.append(box, ...cells.map(({ element: cell }) => cell));
    return { element, box, cells, index: -1, classes: '' };
  }

  #write(row: PooledRow, index: number, exists: boolean, isCursor: boolean): void {
    const { unit, rates } = this.#source;
    const flow = exists ? this.#source.at(index) : undefined;
    const selected = flow !== undefined && this.#source.isSelected(flow.key);
    const classes = `row${exists ? '' : ' none'}${exists && !flow ? ' loading' : ''}${index & 1 ? ' odd' : ''}${isCursor ? ' cursor' : ''}${selected ? ' selected' : ''}${flow && !hasStatus(flow, 'SEEN_REPLY') ? ' silent' : ''}${flow?.ended ? ' ended' : ''}`;
    if (row.classes !== classes) {
      row.classes = classes;
      row.element.className = classes;
      row.element.ariaSelected = String(selected);
    }
    if (row.index !== index) {
      row.index = index;
      row.element.ariaRowIndex = String(index + 2);
    }
    const mark = selected ? '☑' : '☐';
    if (row.box.textContent !== mark) row.box.textContent = mark;
    for (const [n, column] of this.#columns.entries()) {
      const { element, head, tail } = row.cells[n]!;
      const text = flow ? column.text(flow, unit, rates) : '';
      if (tail) {
        const [one, other] = typeof text === 'string' ? [text, ''] : text;
        if (head.data !== one) head.data = one;
        if (tail.data !== other) tail.data = other;
        const whole = one + other;
        if (element.title !== whole) element.title = whole;
        continue;
      }
      if (head.data !== text) {
        head.data = text as string;
        element.title = (text as string).length > 12 ? (text as string) : '';
      }
      if (column.look) element.dataset['look'] = flow ? column.look(flow) : '';
    }
  }
}

function make(name: string, className: string, role?: string): HTMLElement {
  const element = document.createElement(name);
  element.className = className;
  if (role !== undefined) element.role = role;
  return element;
}
