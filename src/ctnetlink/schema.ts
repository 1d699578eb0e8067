// What a field row and a protocol row look like. The rows themselves: fields.ts, expectation-fields.ts, protocols/.

/** How a value is laid out in its attribute; decides the smallest size that is accepted. */
export type FieldKind = 'u8' | 'be16' | 'be32' | 'be64' | 'ipv4' | 'ipv6' | 'pair8' | 'string' | 'bytes' | 'labels';

/** The fewest bytes each kind needs. Longer values are accepted and their rest ignored, as the kernel does. */
export const KIND_SIZE: Readonly<Record<FieldKind, number>> = {
  u8: 1,
  be16: 2,
  be32: 4,
  be64: 8,
  ipv4: 4,
  ipv6: 16,
  pair8: 2,
  string: 0,
  bytes: 0,
  labels: 0,
};

/** One attribute: its place (attribute numbers from the top level down), the layout of its value, its meaning. */
export interface Field {
  readonly path: readonly number[];
  readonly kind: FieldKind;
  /** For enumerations: the words, by value. */
  readonly names?: readonly string[];
  /** One sentence for the reference pages. */
  readonly doc: string;
  /** An attribute of this number and zero length is padding, not a value (docs/kernel.md 3.1). */
  readonly emptyIsPadding?: true;
}

export type Fields = Readonly<Record<string, Field>>;

/** Which members of a tuple a protocol uses, apart from the addresses. */
export type TupleShape = 'ports' | 'keys' | 'icmp' | 'icmpv6' | 'none';

/** A layer-4 protocol with a tracker of its own, or `generic` for the rest. */
export interface Protocol {
  /** Lower-case, as printed. */
  readonly name: string;
  readonly number: number;
  readonly tuple: TupleShape;
  /** Not every kernel has its tracker; without it, entries differ only by their addresses. */
  readonly optional?: true;
  /** Words of the tracker's state by value; absent when the protocol has no state. */
  readonly states?: readonly string[];
  /** Name of the field row that holds the state. */
  readonly state?: string;
}
