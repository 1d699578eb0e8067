/**
 * The one face of the library within this package: front ends, and what is built on the library, import it from here. A name more costs
 * nothing: in bundles an import from here is one of the file that has the name (scripts/library-face.mjs), so a command evaluates no more
 * than it uses.
 */

export type { Filter, FilterInput } from '../ctnetlink/filter/object-input.js';
export type { LabelMap } from '../ctnetlink/label.js';
export { returnFreedMemory } from '../wire/memory.js';
export { canComeAgain, enteringCommand, NetworkNamespace, readIn } from '../wire/netns.js';
export { listNamespaces, type NamespaceList } from '../wire/netns-list.js';
export { type Program, ProgramNames, programOfSocket } from '../wire/program-names.js';
export { asksKernel } from '../wire/socket.js';
export type {
  CallOptions,
  CreateOptions,
  EventQueueOptions,
  EventsOptions,
  FamilyOptions,
  FlowEventsOptions,
  FlowFormatOptions,
  ListOptions,
  OverflowPolicy,
  WatchOptions,
} from './call-options.js';
export { Channel } from './channel.js';
export { checkOptions } from './check-options.js';
export { Conntrack, sessionOf } from './conntrack.js';
export { type CpuStatistics, type ExpectationStatistics, toStatistics } from './cpu-statistics.js';
export { OverflowError } from './events/event-queue.js';
export type { EventLoss } from './events/event-source.js';
export type { EventStream } from './events/event-stream.js';
export { EventWatch, type EventWatchOptions, type EventWatchVisitor } from './events/event-watch.js';
export { HashKey } from './events/hash-key.js';
export { type LiveChange, LiveFlows, type LiveListener, toFlowEvent } from './events/live-flows.js';
export type { EntryFollower, TableTracker } from './events/table-tracker.js';
export type { Expectations } from './expectations.js';
export { completeFilter, explainFilter, formatFilter, parseFilter, readFilter } from './filters.js';
export type { ChangeResult } from './flow-changes.js';
export type { FlowList, ScanOptions, ScanVisitor } from './flow-dumps.js';
export { type FlowFormat, flowFormatter, formatFlow } from './format-flow.js';
export { noLabelRoom } from './load/create-flows.js';
export { type EncodedFlows, FlowEncoder, RequestEncoder } from './load/encoded-flows.js';
export { FlowLoader } from './load/flow-loader.js';
export { matches } from './matches.js';
export { traced } from './netlink-trace.js';
export { onAbort } from './on-abort.js';
export { PendingFlows } from './pending-flows.js';
export type { RequestRow } from './requests.js';
export type { CreateResult, DeleteResult, UpdateResult } from './results.js';
export type { Ending, Listing, Session } from './session.js';
export type { Signal } from './signal.js';
export type { ConntrackOptions, SocketPlace } from './socket-pool.js';
export { ConntrackTable, type TableCount } from './table.js';
export { TimeSlice } from './time-slice.js';
export { isTracking, type TrackedFamilies, trackedFamilies } from './tracking.js';
