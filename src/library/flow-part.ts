// FlowPart: the type of a flow with only some members read.

import type { FLOW_FIELDS, Flow, FlowField, FlowJson } from '../ctnetlink/flow.js';

/** Every member of a flow: what is read when no `fields` are given. */
export interface AllFlowFields extends ReadonlyArray<FlowField> {
  readonly length: (typeof FLOW_FIELDS)['length'];
}

/** A flow with only some members read. If `protocol` is among them, it narrows as a `Flow` does. */
export type FlowPart<F extends FlowField> = Chosen<F> & { toJSON(): Pick<FlowJson, F & keyof FlowJson> };

/** A flow with some of these members read. The compiler does not know which, so each may be absent. */
export type PartialFlow<F extends FlowField = FlowField> = Partial<Chosen<F>> & { toJSON(): Partial<FlowJson> };

/**
 * The type of flows listed with `fields`: a `FlowPart` if the names are written in the call, a `PartialFlow` if they are in a
 * `FlowField[]`.
 */
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
