// What becomes of changes, written down where nobody takes it away again: in a stream of the servers, or only in the log of the host.

import type { Bus } from './bus.js';
import { type ChangeOrder, MOST_REQUEST, readRequest } from './change-request.js';
import { FleetError } from './fleet-error.js';
import { objectOf } from './json-object.js';
import { isSignedBy } from './nkey.js';
import { AUDIT_STREAM, namePattern, subjects } from './subjects.js';

/** What is told: `begin` before an `apply`, `end` after it, `refused` for what was not even begun. */
export const AUDIT_PHASES = ['begin', 'end', 'refused'] as const;
/** A phase of a change, in the audit. */
export type AuditPhase = (typeof AUDIT_PHASES)[number];

/** A line of the audit. */
export interface AuditRecord {
  readonly v: 1;
  readonly phase: AuditPhase;
  /** Milliseconds since the epoch, by the clock of the host. */
  readonly at: number;
  readonly host: string;
  /** The public key that was told with the request, and whose it is in the file of changers, if it is there. */
  readonly key: string;
  readonly by?: string | undefined;
  readonly op: string;
  readonly id?: string | undefined;
  /** What was asked for; with the filter of the key. */
  readonly order?: ChangeOrder | undefined;
  readonly limit?: number | undefined;
  readonly result?: ChangeOutcome | undefined;
  readonly error?: { readonly code: string; readonly message: string } | undefined;
  /** The request itself, in Base64url, and its signature. Absent if it is too large. */
  readonly body?: string | undefined;
  readonly sig: string;
  /** Refusals before this one that were not told, as there were too many. */
  readonly untold?: number | undefined;
}

/** What an `apply` did. `matched` is the sum of the others. */
export interface ChangeOutcome {
  readonly matched: number;
  readonly deleted?: number | undefined;
  readonly updated?: number | undefined;
  readonly alreadyGone: number;
  /** Of an update: had the new values. */
  readonly unchanged?: number | undefined;
  readonly failed: number;
  /** Why the first of them failed. */
  readonly reason?: string | undefined;
}

/** `1201 deleted, 3 had gone by themselves`. */
export function outcomeText({ deleted, updated, alreadyGone, unchanged = 0, failed, reason }: ChangeOutcome): string {
  return [
    deleted === undefined ? `${updated ?? 0} updated` : `${deleted} deleted`,
    ...(unchanged > 0 ? [`${unchanged} had these values`] : []),
    ...(alreadyGone > 0 ? [`${alreadyGone} had gone by themselves`] : []),
    ...(failed > 0 ? [`${failed} were refused${reason === undefined ? '' : `: ${reason}`}`] : []),
  ].join(', ');
}

/** Where it is written. */
export interface AuditPlace {
  /** Settles when it cannot be lost any more. @throws FleetError `AUDIT` */
  write(record: AuditRecord): Promise<void>;
}

/** Milliseconds in which the servers have to confirm it. */
const CONFIRMED = 5000;

/** The stream of the servers. */
export function streamAudit(bus: Pick<Bus, 'append'>, site: string, host: string, timeout = CONFIRMED): AuditPlace {
  return {
    async write(record) {
      const data = new TextEncoder().encode(JSON.stringify(record));
      try {
        // Without an id: whoever asks for a change chose that of the request, and a second line of it would not be kept.
        await bus.append(subjects.audit(site, host), data, { timeout });
      } catch (error) {
        throw new FleetError('AUDIT', `it cannot be written down: ${(error as Error).message}`, {
          cause: error,
          hint: 'conntrack fleet setup makes the stream CT_AUDIT, and conntrack fleet doctor says how full it is',
        });
      }
    },
  };
}

/** Only the log of the host, which has a line for each change anyway. */
export const LOCAL_AUDIT: AuditPlace = { write: async () => {} };

/** Whether the signed request of a line is what the line says: the request of this host, signed with this key. */
export type AuditTrust = 'signed' | 'unsigned' | 'forged';

/** A line of the audit that was read. */
export interface AuditLine extends AuditRecord {
  readonly trust: AuditTrust;
  /** When the servers took it: milliseconds since the epoch, by their clock. */
  readonly taken: number;
}

const MOST_TEXT = 300;
/** Bytes of a line: a request and what came of it, in Base64 and in words. */
const MOST_BYTES = 4 * MOST_REQUEST;

