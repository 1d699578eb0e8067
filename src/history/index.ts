// conntrack/history: the public API of records.

export { exportParquet } from './export-parquet.js';
export type { FlowRecorder, RecordedTables } from './flow-recorder.js';
export { type ForgetOptions, type Forgotten, forgetFlows } from './forget-flows.js';
export { type Imported, type ImportOptions, importFlows } from './import-flows.js';
export { formatMoment, type Moment, parseMoment, type Span, type TimeSpan } from './moments.js';
export {
  type Coverage,
  FlowHistory,
  type HistoryOptions,
  openHistory,
  type PastFlowsOptions,
  type PastTopOptions,
  type SegmentInfo,
  type WhoHadOptions,
} from './open-history.js';
export { openRecorder } from './open-recorder.js';
export type { PastFlow, PastFlowJson, RecordQuality } from './past-flow.js';
export {
  PAST_GROUP_SORTS,
  PAST_GROUPINGS,
  type PastGroup,
  type PastGrouping,
  type PastGroupSort,
} from './past-groups.js';
export {
  END_REASONS,
  type EndKind,
  type EndReason,
  GAP_REASONS,
  type GapReason,
  type StartKind,
} from './record-columns.js';
export type { RecordGap } from './record-directory.js';
export type { Gap } from './recorded-namespace.js';
export type { RecorderEvent, RecorderStatus, RecordOptions } from './recorder-options.js';
export { type HistoryCode, HistoryError } from './segment-meta.js';
export {
  type RecordFault,
  type RecordVerification,
  type VerifiedSegment,
  type VerifyOptions,
  verifyRecord,
} from './verify-record.js';
export type {
  AddressAndPort,
  Grade,
  InsideGroup,
  InsideRole,
  MatchEvidence,
  TranslationHop,
  WhoHadAnswer,
  WhoHadMatch,
} from './who-had-answer.js';
export type { RecordFiles } from './writer-thread.js';
