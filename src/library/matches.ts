// Whether a filter wants a flow, without a table: the predicate that chooses from lists and events, over the flow's message.

import { compileFilter } from '../ctnetlink/filter/compile.js';
import { type Filter, toFlowFilter } from '../ctnetlink/filter/object-input.js';
import type { Flow, FlowJson } from '../ctnetlink/flow.js';
import { FlowViews } from '../ctnetlink/flow-message.js';

/**
 * Whether `list(filter)` would give this flow: it may have been listed, come with an event, been copied or sent between threads, or
 * read from JSON. Of many flows ask a `matcher`. @throws ValueError when the filter is none, or the flow lacks a direction
 *
 * ```ts
 * matches({ protocol: 'tcp', original: { src: '10.0.0.0/8' }, not: { status: ['ASSURED'] } }, flow)
 * ```
 */
export function matches(filter: Filter, flow: Flow | FlowJson): boolean {
  return matcher(filter)(flow);
}

/** `matches` of one filter and many flows: the filter is read once. @throws ValueError when it is none */
export function matcher(filter: Filter): (flow: Flow | FlowJson) => boolean {
  const wanted = compileFilter(toFlowFilter(filter), Date.now);
  const views = new FlowViews();
  return (flow) => {
    const view = views.of(flow);
    return wanted ? wanted(view) : true;
  };
}