/** A message of the stream; `undefined` if it is no line of the audit. */
export function readAudit(subject: string, data: Uint8Array, taken: number): AuditLine | undefined {
  const told = objectOf<keyof AuditRecord>(data, MOST_BYTES);
  if (told?.v !== 1) return undefined;
  const phase = AUDIT_PHASES.find((one) => one === told.phase);
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, MOST_TEXT) : undefined);
  const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);
  const host = subject.split('.').at(-1)!;
  // The servers let a host write under its own name only.
  if (phase === undefined || told.host !== host || number(told.at) === undefined) return undefined;
  const [body, sig] = [told.body, told.sig].map((value) => (typeof value === 'string' ? value : undefined));
  const line: AuditRecord = {
    v: 1,
    phase,
    at: told.at as number,
    host,
    key: text(told.key) ?? '',
    by: text(told.by),
    op: text(told.op) ?? '',
    id: text(told.id),
    order: readOrder(told.order),
    limit: number(told.limit),
    result: readOutcome(told.result),
    error: readError(told.error),
    body,
    sig: sig ?? '',
    untold: number(told.untold),
  };
  return { ...line, trust: trustOf(line), taken };
}

/** The request that was signed has to say the same as the line. */
function trustOf({ host, key, by, op, id, limit, phase, order, body, sig }: AuditRecord): AuditTrust {
  const data = body === undefined ? undefined : Buffer.from(body, 'base64url');
  if (!data || !isSignedBy(key, data, sig)) return phase === 'refused' ? 'unsigned' : 'forged';
  const request = readRequest(data);
  if (phase === 'refused') return 'signed'; // that it says something else may be why it was refused
  const same =
    request?.host === host &&
    request.by === by &&
    request.op === op &&
    request.id === id &&
    request.limit === limit &&
    JSON.stringify(request.order) === JSON.stringify(order);
  return same ? 'signed' : 'forged';
}

function readOrder(told: unknown): ChangeOrder | undefined {
  const { do: kind, filter } = (told ?? {}) as Partial<Record<keyof ChangeOrder, unknown>>;
  return (kind === 'delete' || kind === 'update') && typeof filter === 'string' ? (told as ChangeOrder) : undefined;
}

function readError(told: unknown): AuditRecord['error'] {
  const { code, message } = (told ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  return typeof code === 'string' && typeof message === 'string'
    ? { code: code.slice(0, MOST_TEXT), message: message.slice(0, MOST_TEXT) }
    : undefined;
}

/** What a host says that it did; `undefined` if it says nothing. */
export function readOutcome(told: unknown): ChangeOutcome | undefined {
  const { matched, deleted, updated, alreadyGone, unchanged, failed, reason } = (told ?? {}) as Partial<
    Record<keyof ChangeOutcome, unknown>
  >;
  const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
  if (!isCount(matched) || !isCount(alreadyGone) || !isCount(failed)) return undefined;
  return {
    matched,
    ...(isCount(deleted) ? { deleted } : {}),
    ...(isCount(updated) ? { updated } : {}),
    alreadyGone,
    ...(isCount(unchanged) ? { unchanged } : {}),
    failed,
    ...(typeof reason === 'string' ? { reason: reason.slice(0, MOST_TEXT) } : {}),
  };
}

/** Which lines. */
export interface LogOptions {
  /** Names of hosts, or patterns with `*`. */
  readonly on?: readonly string[] | undefined;
  /** Milliseconds since the epoch. */
  readonly from?: number | undefined;
  readonly by?: string | undefined;
}

/** Lines of the audit, the oldest first. @returns how many could not be read @throws FleetError */
export async function readLog(
  bus: Pick<Bus, 'readStream'>,
  { on, from, by }: LogOptions,
  each: (line: AuditLine) => void,
): Promise<number> {
  let unreadable = 0;
  const wanted = on?.map(namePattern);
  for await (const { subject, data, at } of bus.readStream(AUDIT_STREAM, { subject: subjects.audit('*', '*'), from })) {
    const line = readAudit(subject, data, at);
    if (!line) unreadable++;
    else if ((wanted?.some((matches) => matches(line.host)) ?? true) && (by === undefined || line.by === by)) each(line);
  }
  return unreadable;
}
