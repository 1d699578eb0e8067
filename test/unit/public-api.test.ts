// The names of the package: adding one is a decision, removing one breaks programs.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as doctor from '../../src/doctor/index.js';
import * as fleet from '../../src/fleet/index.js';
import * as history from '../../src/history/index.js';
import * as api from '../../src/index.js';
import { Conntrack, EventStream, LiveFlows } from '../../src/index.js';
import { Expectations } from '../../src/library/expectations.js';
import { Listing } from '../../src/library/session.js';
import * as meter from '../../src/meter/index.js';
import * as metrics from '../../src/metrics/index.js';
import * as testing from '../../src/testing/index.js';
import * as web from '../../src/web/index.js';
import { PROJECT, readProjectFile } from '../support/project.js';

const VALUES = `
  ClosedError Conntrack ConntrackError DCCP_STATES DecodeError EventStream FLOW_FIELDS KernelError LabelMap LiveFlows NamespaceError
  NetworkNamespace NoAnswerError OverflowError PlatformError SCTP_STATES STATUS_NAMES SystemError TCP_STATES ValueError
  FilterError completeFilter explainFilter filter formatFilter parseFilter
  flowFormatter flowKey formatAddress formatFlow listNamespaces matcher matches parseAddress reverse toJson
`;
const TYPES = `
  Addresses ExplainFilterOptions FilterCompletion FilterErrorJson FilterExplanation FilterInput FilterLimits FilterNote FilterReason
  FilterValue MasterMatch NatToMatch NoteCode NumberRange Numbers ParseFilterOptions Presence TextPlace TimeRange
  AddressMatch AddressNatMatch AddressTuple ExpectationKeyMembers FilterMembers FlowCopy FlowKeyMembers FlowMembers FlowUpdateMembers NewExpectationMembers IcmpMatch IcmpTuple ListingIterator NumberedTuple PortTuple WatchFilter
  AllFlowFields DccpFlow GreFlow IcmpFlow IcmpSide Json ListedFlow MaybePortSide PartialFlow PortSide SctpFlow TcpFlow UdpFlow
  UdpliteFlow UnknownFlow
  CallOptions ConntrackOptions CpuStatistics CreateResult DccpInfo DccpRole DccpState DeleteResult ErrorJson EventInfo EventLoss
  CreateOptions EventQueueOptions EventsOptions EventType Expectation ExpectationEvent FamilyOptions FlowEvent FlowEventsOptions LiveChange LiveListener OverflowPolicy WatchOptions
  ExpectationFlagName ExpectationJson ExpectationKeyInput ExpectationStatistics Expectations Family Filter Flow FlowField FlowFormat FlowFormatOptions FlowJson
  FlowKeyInput FlowList FlowPart FlowSide FlowState FlowTimestamp FlowUpdate ListOptions Listing NamespaceList NatInput NatMatch
  NewExpectation NewFlow Number64 OriginalMatch ProtocolInput ProtocolName SctpInfo SctpState SeqAdj SideInput StatusName
  SynproxyInfo TableCount TcpInfo TcpState Tuple TupleInput TupleMatch UpdateResult
`;
/** As VALUES and TYPES, of `conntrack/testing`. */
const TESTING_VALUES = 'MemoryTable Recorder RecordingError Replay ReplayError makeFlow';
const TESTING_TYPES = 'FlowInit FlowOf LineSink MemoryTableOptions ReplayOptions TrafficCounters TrafficUpdate';
/** As VALUES and TYPES, of `conntrack/meter`. */
const METER_VALUES =
  'FLOW_SORTS FlowDeletion FlowMeter GROUPING_NAMES GROUP_SORTS MINUTE_GROUPINGS MINUTE_SORTS TooManyGroupingsError checkGrouping divideFilter followNamespaces joinFilters namespacesOf offsetAround openMeter tablesOf usage';
