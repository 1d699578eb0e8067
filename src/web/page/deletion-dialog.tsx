// Asks before flows are deleted: what would go, what to think of, and for many the number.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { count } from '../../units.js';
import { ApiError, order } from './api.js';
import { selectNone } from './flow-cursor.js';
import { flowText } from './flow-parts.js';
import { flows } from './flow-window.js';
import { PageDialog } from './page-dialog.js';
import { overlay, refused, tell } from './page-state.js';
import { look } from './page-view.js';
import type { DeletionCounts, PageDeletion, PagePlan } from './shapes.js';

/** More than these are typed. */
const TYPED = 100;

/** What happened, in a sentence. */
export function deletionText({ deleted, alreadyGone, failed, cameBack }: DeletionCounts): string {
  return [
    `Deleted ${count(deleted)}`,
    ...(alreadyGone > 0 ? [`${count(alreadyGone)} already gone`] : []),
    ...(failed > 0 ? [`${count(failed)} failed`] : []),
    ...(cameBack === undefined ? [] : [cameBack === 0 ? 'none came back' : `${count(cameBack)} came back within 5 s`]),
  ].join(', ');
}

export function DeletionDialog({ target }: { readonly target: PageDeletion }) {
  const plan = useSignal<PagePlan | undefined>(undefined);
  const typed = useSignal('');
  const cancel = useRef<HTMLButtonElement>(null);
  const close = () => {
    overlay.value = undefined;
  };
  useEffect(() => {
    cancel.current?.focus();
    order<PagePlan>('deletions', { ...target, dryRun: true })
      .then((made) => {
        plan.value = made;
      })
      .catch((error) => {
        close();
        refused(error);
      });
  }, []);
  const go = async () => {
    const { confirm } = plan.value!;
    close();
    try {
      tell(deletionText(await order<DeletionCounts>('deletions', { ...target, confirm })));
      selectNone();
      look({ flow: '' });
      await flows.refresh();
    } catch (error) {
      if (error instanceof ApiError && error.code === 'CHANGED') tell(`${error.message}: nothing was deleted`, true);
      else refused(error);
    }
  };
  const made = plan.value;
  const must = (made?.matched ?? 0) > TYPED;
  const isTyped = !must || typed.value.replaceAll(/[,\s]/g, '') === String(made?.matched);
  const title = made ? `Delete ${made.matched === 1 ? 'this flow' : `${count(made.matched)} flows`}?` : 'Delete flows: counting…';
  return (
    <PageDialog title={title} close={close}>
      {target.filter !== undefined && (
        <p>
          All that match <code>{target.filter}</code>
        </p>
      )}
      {target.all && <p>The whole table: there is no filter.</p>}
      {target.netns !== undefined && (
        <p>
          In the network namespace <code>{target.netns}</code>
        </p>
      )}
      <ul class="largest">
        {made?.largest.map((flow) => (
          <li key={flow.key}>{flowText(flow)}</li>
        ))}
        {made && made.matched > made.largest.length && <li class="dim">and {count(made.matched - made.largest.length)} more</li>}
      </ul>
      {made?.warnings.map((warning) => (
        <p key={warning} class="warning">
          {warning}
        </p>
      ))}
      {must && (
        <label class="typed">
          Type {count(made!.matched)} to delete them:{' '}
          <input
            type="text"
            inputMode="numeric"
            autocomplete="off"
            value={typed.value}
            onInput={({ currentTarget: { value } }) => {
              typed.value = value;
            }}
          />
        </label>
      )}
      <div class="buttons">
        <button ref={cancel} type="button" onClick={close}>
          Cancel
        </button>
        <button type="button" class="danger" disabled={!made || made.matched === 0 || !isTyped} onClick={() => void go()}>
          Delete
        </button>
      </div>
    </PageDialog>
  );
}
