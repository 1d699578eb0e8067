// The columns of a record, a row each: the table that SQLite has, the batches that the recorder hands to its writer, the view that people
// read, and CSV are made from them.
//
// Times are microseconds since the epoch, spans microseconds. An IPv4 address is a signed 32-bit INTEGER, an IPv6 address a BLOB of 16
// bytes. What is not known is NULL, never 0.

/** What a column holds. `counter`: may exceed 2^53. */
export type ColumnKind = 'number' | 'address' | 'counter';

/** A column. */
export interface ColumnRow {
  readonly name: string;
  readonly kind: ColumnKind;
  /** Open flows have it as well. */
  readonly open: boolean;
  readonly doc: string;
}

const column = (name: string, doc: string, { kind = 'number', open = true }: Partial<ColumnRow> = {}): ColumnRow => ({
  name,
  kind,
  open,
  doc,
});

/** The zone is that of one direction only: bits of the column `zone`. */
export const ORIGINAL_ONLY = 65_536;
export const REPLY_ONLY = 131_072;

/** All columns of a record but `seq`, in their order. */
export const RECORD_COLUMNS = [
  column('start', 'When the flow began; `how` and `sslack` say how certain that is.'),
  column('dur', 'From its beginning to its end.', { open: false }),
  column('sslack', 'It began at `start`, or up to so long before.'),
  column('eslack', 'It ended at `start + dur`, or up to so long before.', { open: false }),
  column('src', 'Source of the first packet.', { kind: 'address' }),
  column('sport', 'Its port; the identifier of ICMP; a key of GRE.'),
  column('dst', 'Destination of the first packet. NULL with --no-destination.', { kind: 'address' }),
  column('dport', 'Its port; type * 256 + code of ICMP; a key of GRE.'),
  column('ext', 'The source as the other side saw it: the same as `src` without translation.', { kind: 'address' }),
  column('eport', 'Its port, as `sport`.'),
  column('rsrc', 'Who really answered, if that is not `dst`.', { kind: 'address' }),
  column('rsport', 'Its port, if there is `rsrc`.'),
  column('proto', 'Number of the layer-4 protocol.'),
  column('status', 'Status bits (IPS_*), as they were last.'),
  column('state', "Number of the tracker's last state."),
  column(
    'zone',
    `Zone, plus ${ORIGINAL_ONLY} if only the original direction has it, ${REPLY_ONLY} if only the reply. NULL for 0.`,
  ),
  column('mark', 'The ctmark, as it was last. NULL for 0.'),
  column('opk', 'Packets of the original direction.', { kind: 'counter', open: false }),
  column('ob', 'Bytes of the original direction.', { kind: 'counter', open: false }),
  column('rpk', 'Packets of the reply direction.', { kind: 'counter', open: false }),
  column('rb', 'Bytes of the reply direction.', { kind: 'counter', open: false }),
  column('ns', 'Number of its network namespace in the table `netns`. NULL for that of the recorder.'),
  column('end_reason', 'Why it ended: the number of a word.', { open: false }),
  column('how', 'How its times are known: bits.'),
  column('ctid', "The kernel's identifier of the entry, as a signed number. NULL without --with id."),
] as const satisfies readonly ColumnRow[];

/** Place of a column in `RECORD_COLUMNS`, by name. */
export const COLUMN = Object.fromEntries(RECORD_COLUMNS.map(({ name }, place) => [name, place])) as Readonly<
  Record<ColumnName, number>
>;
/** Name of a column of a record. */
export type ColumnName =
  | 'start'
  | 'dur'
  | 'sslack'
  | 'eslack'
  | 'src'
  | 'sport'
  | 'dst'
  | 'dport'
  | 'ext'
  | 'eport'
  | 'rsrc'
  | 'rsport'
  | 'proto'
  | 'status'
  | 'state'
  | 'zone'
  | 'mark'
  | 'opk'
  | 'ob'
  | 'rpk'
  | 'rb'
  | 'ns'
  | 'end_reason'
  | 'how'
  | 'ctid';

/** Events arrive so much later than an expired flow ended, at most: the kernel looks for them now and then. Microseconds. */
export const EXPIRY_DELAY = 120_000_000;

/** How the beginning of a flow is known: bits 0 and 1 of `how`. */
export const START_KINDS = ['kernel', 'arrival', 'listed', 'found'] as const;
/** How its end is known: bits 2 to 4. */
export const END_KINDS = ['kernel', 'arrival', 'found', 'restart', 'reconcile'] as const;
/** How the beginning of a flow is known. `listed`: it began before the recorder saw it; `found`: after a loss. */
export type StartKind = (typeof START_KINDS)[number];
/** How the end of a flow is known. `found`: after a loss; `restart`: when recording began again; `reconcile`: by a list. */
export type EndKind = (typeof END_KINDS)[number];

export const END_SHIFT = 2;
/** Bits of `how` above those of the two kinds. */
export const HOW_IMPORTED = 1 << 5;
export const HOW_CLOCK_SET = 1 << 6;
export const HOW_OFFLOADED = 1 << 7;
export const HOW_INJECTED = 1 << 8;

export function startKindOf(how: number): StartKind {
  return START_KINDS[how & 3]!;
}

export function endKindOf(how: number): EndKind {
  return END_KINDS[(how >> END_SHIFT) & 7] ?? 'arrival';
}

/** Why a flow ended; the number in `end_reason` is the place, from 1. */
export const END_REASONS = [
  'deleted',
  'refused',
  'reused',
  'removed',
  'closed',
  'reset',
  'half-closed',
  'unanswered',
  'idle',
  'unseen',
  'reboot',
] as const;
/** Why a flow ended. */
export type EndReason = (typeof END_REASONS)[number];

export function numberOfReason(reason: EndReason): number {
  return END_REASONS.indexOf(reason) + 1;
}

/** Why the record may lack something, and whether it does then. */
export const GAP_REASONS = {
  overrun: { incomplete: true, doc: 'The kernel dropped events, because they were not read fast enough.' },
  stopped: { incomplete: true, doc: 'Nothing was recorded: the recorder had been ended.' },
  crash: { incomplete: true, doc: 'Nothing was recorded: the recorder had been killed, or had crashed.' },
  reboot: { incomplete: true, doc: 'Nothing was recorded: the machine was started again.' },
  'disk-full': { incomplete: true, doc: 'Records could not be kept: the disk was full.' },
  'slow-disk': { incomplete: true, doc: 'Records could not be kept: the disk was too slow.' },
  namespace: { incomplete: true, doc: 'A network namespace was found; what it had before is not known.' },
  forgotten: { incomplete: true, doc: 'Records of somebody were taken out.' },
  unshipped: { incomplete: true, doc: 'Records had to make room before the servers of the fleet took them.' },
  'rolled-back': { incomplete: true, doc: 'The disk was put back to an older state: what was recorded since then is elsewhere.' },
  missing: { incomplete: true, doc: 'Records that a collector did not get: the servers no longer had them.' },
  damaged: { incomplete: true, doc: 'Records that cannot be read: the file or the message is damaged.' },
  suspended: { incomplete: false, doc: 'The machine slept: nothing passed.' },
} as const satisfies Readonly<Record<string, { readonly incomplete: boolean; readonly doc: string }>>;
/** Why the record may lack something. */
export type GapReason = keyof typeof GAP_REASONS;

/** NULL, in the numbers of a batch. */
export const ABSENT: number = Number.NaN;
