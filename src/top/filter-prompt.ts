// The prompt of `/`: a filter that is checked while it is typed.

import { FilterError } from '../errors.js';
import { completeFilter, formatFilter, type LabelMap, parseFilter } from '../library/index.js';
import { type PromptError, PromptOverlay } from './prompt-overlay.js';
import { TEXT_LIMIT } from './text-box.js';

/** `done` gets canonical text; empty: no filter. */
export function filterPrompt(
  text: string,
  history: readonly string[],
  labels: LabelMap | undefined,
  done: (filter: string) => void,
): PromptOverlay {
  const names = labels ? { labels } : {};
  return new PromptOverlay('/', text, history, {
    hint: 'such as: tcp and dst port 443 and not src 10.0.0.0/8   Tab completes',
    check: (typed) => (typed.trim() === '' ? undefined : problemOf(() => parseFilter(typed, names))),
    complete: (typed, cursor) => completeFilter(typed, cursor, names),
    done: (typed) => {
      const canonical = typed.trim() === '' ? '' : formatFilter(parseFilter(typed, names));
      // The canonical text may be too long to be read again.
      done(canonical.length <= TEXT_LIMIT ? canonical : typed);
    },
  });
}

/** Why a filter is refused; `undefined` if it is not. */
function problemOf(read: () => unknown): PromptError | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const { problem: message, hint, offset: at, length } = error;
    return { message, hint, at, length };
  }
}
