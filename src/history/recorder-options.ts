// How a recorder is told to record, what it tells, and what its writing thread gets of that.

import { readFileSync } from 'node:fs';
import { ValueError } from '../errors.js';
import { type FilterInput, formatFilter, readIn, type Session, type Signal } from '../library/index.js';
import type { SessionRow } from './delivery.js';
import type { GapReason } from './record-columns.js';
import type { Gap } from './recorded-namespace.js';
import type { RecordFiles, WriterData } from './writer-thread.js';

/** How flows are recorded. */
export interface RecordOptions {
  /** Made if it is missing. */
  readonly dir: string;
  /** Seconds after which a record is deleted; `Infinity`: never. There is no default, so that none breaks a law. */
  readonly keep: number;
  /** Which flows; what can change in a flow is tested at its end. */
  readonly filter?: FilterInput | undefined;
  /** Bytes that segments may take; the oldest are deleted. */
  readonly maxSize?: number | undefined;
  /** Share of the disk that stays free, 0 to 1; the oldest segments are deleted. Default 0.05. */
  readonly minFree?: number | undefined;
  /** Seconds between commits, at least 0.1; default 1. `none`: what the disk has not written is lost when power fails. */
  readonly sync?: number | 'none' | undefined;
  /** Seconds after which a flow that lives is kept, so that a crash does not lose when it began; default 10. */
  readonly checkpoint?: number | undefined;
  /** Seconds between comparisons with a list; default 600. */
  readonly reconcile?: number | undefined;
  /** Records in a segment; default 4,000,000. */
  readonly segmentRows?: number | undefined;
  /** Seconds that a segment is written to; default a day, until midnight (UTC). */
  readonly segmentAge?: number | undefined;
  /** Leave out whom flows went to. */
  readonly noDestination?: boolean | undefined;
  /** Record the kernel's identifiers. */
  readonly withId?: boolean | undefined;
  /** Bytes to ask for as receive buffer of each namespace; the kernel doubles it. */
  readonly receiveBuffer?: number | undefined;
  /** A command that is run with the path of each sealed segment. */
  readonly onSeal?: string | undefined;
  /** Program and first arguments that run `conntrack`; default: that of this package. @internal */
  readonly launcher?: readonly string[] | undefined;
  /** What happens besides records. An exception here ends the recorder. */
  readonly onEvent?: ((event: RecorderEvent) => void) | undefined;
  readonly signal?: Signal | undefined;
}

/** What happens besides records. Times are microseconds since the epoch. */
export type RecorderEvent =
  | { readonly type: 'gap'; readonly gap: Gap }
  | { readonly type: 'segment'; readonly name: string }
  | { readonly type: 'sealed'; readonly name: string; readonly rows: number }
  | { readonly type: 'deleted'; readonly name: string; readonly reason: string }
  | { readonly type: 'trouble'; readonly reason: 'disk-full' | 'slow-disk'; readonly message: string }
  | { readonly type: 'well' }
  | { readonly type: 'clock'; readonly at: number; readonly delta: number }
  | { readonly type: 'warning'; readonly message: string };

/** What a recorder has done so far. Times are microseconds since the epoch. */
export interface RecorderStatus {
  readonly dir: string;
  readonly recorder: string;
  readonly since: number;
  /** Everything up to then is on the disk, but for gaps. */
  readonly alive?: number | undefined;
  readonly segment: string;
  /** Number of the last record. */
  readonly sequence: number;
  /** Records of this run. */
  readonly recorded: number;
  /** Gaps of this run. */
  readonly gaps: number;
  /** How many there were for each reason. */
  readonly gapReasons: Readonly<Partial<Record<GapReason, number>>>;
  /** Rows that wait for the disk. */
  readonly waiting: number;
  readonly trouble?: string | undefined;
  /** Commits of this run: how many, and the seconds they took together and at most. */
  readonly commits: { readonly count: number; readonly seconds: number; readonly most: number };
  readonly netns: readonly {
    readonly name: string;
    readonly open: number;
    readonly lost: number;
    /** Bytes, as the kernel counts them. */
    readonly receiveBuffer: number;
  }[];
  /** The package that writes: `node:sqlite`. */
  readonly driver: string;
  readonly files?: RecordFiles | undefined;
  /** How well the system's clock is kept: in words, and in microseconds that it may be off. Absent: the system does not tell. */
  readonly clock?: { readonly quality: string; readonly synchronised: boolean; readonly mostError: number } | undefined;
  readonly version: string;
}

