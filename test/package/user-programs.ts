// Programs of users, as texts: they are compiled against the installed package.

/** What users write, right and wrong. Its inferred types can be named in declarations of their own. */
export const USER = `
import { Conntrack, type Filter, type Flow, type FlowEvent, type FlowField, toJson } from 'conntrack';

export async function use(filter: Filter, names: FlowField[]): Promise<void> {
  await using conntrack = await Conntrack.open({ netns: 'blue' });
  for await (const flow of conntrack.list({ protocol: 'tcp', original: { dport: 443 } })) {
    if (flow.protocol === 'tcp') flow.original.sport.toFixed();
    await conntrack.get(flow);
  }
  const iterator = conntrack.list(filter)[Symbol.asyncIterator]();
  const step = await iterator.next();
  if (step.done !== true) step.value.original.src.length;
  for await (const part of conntrack.list({}, { fields: names })) part.original?.src.length;
  using live = await conntrack.watch({ protocol: 'udp' });
  for (const { original } of live) original.src.length;
  await using events = conntrack.events({}, { signal: undefined });
  for await (const { flow } of events) await conntrack.create(flow);
  await conntrack.update({ protocol: 'udp' }, { mark: 7 });
  // @ts-expect-error: UDP has no states
  conntrack.list({ protocol: 'udp', state: 'ESTABLISHED' });
  // @ts-expect-error: a state of SCTP
  conntrack.list({ protocol: 'tcp', state: 'COOKIE_WAIT' });
  // @ts-expect-error: ICMP has no ports
  conntrack.list({ protocol: 'icmp', original: { dport: 53 } });
  // @ts-expect-error: a mark changes
  await conntrack.watch({ mark: 1 });
  // @ts-expect-error: changes nothing
  await conntrack.update({}, {});
  // @ts-expect-error: flows of UDP differ by their ports
  await conntrack.get({ protocol: 'udp', original: { src: '192.0.2.1', dst: '192.0.2.2' } });
  // @ts-expect-error: how long shall it live?
  await conntrack.create({ protocol: 'udp', original: { src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 2 } });
}

export const flows = (conntrack: Conntrack) => conntrack.list();
export const begun = (conntrack: Conntrack) => conntrack.list()[Symbol.asyncIterator]();
export const parts = (conntrack: Conntrack) => conntrack.list({}, { fields: ['protocol', 'original'] });
export const some = (conntrack: Conntrack, fields: FlowField[]) => conntrack.list({}, { fields });
export const events = (conntrack: Conntrack) => conntrack.events({}, { types: ['NEW'] });
export const original = (flow: Flow) => flow.original;
export const reply = (filter: Filter) => filter.reply;
export const text = (flow: Flow, event: FlowEvent) => [toJson({ ...flow }), toJson(event), event.toJSON()] as const;
`;

/** With the signal that lib.dom declares. */
export const SIGNAL_OF_DOM = `
import { type CallOptions, Conntrack } from 'conntrack';

export const options: CallOptions = { signal: AbortSignal.timeout(1000) };
export const signal: AbortSignal | undefined = options.signal;
export const flows = (conntrack: Conntrack) => conntrack.list({}, { signal: new AbortController().signal });
`;

/** Two slips that only exactOptionalPropertyTypes finds. */
export const SLIPS = `
import type { Conntrack } from 'conntrack';

export const one = (conntrack: Conntrack) => conntrack.delete({ original: { src: undefined } });
export const two = (conntrack: Conntrack, src?: string) => conntrack.delete({ original: { src } });
`;