const METER_TYPES = `
  DeletionPlan DeletionResult DeletionTarget LookAgain NamespaceNews PlannedTarget
  BothWays FlowGroup FlowSort FlowsAnswer FlowsQuery GroupSort GroupingName GroupsAnswer GroupsQuery KernelCounts MeterOptions
  MinuteGrouping MinuteGroups MinuteQuery MinuteSort
  MeterSample MeterSeries MeterStatus MeteredFlow NamespaceSample NamespaceTotals Namespaces Notice NoticeCode OtherGroups ProtocolTotals ScopedFilter TrackingSysctls Usage UsageOptions
`;
/** As VALUES and TYPES, of `conntrack/metrics`. */
const METRICS_VALUES = 'METRICS_TYPES ProcessMetrics TopGroups chooseFormat collectMetrics readFamilies writeMetrics';
const METRICS_TYPES = 'AddSample FamilyRow MetricFamily MetricSample MetricType MetricsFormat MetricsOptions TopGrouping';
/** As VALUES and TYPES, of `conntrack/doctor`. */
const DOCTOR_VALUES = 'diagnose explainFlow';
const DOCTOR_TYPES = 'DiagnoseOptions Diagnosis ExplainFlowOptions Fact Finding FlowExplanation Severity Unchecked';
/** As VALUES and TYPES, of `conntrack/web`. */
const WEB_VALUES = 'createHandler';
const WEB_TYPES = 'FetchRequest FetchResponse HandlerOptions LogEntry Peer Role WebHandler';

/** As VALUES and TYPES, of `conntrack/fleet`. */
const FLEET_VALUES = 'FleetClient FleetError FleetHistory FleetList connectFleet startAgent';
const FLEET_TYPES = `
  AgentOptions AgentState AnsweredHost AuditLine AuditPhase AuditRecord AuditTrust ChangeKind ChangeOrder ChangeOutcome ChangePlan ChangeSet ChangedHost
  FleetAskOptions FleetCode FleetCount FleetEvent FleetEventsOptions FleetFlow FleetGroup FleetGroupSort FleetGroups FleetHistoryOptions FleetListOptions FleetOptions
  FleetPastFlow FleetPastGroup FleetPastGroups FleetPastResult FleetPastTopOptions FleetResult FleetStatistics FleetTopOptions FleetWhoHad HostInfo HostWhoHad LogOptions MissingHost MissingReason
  PlannedHost RunningAgent
`;

/** As VALUES and TYPES, of `conntrack/history`. */
const HISTORY_VALUES =
  'END_REASONS FlowHistory GAP_REASONS PAST_GROUPINGS PAST_GROUP_SORTS HistoryError exportParquet forgetFlows formatMoment importFlows openHistory openRecorder parseMoment verifyRecord';
const HISTORY_TYPES = `
  AddressAndPort Coverage EndKind EndReason FlowRecorder ForgetOptions Forgotten Gap GapReason Grade HistoryCode HistoryOptions ImportOptions Imported InsideGroup InsideRole
  MatchEvidence Moment PastFlow PastFlowJson PastFlowsOptions PastGroup PastGroupSort PastGrouping PastTopOptions RecordFault RecordFiles RecordGap RecordOptions RecordQuality RecordVerification RecordedTables RecorderEvent RecorderStatus SegmentInfo Span StartKind TimeSpan TranslationHop
  VerifiedSegment VerifyOptions WhoHadAnswer WhoHadMatch WhoHadOptions
`;

const METHODS: readonly (readonly [string, object, string])[] = [
  [
    'Conntrack',
    Conntrack.prototype,
    'close count create createMany delete deleteMany events flush get list statistics update updateMany watch',
  ],
  ['Expectations', Expectations.prototype, 'count create delete events flush get list statistics'],
  ['EventStream', EventStream.prototype, 'close dropped lost next ready ref return unref'],
  ['LiveFlows', LiveFlows.prototype, 'bytes close closed count failure get list lost ref size subscribe unref'],
  ['Listing', Listing.prototype, 'toArray'],
  [
    'FlowMeter',
    meter.FlowMeter.prototype,
    'add close counts failure flows get getMany groups hold interval minute numbers remove sample series status totals',
  ],
  ['TopGroups', metrics.TopGroups.prototype, 'read'],
  ['ProcessMetrics', metrics.ProcessMetrics.prototype, 'close read'],
  ['FlowHistory', history.FlowHistory.prototype, 'close coverage flows gaps read segments span states sums top whoHad'],
  [
    'FleetClient',
    fleet.FleetClient.prototype,
    'close count events history historyTop hosts list log planDelete planUpdate statistics top watchHosts whoHad',
  ],
  ['FleetList', fleet.FleetList.prototype, 'result toArray'],
  ['MemoryTable', testing.MemoryTable.prototype, 'add advance change delivered expire flows loseEvents now'],
];

