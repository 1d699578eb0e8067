// FlowPart: what is known of a flow of which not every member was read.

import type { FLOW_FIELDS, Flow, FlowField, FlowJson } from '../ctnetlink/flow.js';

/** Every member of a flow: what is read when no `fields` are given. */
export interface AllFlowFields extends ReadonlyArray<FlowField> {
  readonly length: (typeof FLOW_FIELDS)['length'];
}

/** A flow of which only some members were read. With `protocol` among them it narrows as a `Flow` does. */
export type FlowPart<F extends FlowField> = Chosen<F> & { toJSON(): Pick<FlowJson, F & keyof FlowJson> };

/** A flow of which some of these members were read: which ones, the compiler does not know, so each may be absent. */
export type PartialFlow<F extends FlowField = FlowField> = Partial<Chosen<F>> & { toJSON(): Partial<FlowJson> };

/** What `fields` makes of flows: a `FlowPart` where the names stand in the call, a `PartialFlow` where a `FlowField[]` has them. */
export type ListedFlow<F extends readonly FlowField[]> = F extends AllFlowFields
  ? Flow
  : EachIsOne<F> extends true
    ? FlowPart<F[number]>
    : PartialFlow<F[number]>;

type Chosen<F extends FlowField> = 'protocol' extends F ? PickOfEach<Flow, F> : Pick<Flow, F>;
type PickOfEach<T, F extends FlowField> = T extends Flow ? Pick<T, F> : never;

/** Whether these are as many names as they seem: `FlowField[]`, and `'id' | 'mark'` in one place, are not. */
type EachIsOne<F extends readonly FlowField[]> = number extends F['length'] ? false : { [I in keyof F]: IsOne<F[I]> }[number];
type IsOne<T, U = T> = T extends unknown ? ([U] extends [T] ? true : false) : never;
