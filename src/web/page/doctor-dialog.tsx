// What `conntrack doctor` finds: a bell with how much of it is wrong, and a list with what mends it.

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { count } from '../../units.js';
import { ask } from './api.js';
import { CopyLine } from './copy-line.js';
import { PageDialog } from './page-dialog.js';
import { oneAtATime, overlay, refused, sample, status } from './page-state.js';
import type { PageDiagnosis, PageFinding } from './shapes.js';

const diagnosis = signal<PageDiagnosis | undefined>(undefined);

/** Asks what is wrong now. The server looks at most twice in a minute. */
export const refreshDiagnosis = oneAtATime(async () => {
  try {
    diagnosis.value = await ask<PageDiagnosis>('doctor');
  } catch (error) {
    refused(error);
  }
});

export function DoctorBell() {
  const wrong = (diagnosis.value?.findings ?? []).filter(({ severity }) => severity !== 'info');
  const text = diagnosis.value ? `${wrong.length} ${wrong.length === 1 ? 'problem' : 'problems'} found` : 'Looking for problems';
  const worst = wrong[0]?.severity ?? '';
  return (
    <button
      type="button"
      class={`quiet bell ${worst}`}
      aria-label={text}
      title={`${text}: as conntrack doctor`}
      onClick={() => {
        overlay.value = { what: 'doctor' };
      }}
    >
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M8 1a4 4 0 0 0-4 4v3.5L2.5 11v1h11v-1L12 8.5V5a4 4 0 0 0-4-4zM6.2 13a1.8 1.8 0 0 0 3.6 0z" />
      </svg>
      {wrong.length > 0 && <b>{wrong.length}</b>}
    </button>
  );
}

export function DoctorDialog() {
  const close = () => {
    overlay.value = undefined;
  };
  useEffect(() => {
    void refreshDiagnosis();
  }, []);
  const made = diagnosis.value;
  return (
    <PageDialog title="What conntrack doctor finds" close={close}>
      {made ? <Findings findings={made.findings} /> : <p class="dim">Looking for two seconds…</p>}
      {made && made.findings.length === 0 && <p>Nothing is wrong.</p>}
      {made && (
        <p class="dim">
          {made.fine.length} checks found nothing. Looked at {new Date(made.at).toLocaleTimeString('en-GB')}.
        </p>
      )}
      {made && made.unchecked.length > 0 && (
        <details>
          <summary>{made.unchecked.length} could not be made</summary>
          <ul class="unchecked">
            {made.unchecked.map(({ id, reason, netns }) => (
              <li key={`${id} ${netns}`}>
                {netns === undefined ? '' : `${netns}: `}
                {id}: {reason}
              </li>
            ))}
          </ul>
        </details>
      )}
      <Information />
      <div class="buttons">
        <button type="button" onClick={close}>
          Close
        </button>
      </div>
    </PageDialog>
  );
}

/** What the numbers rest on, and what they cost. */
function Information() {
  const [now, state] = [sample.value, status.value];
  if (!now || !state) return null;
  const facts: readonly (readonly [name: string, text: string])[] = [
    ['Accounting', state.accounting],
    ['Events', state.events],
    ['Timestamps', state.timestamps ? 'on' : 'off'],
    ['Lists', `every ${(state.interval / 1000).toFixed(1)} s, with ${Math.round(100 * now.cost)} % of a core in all`],
    ...now.namespaces.map(({ name, kernel, lost, sweepTime }): readonly [string, string] => [
      now.namespaces.length > 1 ? name : 'Table',
      `dropped ${count(kernel.drop)}, dropped early ${count(kernel.earlyDrop)}, insert failed ${count(kernel.insertFailed)}, invalid ${count(kernel.invalid)}, events lost ${count(lost)} times, a list takes ${sweepTime.toFixed(2)} s`,
    ]),
  ];
  return (
    <dl class="facts information">
      {facts.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Findings, each with the lines that mend it. */
export function Findings({ findings }: { readonly findings: readonly PageFinding[] }) {
  return (
    <ul class="findings">
      {findings.map(({ id, severity, title, detail, fix, netns }) => (
        <li key={`${id} ${netns} ${title}`} class={severity}>
          <b>
            {severity}: {netns === undefined ? '' : `${netns}: `}
            {title}
          </b>
          {detail.map((line) => (
            <p key={line}>{line}</p>
          ))}
          {fix.map((line) => (
            <CopyLine key={line} text={line} />
          ))}
        </li>
      ))}
    </ul>
  );
}
