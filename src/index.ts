/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The public API. Named re-exports and nothing else.
 *
 * @module conntrack
 */

export { formatAddress, parseAddress } from './ctnetlink/address.js';
export type { AddressTuple, IcmpTuple, NumberedTuple, PortTuple } from './ctnetlink/complete-tuple.js';
export type { EventInfo, EventType, ExpectationEvent, FlowEvent } from './ctnetlink/event.js';
export type { Expectation, ExpectationJson } from './ctnetlink/expectation.js';
export type { FilterCompletion } from './ctnetlink/filter/complete.js';
export type { Presence } from './ctnetlink/filter/condition.js';
export type { FilterExplanation } from './ctnetlink/filter/explain.js';
export type { FilterNote, NoteCode } from './ctnetlink/filter/notes.js';
export type {
  Addresses,
  AddressMatch,
  AddressNatMatch,
  Filter,
  FilterInput,
  FilterMembers,
  IcmpMatch,
  MasterMatch,
  NatMatch,
  NatToMatch,
  NumberRange,
  Numbers,
  OriginalMatch,
  TimeRange,
  TupleMatch,
  WatchFilter,
} from './ctnetlink/filter/object-input.js';
export type { FilterLimits } from './ctnetlink/filter/parser.js';
export {
  type DccpFlow,
  type DccpInfo,
  type Family,
  FLOW_FIELDS,
  type Flow,
  type FlowField,
  type FlowJson,
  type FlowMembers,
  type FlowSide,
  type FlowState,
  type FlowTimestamp,
  type GreFlow,
  type IcmpFlow,
  type IcmpSide,
  type MaybePortSide,
  type PortSide,
  type SctpFlow,
  type SctpInfo,
  type SeqAdj,
  type SynproxyInfo,
  type TcpFlow,
  type TcpInfo,
  type UdpFlow,
  type UdpliteFlow,
  type UnknownFlow,
} from './ctnetlink/flow.js';
export { flowKey } from './ctnetlink/flow-key.js';
export { LabelMap } from './ctnetlink/label.js';
export type {
  ExpectationKeyInput,
  ExpectationKeyMembers,
  NewExpectation,
  NewExpectationMembers,
} from './ctnetlink/new-expectation.js';
export type {
  FlowCopy,
  FlowKeyInput,
  FlowKeyMembers,
  FlowUpdate,
  FlowUpdateMembers,
  NatInput,
  NewFlow,
  Number64,
  SideInput,
} from './ctnetlink/new-flow.js';
export { type Json, toJson } from './ctnetlink/plain.js';
export type { ProtocolInput } from './ctnetlink/protocol-input.js';
export { DCCP_STATES, type DccpRole, type DccpState } from './ctnetlink/protocols/dccp.js';
export type { ProtocolName } from './ctnetlink/protocols/index.js';
export { SCTP_STATES, type SctpState } from './ctnetlink/protocols/sctp.js';
export { TCP_STATES, type TcpState } from './ctnetlink/protocols/tcp.js';
export { reverse } from './ctnetlink/reverse.js';
export { type ExpectationFlagName, STATUS_NAMES, type StatusName } from './ctnetlink/status.js';
export type { Tuple } from './ctnetlink/tuple.js';
export type { TupleInput } from './ctnetlink/tuple-input.js';
export {
  ClosedError,
  ConntrackError,
  DecodeError,
  type ErrorJson,
  FilterError,
  type FilterErrorJson,
  type FilterReason,
  KernelError,
  NamespaceError,
  NoAnswerError,
  PlatformError,
  SystemError,
  type TextPlace,
  ValueError,
} from './errors.js';
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
} from './library/call-options.js';
export { Conntrack } from './library/conntrack.js';
export type { CpuStatistics, ExpectationStatistics } from './library/cpu-statistics.js';
export { OverflowError } from './library/events/event-queue.js';
export type { EventLoss } from './library/events/event-source.js';
export { EventStream } from './library/events/event-stream.js';
export { type LiveChange, LiveFlows, type LiveListener } from './library/events/live-flows.js';
export type { Expectations } from './library/expectations.js';
export {
  completeFilter,
  type ExplainFilterOptions,
  explainFilter,
  type FilterValue,
  filter,
  formatFilter,
  type ParseFilterOptions,
  parseFilter,
} from './library/filters.js';
export type { FlowList } from './library/flow-dumps.js';
export type { AllFlowFields, FlowPart, ListedFlow, PartialFlow } from './library/flow-part.js';
export { type FlowFormat, flowFormatter, formatFlow } from './library/format-flow.js';
export { matcher, matches } from './library/matches.js';
export type { CreateResult, DeleteResult, UpdateResult } from './library/results.js';
export type { Listing, ListingIterator } from './library/session.js';
export type { ConntrackOptions } from './library/socket-pool.js';
export type { TableCount } from './library/table.js';
export { NetworkNamespace } from './wire/netns.js';
export { listNamespaces, type NamespaceList } from './wire/netns-list.js';
