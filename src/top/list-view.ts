// ListView: a list of which a part is on the screen, and one row selected. The cursor goes with the selected row while the order changes,
// and the list scrolls only if the row would leave the screen; until somebody moves, the first row is selected, whatever it is.

/** Which part of the list to ask for: rows from `offset` on, or near it, with the row `id`; at place `row`, if that is told. */
export interface PartOfList<Id> {
  readonly offset: number;
  readonly around: { readonly id: Id; readonly row: number | undefined } | undefined;
}

export class ListView<Id> {
  /** The rows on the screen, the place of the first of them in the list, and how many there are. */
  #ids: readonly Id[] = [];
  #offset = 0;
  #total = 0;
  #height = 1;
  /** The row that is selected, once somebody has moved; its place on the screen. */
  #selected: Id | undefined;
  #row = 0;
  /** Somebody has moved beyond the rows on the screen: the next answer says what is selected. */
  #moving = false;
  /** The selected row shall be in the middle. */
  follows = false;

  /** Place on the screen of the selected row. */
  get row(): number {
    return this.#row;
  }

  get height(): number {
    return this.#height;
  }

  /** The selected row, also when nobody has moved; `undefined` in an empty list. */
  get current(): Id | undefined {
    return this.#ids[this.#row];
  }

  /** Place in the list of the first row on the screen. */
  get offset(): number {
    return this.#offset;
  }

  get total(): number {
    return this.#total;
  }

  get part(): PartOfList<Id> {
    const id = this.#moving ? undefined : this.#selected;
    const row = this.follows ? this.#height >> 1 : undefined;
    return { offset: this.#offset, around: id === undefined ? undefined : { id, row } };
  }

  /** The screen has room for so many rows. */
  resize(height: number): void {
    this.#height = Math.max(1, height);
  }

  /** The rows that are on the screen from now on. */
  show(ids: readonly Id[], offset: number, total: number): void {
    this.#ids = ids;
    this.#offset = offset;
    this.#total = total;
    const last = Math.max(0, ids.length - 1);
    const at = this.#selected === undefined || this.#moving ? -1 : ids.indexOf(this.#selected);
    if (at >= 0) this.#row = at;
    else if (this.#selected === undefined && !this.#moving) this.#row = 0;
    else {
      // Moved there, or the one that was selected has gone: then the one in its place is.
      this.#row = Math.min(this.#row, last);
      this.#selected = ids[this.#row];
    }
    this.#moving = false;
  }

  /** Moves by rows. @returns whether other rows than those on the screen are needed */
  move(by: number): boolean {
    this.follows = false;
    const target = Math.max(0, Math.min(this.#offset + this.#row + by, this.#total - 1));
    const row = target - this.#offset;
    if (!this.#moving && row >= 0 && row < Math.min(this.#height, this.#ids.length)) {
      this.select(row);
      return false;
    }
    if (row < 0) this.#offset = target;
    else this.#offset = Math.max(0, target - this.#height + 1);
    this.#row = target - this.#offset;
    this.#moving = true;
    return true;
  }

  /** Selects a row on the screen; others than those are ignored. */
  select(row: number): void {
    if (this.#ids[row] === undefined) return;
    this.#row = row;
    this.#selected = this.#ids[row];
  }

  /** Selects the row at a place in the list, wherever it is. */
  goTo(place: number): boolean {
    return this.move(place - this.#offset - this.#row);
  }

  /** Back to the beginning, with nothing selected. */
  reset(): void {
    this.#selected = undefined;
    this.#row = 0;
    this.#offset = 0;
    this.#moving = false;
    this.follows = false;
  }
}
