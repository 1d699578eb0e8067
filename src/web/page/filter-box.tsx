// The filter: checked while it is typed, its error marked at its place, its words completed.

import { signal, useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { ask } from './api.js';
import { filterProblem, refused } from './page-state.js';
import { look, view } from './page-view.js';
import type { FilterAnswer } from './shapes.js';

const text = signal(view.value.filter);
const answer = signal<FilterAnswer | undefined>(undefined);
const isOpen = signal(false);
/** Which of the words is chosen; -1: none. */
const chosen = signal(-1);
/** Words that are listed. */
const MOST = 12;

export const filterInput: { focus(): void } = {
  focus: () => document.querySelector<HTMLInputElement>('#filter')?.select(),
};

export function FilterBox() {
  const input = useRef<HTMLInputElement>(null);
  const mirror = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    text.value = view.value.filter;
    answer.value = undefined;
    isOpen.value = false;
  });

  const check = async (listed: boolean) => {
    const { value, selectionStart } = input.current!;
    text.value = value;
    try {
      const now = await ask<FilterAnswer>('filter', { text: value, cursor: String(selectionStart ?? value.length) });
      if (value !== input.current?.value) return;
      answer.value = now;
      chosen.value = -1;
      isOpen.value = listed && now.completions.length > 0 && document.activeElement === input.current;
    } catch (error) {
      refused(error);
    }
  };
  const apply = () => {
    isOpen.value = false;
    look({ filter: text.value.trim() });
  };
  /** Writes a word in place of what is typed of it. */
  const complete = (word: string) => {
    const { value, selectionStart } = input.current!;
    const cursor = selectionStart ?? value.length;
    const before = value.slice(0, cursor);
    let typed = Math.min(word.length, before.length);
    while (typed > 0 && !word.toLowerCase().startsWith(before.slice(-typed).toLowerCase())) typed--;
    const kept = before.slice(0, before.length - typed);
    const space = /\w$/.test(word) && !value.slice(cursor).startsWith(' ') ? ' ' : '';
    input.current!.value = kept + word + space + value.slice(cursor);
    const end = kept.length + word.length + space.length;
    input.current!.setSelectionRange(end, end);
    void check(true);
  };
  const key = (event: KeyboardEvent) => {
    const words = isOpen.value ? (answer.value?.completions.slice(0, MOST) ?? []) : [];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && words.length > 0) chosen.value = (chosen.value + step + words.length + 1) % (words.length + 1);
    else if (event.key === 'ArrowDown') void check(true);
    else if (event.key === 'Tab' && words.length > 0 && !event.shiftKey && text.value !== '')
      complete(words[Math.max(0, chosen.value)]!.text);
    else if (event.key === 'Enter' && words[chosen.value]) complete(words[chosen.value]!.text);
    else if (event.key === 'Enter') apply();
    else if (event.key === 'Escape' && isOpen.value) isOpen.value = false;
    else if (event.key === 'Escape') input.current!.blur();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const error = answer.value?.error;
  const problem = error ? (error.hint === undefined ? error.problem : `${error.problem}: ${error.hint}`) : filterProblem.value;
  const offset = error?.offset ?? text.value.length;
  const length = Math.max(1, error?.length ?? 1);
  const words = answer.value?.completions.slice(0, MOST) ?? [];
  return (
    <div class="filter">
      <div class="filter-text">
        <div ref={mirror} class="mirror" aria-hidden="true">
          {error && (
            <>
              {text.value.slice(0, offset)}
              <mark>{text.value.slice(offset, offset + length) || ' '}</mark>
              {text.value.slice(offset + length)}
            </>
          )}
        </div>
        <input
          ref={input}
          id="filter"
          type="text"
          role="combobox"
          aria-label="Filter"
          aria-expanded={isOpen.value}
          aria-controls="filter-words"
          aria-autocomplete="list"
          aria-invalid={problem !== undefined}
          aria-describedby="filter-problem"
          aria-activedescendant={isOpen.value && chosen.value >= 0 ? `word-${chosen.value}` : undefined}
          placeholder="Filter: tcp and dst port 443 and not src 10.0.0.0/8"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={text.value}
          onInput={() => void check(true)}
          onKeyDown={key}
          onBlur={() => {
            isOpen.value = false;
          }}
          onScroll={() => {
            mirror.current!.scrollLeft = input.current!.scrollLeft;
          }}
        />
        {(text.value !== '' || view.value.filter !== '') && (
          <button
            type="button"
            class="clear"
            aria-label="Clear the filter"
            onClick={() => {
              text.value = '';
              look({ filter: '' });
              input.current!.focus();
            }}
          >
            ✕
          </button>
        )}
      </div>
      {isOpen.value && (
        <div id="filter-words" class="words" role="listbox" aria-label="How it can go on">
          {words.map((word, n) => (
            <div
              key={word.text}
              id={`word-${n}`}
              role="option"
              tabIndex={-1}
              aria-selected={n === chosen.value}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => complete(word.text)}
            >
              <b>{word.text}</b> <span>{word.help}</span>
            </div>
          ))}
        </div>
      )}
      <div id="filter-problem" class="problem" role="alert">
        {problem}
      </div>
    </div>
  );
}
