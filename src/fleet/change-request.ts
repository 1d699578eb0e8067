// A signed request for a change: its bytes, and what they say. The signature is over the bytes, so that what was signed is what is kept.

import { randomBytes } from 'node:crypto';
import type { FlowUpdate } from '../ctnetlink/new-flow.js';
import { H, type PackedBody } from './bodies.js';
import { FleetError } from './fleet-error.js';
import { objectOf } from './json-object.js';
import type { Signer } from './nkey.js';
import { isName, isQueryId, PROTOCOL_VERSION } from './subjects.js';

/** What may be done to flows. */
export const CHANGES = ['delete', 'update'] as const;
/** One of `delete` and `update`. */
export type ChangeKind = (typeof CHANGES)[number];

/** `plan` counts; `apply` does it; `result` says what an `apply` did. */
export const CHANGE_OPERATIONS = ['plan', 'apply', 'result'] as const;
export type ChangeOperation = (typeof CHANGE_OPERATIONS)[number];

/** New values: those of an update that do not depend on a protocol. */
export type ChangeSet = Pick<Partial<FlowUpdate>, 'timeout' | 'mark' | 'status' | 'labels'>;
const SET_MEMBERS = ['timeout', 'mark', 'status', 'labels'];

/** What is to be done, and to what. */
export interface ChangeOrder {
  readonly do: ChangeKind;
  /** Of an update. */
  readonly set?: ChangeSet | undefined;
  /** A filter in text, with labels by number. */
  readonly filter: string;
  /** Names of network namespaces; default: all that the agent looks into. */
  readonly netns?: readonly string[] | undefined;
}

/** A request, as it is signed. Times are milliseconds since the epoch, by the clock of whoever asks. */
export interface ChangeRequest {
  readonly v: 1;
  readonly op: ChangeOperation;
  /** Of the change: an `apply` has it, and the `result` that asks for it. */
  readonly id: string;
  readonly host: string;
  readonly by: string;
  readonly at: number;
  readonly expires: number;
  readonly nonce: string;
  /** Of `plan` and `apply`, and of `result`, by which a host knows whether it can know. */
  readonly order?: ChangeOrder | undefined;
  /** Of `apply` and `result`: what `plan` gave. */
  readonly token?: string | undefined;
  /** Of `apply`: how many flows may be changed. */
  readonly limit?: number | undefined;
}

/** Milliseconds that a clock may be off, and that a request is good for. */
export const CLOCK_TOLERANCE = 30_000;
const GOOD_FOR = 30_000;
/** Bytes of a request. */
export const MOST_REQUEST = 16_384;

/** Signs a request. @throws FleetError `REQUEST` if it is too large */
export function signRequest(
  signer: Signer,
  request: Pick<ChangeRequest, 'op' | 'id' | 'host' | 'by' | 'order' | 'token' | 'limit'>,
  now = Date.now(),
): PackedBody {
  const whole: ChangeRequest = {
    v: 1,
    ...request,
    at: now,
    expires: now + GOOD_FOR,
    nonce: randomBytes(16).toString('base64url'),
  };
  const data = new TextEncoder().encode(JSON.stringify(whole));
  if (data.length > MOST_REQUEST)
    throw new FleetError('REQUEST', `the request has ${data.length} bytes: more than ${MOST_REQUEST} are not taken`);
  return {
    data,
    headers: {
      [H.version]: PROTOCOL_VERSION,
      [H.encoding]: 'json',
      [H.zip]: 'none',
      [H.key]: signer.publicKey,
      [H.signature]: signer.sign(data),
    },
  };
}

/** What the bytes say; `undefined` if that is no request. */
export function readRequest(data: Uint8Array): ChangeRequest | undefined {
  const told = objectOf<keyof ChangeRequest>(data, MOST_REQUEST);
  if (!told) return undefined;
  const { v, op, id, host, by, at, expires, nonce, order, token, limit } = told;
  const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
  const fine =
    v === 1 &&
    (CHANGE_OPERATIONS as readonly unknown[]).includes(op) &&
    typeof id === 'string' &&
    isQueryId(id) &&
    isName(host) &&
    isName(by) &&
    isCount(at) &&
    isCount(expires) &&
    typeof nonce === 'string' &&
    /^[\w-]{22}$/.test(nonce) &&
    (isOrder(order) || (op === 'result' && order === undefined)) &&
    ((typeof token === 'string' && token.length < 200) || (op !== 'apply' && token === undefined)) &&
    (op !== 'apply' || isCount(limit));
  return fine ? (told as unknown as ChangeRequest) : undefined;
}

function isOrder(told: unknown): told is ChangeOrder {
  if (typeof told !== 'object' || told === null) return false;
  const { do: kind, set, filter, netns } = told as Readonly<Record<keyof ChangeOrder, unknown>>;
  const isSet = typeof set === 'object' && set !== null && Object.keys(set).every((name) => SET_MEMBERS.includes(name));
  return (
    (CHANGES as readonly unknown[]).includes(kind) &&
    (kind === 'update' ? isSet : set === undefined) &&
    typeof filter === 'string' &&
    filter.trim() !== '' &&
    (netns === undefined || (Array.isArray(netns) && netns.every((name) => typeof name === 'string')))
  );
}
