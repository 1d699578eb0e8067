// What can be done with the flows that are selected, or with all that match; and what happened last.

import { count, rate } from '../../units.js';
import { exported } from './api.js';
import { copyText } from './clipboard-text.js';
import { selectedRate, selection, selectNone } from './flow-cursor.js';
import { flows } from './flow-window.js';
import { showCommands } from './page-keys.js';
import { message, overlay, refused, status, tell } from './page-state.js';
import { filterOf, filterPart, queryOf, view } from './page-view.js';
import type { PageDeletion } from './shapes.js';

/** All lines, as a file. */
async function download(): Promise<void> {
  try {
    const chosen = [...selection.value.values()];
    const lines = chosen.length > 0 ? new Blob(chosen.map((flow) => `${JSON.stringify(flow)}\n`)) : await exported(queryOf.value);
    const anchor = document.createElement('a');
    anchor.href = URL.createObjectURL(lines);
    anchor.download = `conntrack-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.ndjson`;
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
    tell(`Saved ${anchor.download}`);
  } catch (error) {
    refused(error);
  }
}

export function PageFooter() {
  const chosen = selection.value.size;
  const answer = flows.answer.value;
  const unit = view.value.unit as 'bits' | 'bytes';
  const matched = answer?.matched ?? 0;
  const filter = filterOf.value;
  const target: PageDeletion =
    chosen > 0 ? { flows: [...selection.value.keys()] } : { ...filterPart(), ...(filter === '' ? { all: true } : {}) };
  return (
    <footer>
      <span class="chosen">
        {chosen > 0 ? (
          <>
            <b>{count(chosen)}</b> selected · {rate(selectedRate.value, unit)} {unit === 'bits' ? 'bit/s' : 'B/s'}{' '}
            <button type="button" class="small" onClick={selectNone}>
              Leave
            </button>
          </>
        ) : (
          <>
            <b>{count(matched)}</b> {filter === '' ? 'flows' : 'match'}
          </>
        )}
      </span>
      <span class={message.value?.bad ? 'message bad' : 'message'} role="status">
        {message.value?.text}
      </span>
      {status.value?.changes && (
        <button
          type="button"
          class="danger"
          disabled={matched === 0 && chosen === 0}
          onClick={() => {
            overlay.value = { what: 'delete', target };
          }}
        >
          Delete…
        </button>
      )}
      <button type="button" onClick={showCommands}>
        As command
      </button>
      <button type="button" disabled={matched === 0} onClick={() => void download()}>
        NDJSON
      </button>
      <button type="button" onClick={() => void copyText(location.href)}>
        Link
      </button>
    </footer>
  );
}
