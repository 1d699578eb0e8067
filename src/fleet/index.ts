// conntrack/fleet: the public API of fleets.

export type { AuditLine, AuditPhase, AuditRecord, AuditTrust, ChangeOutcome, LogOptions } from './audit.js';
export type { ChangedHost, ChangePlan, PlannedHost } from './change-client.js';
export type { ChangeKind, ChangeOrder, ChangeSet } from './change-request.js';
export {
  connectFleet,
  FleetClient,
  type FleetCount,
  type FleetGroups,
  type FleetHistoryOptions,
  type FleetOptions,
  type FleetPastGroups,
  type FleetPastTopOptions,
  type FleetStatistics,
  type FleetTopOptions,
  type FleetWhoHad,
  type HostWhoHad,
} from './connect-fleet.js';
export type { FleetEvent, FleetEventsOptions } from './event-feed.js';
export type { FleetAskOptions } from './fleet-asking.js';
export { type FleetCode, FleetError } from './fleet-error.js';
export type { FleetGroup, FleetGroupSort } from './fleet-groups.js';
export { type FleetFlow, FleetList, type FleetListOptions } from './fleet-list.js';
export { FleetHistory, type FleetPastFlow, type FleetPastResult } from './fleet-past-list.js';
export type { AnsweredHost, FleetResult, MissingHost, MissingReason } from './fleet-question.js';
export type { AgentState, HostInfo } from './inventory.js';
export type { FleetPastGroup } from './past-sums.js';
export { type AgentOptions, type RunningAgent, startAgent } from './start-agent.js';
