// Which columns the table has, and on narrow screens its order.

import { fittingColumns, PAGE_COLUMNS, PAGE_SORTS } from './page-columns.js';
import { sample } from './page-state.js';
import { look, view } from './page-view.js';

export function ColumnsMenu() {
  const several = (sample.value?.namespaces.length ?? 0) > 1;
  const shown = new Set(fittingColumns(view.value.columns, Number.MAX_SAFE_INTEGER, several).map(({ name }) => name));
  const toggle = (name: string) => {
    if (!shown.delete(name)) shown.add(name);
    look({ columns: PAGE_COLUMNS.filter((column) => shown.has(column.name)).map((column) => column.name).join(',') }); // biome-ignore format: one chain
  };
  return (
    <>
      <select
        class="narrow"
        aria-label="Sort by"
        value={view.value.sort}
        onChange={({ currentTarget: { value } }) => look({ sort: value, reverse: '' })}
      >
        <option value="average">fastest</option>
        {PAGE_SORTS.map(({ sort, title }) => (
          <option key={sort} value={sort}>
            {title}
          </option>
        ))}
      </select>
      <details class="menu">
        <summary>Columns</summary>
        <div class="menu-body">
          {PAGE_COLUMNS.map(({ name, title, spoken, priority }) => (
            <label key={name}>
              <input type="checkbox" checked={shown.has(name)} disabled={priority === 0} onChange={() => toggle(name)} />{' '}
              {spoken ?? title.toLowerCase()}
            </label>
          ))}
          {view.value.columns !== '' && (
            <button type="button" class="small" onClick={() => look({ columns: '' })}>
              As many as fit
            </button>
          )}
        </div>
      </details>
    </>
  );
}
