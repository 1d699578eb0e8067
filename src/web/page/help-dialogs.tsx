// The help, and what is shown as command lines.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ask } from './api.js';
import { CopyLine } from './copy-line.js';
import { PageDialog } from './page-dialog.js';
import { PAGE_KEYS } from './page-keys.js';
import { overlay, refused, status } from './page-state.js';
import { view } from './page-view.js';
import type { FilterAnswer } from './shapes.js';

function close(): void {
  overlay.value = undefined;
}

const SIGNS = [
  ['→ ←', 'from the one who asked, and back'],
  ['red', 'no answer yet'],
  ['struck through', 'ended: stays for two samples'],
  ['·', 'not known yet'],
  ['-', 'will not be known: no counters'],
  ['s d', 'source or destination translated (NAT)'],
  ['offl', 'offloaded: the counters stand still'],
  ['≥', 'at least: it was there before the meter'],
] as const;

export function HelpDialog() {
  return (
    <PageDialog title="Keys" close={close}>
      <dl class="keys">
        {PAGE_KEYS.map(({ shown, help }) => (
          <div key={shown}>
            <dt>{shown}</dt>
            <dd>{help}</dd>
          </div>
        ))}
      </dl>
      <h2>Signs</h2>
      <dl class="keys">
        {SIGNS.map(([sign, text]) => (
          <div key={sign}>
            <dt>{sign}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <div class="buttons">
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </PageDialog>
  );
}

export function CommandsDialog({ filter }: { readonly filter: string }) {
  const canonical = useSignal<string | undefined>(filter === '' ? '' : undefined);
  useEffect(() => {
    const scope = status.value?.scope;
    const parts = [scope, filter].filter((part) => part !== undefined && part !== '');
    if (parts.length === 0) return;
    ask<FilterAnswer>('filter', { text: parts.map((part) => `(${part})`).join(' and ') })
      .then((answer) => {
        canonical.value = answer.canonical ?? filter;
      })
      .catch((error) => {
        close();
        refused(error);
      });
  }, []);
  return (
    <PageDialog title="The same on the command line" close={close}>
      <ul class="commands">
        {canonical.value !== undefined &&
          commandsFor(canonical.value).map((line) => (
            <li key={line}>
              <CopyLine text={line} />
            </li>
          ))}
      </ul>
      <div class="buttons">
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </PageDialog>
  );
}

function commandsFor(filter: string): string[] {
  // For a shell.
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const { by, sort, reverse, netns } = view.value;
  const where = netns === '' ? '' : ` --netns ${quoted(netns)}`;
  const option = `${where}${filter === '' ? '' : ` --filter ${quoted(filter)}`}`;
  const operand = `${where}${filter === '' ? '' : ` ${quoted(filter)}`}`;
  return [
    `conntrack -L${option}`,
    `conntrack -E${option}`,
    `conntrack top --once${operand} --sort ${sort}${reverse === '' ? '' : ' --reverse'}`,
    `conntrack usage${operand} --by ${by}`,
    ...(filter === '' ? [] : [`conntrack -D${option} --dry-run`]),
  ];
}
