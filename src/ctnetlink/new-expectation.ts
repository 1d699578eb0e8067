// NewExpectation: an expectation to create, as callers write it; an `Expectation` is one. → ExpectationSpec.

import { ValueError } from '../errors.js';
import { familyOf } from './address.js';
import {
  type AddressTuple,
  type IcmpProtocol,
  type IcmpTuple,
  type NumberedTuple,
  type PortProtocol,
  type PortTuple,
  requireComplete,
} from './complete-tuple.js';
import type { TupleSpec } from './encode.js';
import type { ExpectationSpec } from './expectation-spec.js';
import type { Family } from './flow.js';
import { MAX_U32, Members } from './members.js';
import { readFamilyOf, readProtonum, readTuple, withProtocol } from './new-flow.js';
import type { ProtocolInput } from './protocol-input.js';
import type { TupleInput } from './tuple-input.js';

/** The members that name an expectation. `ExpectationKeyInput` says which are required. */
export interface ExpectationKeyMembers {
  /** Required, unless `tuple.protonum` has it. */
  readonly protocol?: ProtocolInput | 'unknown' | undefined;
  /** What is expected. */
  readonly tuple: TupleInput;
}

/** Names one expectation, by {@link ExpectationKeyMembers}: what is expected, exactly as listed. You can pass an `Expectation`. */
export type ExpectationKeyInput = ExpectationKeyMembers &
  (
    | { readonly tuple: NumberedTuple }
    | { readonly protocol: number; readonly tuple: AddressTuple }
    | { readonly protocol: IcmpProtocol; readonly tuple: IcmpTuple }
    | { readonly protocol: PortProtocol; readonly tuple: PortTuple }
  );

/** The members of an expectation to create, besides those that name it. */
export interface NewExpectationMembers {
  readonly family?: Family | 'unknown' | undefined;
  /** Which bits of `tuple` count: `255.255.255.255` is the whole address, 65535 the whole port. */
  readonly mask: TupleInput;
  /** Original tuple of the flow that causes the expectation; it must exist and have a helper. */
  readonly master: TupleInput;
  /** Seconds; the helper's own timeout takes precedence. Default 0. */
  readonly timeout?: number | undefined;
}

/**
 * An expectation to create, with {@link NewExpectationMembers}. The other members of an `Expectation` are the kernel's own and ignored.
 */
export type NewExpectation = ExpectationKeyInput & NewExpectationMembers;

const PASSED_OVER = ['id', 'zone', 'flags', 'class', 'helper', 'natDirection', 'fn'];

/** @throws ValueError */
export function toExpectationSpec(expectation: NewExpectation): ExpectationSpec {
  const members = new Members(expectation, '', false);
  const { tuple, protonum } = readExpected(members);
  const family = readFamilyOf(members) ?? familyOf(tuple.src!);
  const part = (name: 'mask' | 'master') => {
    const found = members.members(name, false);
    if (!found) throw new ValueError(`${name} is missing`);
    return readTuple(found);
  };
  const mask = withProtocol(part('mask'), protonum);
  const master = part('master');
  const timeout = members.number('timeout', MAX_U32) ?? 0;
  members.end(PASSED_OVER);
  return { family, tuple, mask, master: { ...master, protonum: master.protonum ?? protonum }, timeout };
}

/** @throws ValueError */
export function toExpectationKey(key: ExpectationKeyInput): { family: number; tuple: TupleSpec } {
  const members = new Members(key, '', false);
  const { tuple } = readExpected(members);
  members.end([...PASSED_OVER, 'family', 'timeout', 'mask', 'master']);
  return { family: familyOf(tuple.src!), tuple };
}

function readExpected(members: Members): { tuple: TupleSpec; protonum: number } {
  const found = members.members('tuple', false);
  if (!found) throw new ValueError('tuple is missing', { hint: 'it says what is expected' });
  const tuple = readTuple(found);
  if (!tuple.src || !tuple.dst) throw new ValueError('tuple needs src and dst');
  const protonum = readProtonum(members, tuple.protonum);
  requireComplete({ ...tuple, protonum }, 'tuple', tuple.protonum);
  return { tuple: withProtocol(tuple, protonum), protonum };
}
