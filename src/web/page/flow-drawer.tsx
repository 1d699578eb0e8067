// Everything about one flow: its ways, its traffic, what it is in words.

import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { age, bytes, count, rate } from '../../units.js';
import { ApiError, ask } from './api.js';
import { copyText } from './clipboard-text.js';
import { Findings } from './doctor-dialog.js';
import { bytesOf, endpoint, filterFor, filterOfEnds, flowText } from './flow-parts.js';
import { overlay, refused, sample, status } from './page-state.js';
import { look, narrow, view } from './page-view.js';
import type { PageDetails, PageExplanation, PageHop, PageLife, PagePast, PageRates, PageSide, PageWay } from './shapes.js';

/** Samples of the sparkline: five minutes. */
const KEPT = 150;

/** Seconds for which an explanation is good. */
const EXPLAINED = 10;

export function FlowDrawer() {
  const { flow: key } = view.value;
  return key === '' ? null : <Drawer key={key} flowKey={key} />;
}

function Drawer({ flowKey }: { readonly flowKey: string }) {
  const details = useSignal<PageDetails | undefined>(undefined);
  const hasEnded = useSignal(false);
  const past = useSignal<readonly PageRates[]>([]);
  const close = () => look({ flow: '' });
  const load = async () => {
    if (hasEnded.value) return;
    try {
      details.value = await ask<PageDetails>(`flows/${encodeURIComponent(flowKey)}`);
      const { rate: now } = details.value;
      if (now) past.value = [...past.value, now].slice(-KEPT);
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 400)) hasEnded.value = true;
      else refused(error);
    }
  };
  useSignalEffect(() => {
    sample.value;
    void load();
  });
  const words = useSignal<PageExplanation | undefined>(undefined);
  const { flow: now } = details.value ?? {};
  // It may take a second: asked again when the flow has become something else, and now and then.
  const stage = now && JSON.stringify([now.state, now.status, Math.floor(details.value!.age / EXPLAINED)]);
  useEffect(() => {
    if (stage === undefined) return;
    ask<PageExplanation>(`flows/${encodeURIComponent(flowKey)}/explanation`)
      .then((made) => {
        words.value = made;
      })
      .catch((error) => {
        if (!(error instanceof ApiError && error.status === 404)) refused(error);
      });
  }, [stage]);
  useEffect(() => {
    document.querySelector<HTMLElement>('.drawer .close')?.focus({ preventScroll: true });
  }, []);
  const shown = details.value;
  return (
    <aside class={hasEnded.value ? 'drawer ended' : 'drawer'} aria-label="Details of the flow">
      <div class="drawer-head">
        <h2>{shown ? flowText(shown) : 'Flow'}</h2>
        <button type="button" class="close quiet" aria-label="Close the details" onClick={close}>
          ✕
        </button>
      </div>
      <p class="ended-note" role="status">
        {hasEnded.value ? (shown ? 'This flow has ended.' : 'This flow has ended, or is of another start of the server.') : ''}
      </p>
      {shown && <DrawerBody details={shown} words={words.value} past={past.value} hasEnded={hasEnded.value} />}
    </aside>
  );
}

interface DrawerBodyProps {
  readonly details: PageDetails;
  readonly words: PageExplanation | undefined;
  readonly past: readonly PageRates[];
  readonly hasEnded: boolean;
}