const words = (text: string) => text.trim().split(/\s+/).sort();
const source = (path: string) => readFileSync(fileURLToPath(new URL(`../../../src/${path}`, import.meta.url)), 'utf8');

const ENTRIES = [
  { name: 'conntrack', path: 'index.ts', values: api, VALUES, TYPES },
  { name: 'conntrack/meter', path: 'meter/index.ts', values: meter, VALUES: METER_VALUES, TYPES: METER_TYPES },
  { name: 'conntrack/metrics', path: 'metrics/index.ts', values: metrics, VALUES: METRICS_VALUES, TYPES: METRICS_TYPES },
  { name: 'conntrack/doctor', path: 'doctor/index.ts', values: doctor, VALUES: DOCTOR_VALUES, TYPES: DOCTOR_TYPES },
  { name: 'conntrack/web', path: 'web/index.ts', values: web, VALUES: WEB_VALUES, TYPES: WEB_TYPES },
  {
    name: 'conntrack/history',
    path: 'history/index.ts',
    values: history,
    VALUES: HISTORY_VALUES,
    TYPES: HISTORY_TYPES,
  },
  { name: 'conntrack/fleet', path: 'fleet/index.ts', values: fleet, VALUES: FLEET_VALUES, TYPES: FLEET_TYPES },
  { name: 'conntrack/testing', path: 'testing/index.ts', values: testing, VALUES: TESTING_VALUES, TYPES: TESTING_TYPES },
];

for (const { name, path, values, VALUES, TYPES } of ENTRIES) {
  test(`${name} exports these values`, () => assert.deepEqual(Object.keys(values).sort(), words(VALUES)));

  test(`${name} exports these types`, () => {
    const names = Array.from(source(path).matchAll(/export (type )?\{([^}]*)\}/g)).flatMap(([, type, list]) =>
      list!
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '' && (type || name.startsWith('type ')))
        .map((name) => name.replace(/^type /, '')),
    );
    assert.deepEqual(names.sort(), words(TYPES));
  });

  test(`every declaration that ${name} exports has docs`, () => {
    const files = Array.from(source(path).matchAll(/from '\.\/(.*)\.js'/g), ([, file]) => path.replace('index', file!));
    const exported = new Set([...words(VALUES), ...words(TYPES)]);
    const bare: string[] = [];
    for (const file of files) {
      const text = source(file);
      for (const match of text.matchAll(/^export (?:abstract )?(?:class|interface|type|function|const) (\w+)/gm)) {
        if (!exported.has(match[1]!)) continue;
        if (!text.slice(0, match.index).trimEnd().endsWith('*/')) bare.push(`${file}: ${match[1]}`);
      }
    }
    assert.deepEqual(bare, []);
  });
}

for (const [name, prototype, methods] of METHODS)
  test(`${name} has these methods`, () => {
    assert.deepEqual(
      Object.getOwnPropertyNames(prototype)
        .filter((method) => method !== 'constructor')
        .sort(),
      words(methods),
    );
  });

test('what is internal is in no declaration of the package', () => {
  const wrong: string[] = [];
  let found = 0;
  for (const path of readdirSync(join(PROJECT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!/(?<!\.test|\.d)\.ts$/.test(path) || path.startsWith('web/page/')) continue; // the page is no module of the package
    const declared = () => readProjectFile(`dist/${path.replace(/\.ts$/, '.d.ts')}`);
    // The name of what follows the comment.
    const marked = /@internal(?:(?!\*\/)[\s\S])*\*\/\s*(?:(?:export|static|async|function|class|const|readonly|get) +)*(\w+)/g;
    for (const [, name] of source(path).matchAll(marked)) {
      found++;
      // A file may have several constructors.
      if (name !== 'constructor' && new RegExp(`\\b${name}\\b[(<:]`).test(declared())) wrong.push(`${path}: ${name}`);
    }
    if (declared().includes('@internal')) wrong.push(path);
  }
  assert.deepEqual(wrong, []);
  assert.ok(found >= 6, `${found} marks found`);
});
