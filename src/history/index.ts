// conntrack/history: the public API of records.

export { formatMoment, parseMoment, type Span } from './moments.js';
export {
  type Coverage,
  History,
  type HistoryOptions,
  type Moment,
  openHistory,
  type PastFlowsOptions,
  type SegmentInfo,
  type TimeSpan,
  type WhoHadOptions,
} from './open-history.js';
export type { PastFlow, PastFlowJson, RecordQuality } from './past-flow.js';
export {
  END_REASONS,
  type EndKind,
  type EndReason,
  GAP_REASONS,
  type GapReason,
  type StartKind,
} from './record-columns.js';
export type { IncompletenessReason, RecordGap } from './record-directory.js';
export { type HistoryCode, HistoryError } from './segment-meta.js';
export type {
  AddressAndPort,
  Grade,
  InsideGroup,
  InsideRole,
  MatchEvidence,
  TranslationHop,
  WhoHadAnswer,
  WhoHadMatch,
} from './who-had.js';