/** Of options that are left out: seconds, records, a share. */
export const DEFAULTS = {
  sync: 1,
  checkpoint: 10,
  reconcile: 600,
  segmentRows: 4_000_000,
  segmentAge: 86_400,
  minFree: 0.05,
} as const;
const SECOND = 1_000_000;
const SYSCTLS = ['acct', 'timestamp', 'events'] as const;

/** @throws ValueError */
export function checkOptions({
  dir,
  keep,
  sync,
  checkpoint,
  reconcile,
  segmentRows,
  segmentAge,
  minFree,
  maxSize,
}: RecordOptions): void {
  if (typeof dir !== 'string' || dir === '') throw new ValueError('a record needs a directory');
  const within = (name: string, value: number | undefined, least: number, most: number) => {
    if (value !== undefined && !(value >= least && value <= most))
      throw new ValueError(`${name} is not within ${least} and ${most}`);
  };
  if (typeof keep !== 'number' || !(keep > 0))
    throw new ValueError('how long records are kept must be said', { hint: 'keep: seconds, or Infinity' });
  if (sync !== 'none') within('sync', sync, 0.1, 3600);
  within('checkpoint', checkpoint, 0.1, 86_400);
  within('reconcile', reconcile, 0.1, 86_400);
  within('segmentRows', segmentRows, 1, 1e9);
  within('segmentAge', segmentAge, 1, 366 * 86_400);
  within('minFree', minFree, 0, 1);
  within('maxSize', maxSize, 1, Number.MAX_SAFE_INTEGER);
}

/** What the thread gets that writes. @param now microseconds since the epoch */
export function writerData(options: RecordOptions, session: Session, now: number): WriterData {
  const {
    dir,
    keep,
    sync,
    segmentRows,
    segmentAge,
    maxSize,
    minFree,
    onSeal,
    noDestination = false,
    filter,
    receiveBuffer,
  } = options;
  const { namespace } = session.table.place;
  const sysctls = Object.fromEntries(
    SYSCTLS.map((name) => {
      const text = readIn(namespace, `/proc/sys/net/netfilter/nf_conntrack_${name}`);
      return [name, text === undefined ? undefined : Number(text)];
    }),
  );
  const text = filter === undefined ? '' : formatFilter(filter);
  const row: SessionRow = {
    from: now,
    boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    ...(text === '' ? {} : { filter: text }),
    sysctls,
    options: {
      keep: Number.isFinite(keep) ? keep : 'forever',
      sync,
      maxSize,
      minFree,
      noDestination,
      receiveBuffer,
      uid: process.getuid?.(),
    },
    version: versionOf(),
    noDestination,
  };
  return {
    directory: dir,
    sync: sync === 'none' ? 'none' : 'full',
    segmentRows: segmentRows ?? DEFAULTS.segmentRows,
    segmentAge: (segmentAge ?? DEFAULTS.segmentAge) * SECOND,
    session: row,
    ...(Number.isFinite(keep) ? { keep: keep * SECOND } : {}),
    maxSize,
    minFree: minFree ?? DEFAULTS.minFree,
    onSeal,
    launcher: options.launcher ?? launcher(),
  };
}

/** Starts `conntrack` in a process of its own. */
function launcher(): readonly string[] {
  const { execPath } = process;
  return [execPath, new URL('../../bin/conntrack', import.meta.url).pathname];
}

/** Of this package. */
export function versionOf(): string {
  try {
    const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    return (JSON.parse(text) as { readonly version: string }).version;
  } catch {
    return 'unknown';
  }
}
