// Whether a flow matches a filter, without a table: the predicate of lists and events, applied to the flow's message.

import { compileFilter } from '../ctnetlink/filter/compile.js';
import type { FilterInput } from '../ctnetlink/filter/object-input.js';
import type { Flow, FlowJson } from '../ctnetlink/flow.js';
import { FlowViews } from '../ctnetlink/flow-message.js';
import { readFilter } from './filters.js';

/**
 * Whether `list(filter)` would yield this flow. It may come from a list, an event, a copy, another thread, or JSON. For many flows use a
 * `matcher`. @throws ValueError if the filter is invalid, or the flow lacks a direction
 *
 * ```ts
 * matches({ protocol: 'tcp', original: { src: '10.0.0.0/8' }, not: { status: ['ASSURED'] } }, flow)
 * ```
 */
export function matches(filter: FilterInput, flow: Flow | FlowJson): boolean {
  return matcher(filter)(flow);
}

/** `matches` for one filter and many flows: the filter is read once. @throws ValueError if it is invalid */
export function matcher(filter: FilterInput): (flow: Flow | FlowJson) => boolean {
  const wanted = compileFilter(readFilter(filter), Date.now);
  const views = new FlowViews();
  return (flow) => {
    const view = views.of(flow);
    return wanted ? wanted(view) : true;
  };
}