function DrawerBody({ details, words, past, hasEnded }: DrawerBodyProps) {
  const { flow, nat, average, counters } = details;
  const host = status.value?.host ?? 'this host';
  const facts: readonly (readonly [name: string, value: string | undefined])[] = [
    ['State', flow.state],
    ['Age', `${details.ageAtLeast ? 'at least ' : ''}${age(details.age)}`],
    ['Expires in', flow.timeout === undefined ? undefined : age(flow.timeout)],
    ['Idle', details.idle === undefined ? undefined : age(details.idle)],
    ['Mark', flow.mark ? String(flow.mark) : undefined],
    ['Zone', flow.zone ? String(flow.zone) : undefined],
    ['Helper', flow.helper],
    ['Labels', flow.labels?.join(', ')],
    ['Namespace', details.netns],
    ['Id', flow.id === undefined ? undefined : String(flow.id)],
  ];
  return (
    <>
      <Way way={nat.original} host={host} sign="→" />
      <Way way={nat.reply} host={host} sign="←" />
      {counters === 'none' ? (
        <p class="dim">No counters: accounting was off when it began.</p>
      ) : (
        <table class="traffic">
          <tbody>
            {(['original', 'reply'] as const).map((direction) => (
              <tr key={direction}>
                <th scope="row">{direction === 'original' ? '→' : '←'}</th>
                <td>{bytes(bytesOf(flow[direction]))}</td>
                <td>{count(Number(flow[direction].packets ?? 0))} packets</td>
                <td>
                  {rate(average?.[direction], view.value.unit as 'bits')} {view.value.unit === 'bits' ? 'bit/s' : 'B/s'}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Sparkline past={past} />
      <dl class="facts">
        {facts.map(([name, value]) =>
          value === undefined ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
        {flow.master && (
          <div>
            <dt>Master</dt>
            <dd>
              <EndsLink ends={flow.master} title="The flow that this one belongs to" />
            </dd>
          </div>
        )}
      </dl>
      <h3>In words</h3>
      {words ? (
        <>
          <Findings findings={words.problems} />
          <ul class="words-of-flow">
            {words.facts.map(({ text }) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </>
      ) : (
        <p class="dim">Looking…</p>
      )}
      {status.value?.record && <Past flowKey={details.key} />}
      {details.expected && (
        <>
          <h3>Expected flows</h3>
          <ul class="expected">
            {details.expected.map(({ tuple, helper }) => (
              <li key={JSON.stringify(tuple)}>
                <EndsLink ends={tuple} title="Flows that came of it" /> {helper}
              </li>
            ))}
          </ul>
        </>
      )}
      <details>
        <summary>JSON</summary>
        <pre>{JSON.stringify(details, null, 2)}</pre>
      </details>
      <div class="buttons">
        <button type="button" onClick={() => narrow(filterFor(details))}>
          Filter by it
        </button>
        {flow.original.src !== undefined && (
          <button type="button" onClick={() => narrow(`src ${flow.original.src}`)}>
            All of its source
          </button>
        )}
        <button type="button" onClick={() => void copyText(JSON.stringify(details))}>
          Copy JSON
        </button>
        {status.value?.changes && !hasEnded && (
          <button
            type="button"
            class="danger"
            onClick={() => {
              overlay.value = { what: 'delete', target: { flows: [details.key] } };
            }}
          >
            Delete…
          </button>
        )}
      </div>
    </>
  );
}

/** Shows flows between the same ends. */
function EndsLink({ ends, title }: { readonly ends: PageSide; readonly title: string }) {
  return (
    <button type="button" class="ends" title={title} onClick={() => look({ filter: filterOfEnds(ends), flow: '' })}>
      {endpoint(ends.src, ends.sport || undefined)} → {endpoint(ends.dst, ends.dport)}
    </button>
  );
}

/** Earlier flows between the same ends and ports, from a record. */
function Past({ flowKey }: { readonly flowKey: string }) {
  const past = useSignal<PagePast | { readonly problem: string } | undefined>(undefined);
  useEffect(() => {
    ask<PagePast>(`flows/${encodeURIComponent(flowKey)}/past`)
      .then((made) => {
        past.value = made;
      })
      .catch((error) => {
        if (error instanceof ApiError && error.status !== 401) past.value = { problem: error.message };
        else refused(error);
      });
  }, []);
  const found = past.value;
  return (
    <>
      <h3>Its past</h3>
      {found === undefined && <p class="dim">Reading the record…</p>}
      {found && 'problem' in found && <p class="dim">{found.problem}</p>}
      {found && 'lives' in found && found.lives.length === 0 && <p class="dim">The record has none.</p>}
      {found && 'lives' in found && found.unreadable > 0 && (
        <p class="dim">{found.unreadable} files of the record cannot be read.</p>
      )}
      {found && 'lives' in found && (
        <ul class="lives">
          {found.lives.map((life) => (
            <li key={`${life.start} ${life.end}`}>{lifeText(life)}</li>
          ))}
          {found.more && <li class="dim">and earlier ones: conntrack history lists them all</li>}
        </ul>
      )}
    </>
  );
}

const LIFE_TIME = { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit' } as const;

function lifeText({ start, end, endReason, original, reply, quality, netns }: PageLife): string {
  const since = `${quality.start === 'listed' ? 'before ' : ''}${new Date(start).toLocaleString('en-GB', LIFE_TIME)}`;
  const lasted = end === undefined ? ', lives' : `, ${age((Date.parse(end) - Date.parse(start)) / 1000)}`;
  const reason = endReason === undefined ? '' : `, ${endReason}`;
  const counted = quality.counters === 'none' ? '' : `, → ${bytes(bytesOf(original))} ← ${bytes(bytesOf(reply))}`;
  return `${netns === undefined ? '' : `${netns}: `}${since}${lasted}${reason}${counted}`;
}

function hopText({ address, port }: PageHop): string {
  return endpoint(address, port);
}

/** The way of packets in one direction, from left to right or back, with what this host makes of it. */
function Way({
  way: { from, to, source, destination },
  host,
  sign,
}: {
  readonly way: PageWay;
  readonly host: string;
  readonly sign: string;
}) {
  const changes = [
    ...(source ? [`source becomes ${hopText(source)}`] : []),
    ...(destination ? [`destination becomes ${hopText(destination)}`] : []),
  ];
  return (
    <div class={sign === '→' ? 'way out' : 'way in'}>
      <span class="hop">{hopText(from)}</span>
      <span class="arrow" aria-hidden="true">
        ↓
      </span>
      <span class={changes.length === 0 ? 'change none' : 'change'}>
        <b>{host}</b> {changes.length === 0 ? 'changes nothing' : changes.join(', ')}
      </span>
      <span class="arrow" aria-hidden="true">
        ↓
      </span>
      <span class="hop">{hopText(destination ?? to)}</span>
    </div>
  );
}

/** Its rates since the details are open. */
function Sparkline({ past }: { readonly past: readonly PageRates[] }) {
  const most = Math.max(1, ...past.map(({ original, reply }) => Math.max(original, reply)));
  const path = (direction: keyof PageRates) =>
    past
      .map(
        (rates, n) =>
          `${n === 0 ? 'M' : 'L'}${(KEPT - past.length + n).toFixed(0)} ${(29 - (28 * rates[direction]) / most).toFixed(1)}`,
      )
      .join('');
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${KEPT} 30`}
      preserveAspectRatio="none"
      role="img"
      aria-label="Rates since the details are open"
    >
      <path class="in" d={path('reply')} />
      <path class="out" d={path('original')} />
    </svg>
  );
}
