// The JSON Schema of what the meter answers, and of what `conntrack top` and `conntrack usage` print of it.

import type { SchemaAddition } from '../format/json-schema.js';
import { array, described, object, ref, type Schema, type SchemaMembers } from '../format/schema-parts.js';
import { KERNEL_COUNTS } from './meter-sample.js';
import { SERIES } from './series.js';

const count: Schema = { type: 'integer', minimum: 0 };
const amount: Schema = { type: 'number', minimum: 0 };
const endedUnreplied: Schema = described(count, 'Flows that have ended without a packet back, as far as is known.');
const text: Schema = { type: 'string' };
const both = (description: string): Schema => ref('bothWays', description);

const rates: SchemaMembers = {
  rate: both('Bytes per second between the last two readings.'),
  average: both('Bytes per second, on average of about 10 seconds.'),
  packetRate: described(amount, 'Packets per second, of both directions.'),
};
const sums: SchemaMembers = {
  flows: count,
  unreplied: described(count, 'Flows without a packet back.'),
  bytes: both('Counters of the flows that are there; absent if none has any.'),
  packets: both('Likewise.'),
  ...rates,
};
const flow: SchemaMembers = {
  number: described(count, 'Number of the flow in this meter.'),
  flow: ref('flow'),
  netns: described(text, 'Its network namespace, in a meter of several.'),
  ...rates,
  age: described(amount, 'Seconds since it began.'),
  ageAtLeast: { const: true, description: 'It was there when the meter began, so it may be older.' },
  idle: described(amount, 'Seconds since its counters were seen to change.'),
  counters: { enum: ['kernel', 'none', 'offloaded'] },
};
const flowNeeds = ['number', 'flow', 'age', 'counters'];
const group: SchemaMembers = {
  key: described(text, 'What its flows have in common.'),
  filter: described(text, 'Selects its flows.'),
  ...sums,
  counted: object(
    'Since the grouping is kept, with flows that have ended.',
    { begun: count, ended: count, endedUnreplied, bytes: ref('bothWays'), packets: ref('bothWays') },
    ['begun', 'ended', 'endedUnreplied', 'bytes', 'packets'],
  ),
  history: array(amount, 'Bytes per second at each sample of the last minute.'),
};
const groupNeeds = ['key', 'flows', 'unreplied'];
const others: SchemaMembers = { groups: count, ...sums };
const column: Schema = array({ anyOf: [{ type: 'number' }, { type: 'null' }] });
const sysctls = ['acct', 'events', 'timestamp'];
const each = (names: readonly string[]): SchemaMembers => Object.fromEntries(names.map((name) => [name, count]));

const sample: SchemaMembers = {
  number: described(count, '1 for the first list.'),
  at: described(amount, 'Milliseconds since the epoch.'),
  seconds: described(amount, 'Since the sample before.'),
  entries: count,
  maxEntries: count,
  full: described(amount, 'Seconds until the table is full, if it goes on growing as in the last minutes.'),
  flows: described(count, 'Flows that are metered.'),
  nextFlow: count,
  unreplied: count,
  protocols: object('Flows by protocol.', each(['tcp', 'udp', 'icmp', 'other']), ['tcp', 'udp', 'icmp', 'other']),
  begun: count,
  ended: count,
  rate: both('Bytes per second since the sample before.'),
  packetRate: amount,
  counted: object(
    'Since the meter was opened.',
    {
      begun: count,
      ended: count,
      endedUnreplied,
      bytes: ref('bothWays'),
      packets: ref('bothWays'),
      unseen: count,
      resets: count,
    },
    ['begun', 'ended', 'endedUnreplied', 'bytes', 'packets', 'unseen', 'resets'],
  ),
  cost: described(amount, 'Processor time of the process since the sample before, as a share of one processor.'),
  namespaces: array(
    object(
      'A network namespace.',
      {
        name: text,
        entries: count,
        maxEntries: count,
        full: amount,
        kernel: object('Since the meter was opened.', each(KERNEL_COUNTS), KERNEL_COUNTS),
        sysctls: object('net.netfilter.nf_conntrack_*.', each(sysctls)),
        sweepTime: described(amount, 'Seconds that the last list took.'),
        sweepAge: described(amount, 'Seconds since it began.'),
        lost: described(count, 'How often events were lost.'),
      },
      ['name', 'entries', 'kernel', 'sysctls', 'sweepTime', 'sweepAge', 'lost'],
    ),
  ),
  skipped: count,
};
const sampleNeeds = Object.keys(sample).filter((name) => !['maxEntries', 'full', 'rate', 'packetRate'].includes(name));

/** What it adds to conntrack.schema.json. */
export function meterSchema(): SchemaAddition {
  return {
    definitions: {
      bothWays: object('A number for each direction.', { original: amount, reply: amount }, ['original', 'reply']),
      meteredFlow: object('A flow with its rates.', flow, flowNeeds),
      flowGroup: object('Flows that have something in common.', group, groupNeeds),
      otherGroups: object('Groups together.', others, ['groups', 'flows', 'unreplied']),
      meterSample: object('What a meter knows after a list.', sample, sampleNeeds),
      topSample: object(
        'A line of conntrack top -o ndjson; its flows or groups follow.',
        { type: { const: 'sample' }, ...sample },
        ['type', ...sampleNeeds],
      ),
      topFlow: object('A line of conntrack top -o ndjson.', { type: { const: 'flow' }, sample: count, ...flow }, [
        'type',
        'sample',
        ...flowNeeds,
      ]),
      topGroup: object(
        'A line of conntrack top --by -o ndjson.',
        { type: { const: 'group' }, sample: count, by: text, ...group },
        ['type', 'sample', 'by', ...groupNeeds],
      ),
      meterSeries: object(
        'What the samples said, as columns; null is not known.',
        {
          step: described({ type: 'number' }, 'Seconds between values.'),
          end: described({ type: 'number' }, 'When the last step began, in seconds since the epoch.'),
          ...Object.fromEntries(SERIES.map((name) => [name, column])),
        },
        ['step', 'end', ...SERIES],
      ),
      usage: object(
        'conntrack usage -o json.',
        {
          by: text,
          filter: text,
          fill: described({ type: 'number', minimum: 0 }, 'How full the fullest table is: 1 is full.'),
          namespaces: array(
            object('A network namespace.', { name: text, entries: count, maxEntries: count }, ['name', 'entries']),
          ),
          matched: count,
          totals: object('All flows that match.', sums, ['flows', 'unreplied']),
          offset: count,
          groups: array(ref('flowGroup')),
          count: described(count, 'How many groups there are.'),
          other: ref('otherGroups', 'Those that are not among the groups.'),
        },
        ['by', 'namespaces', 'matched', 'totals', 'offset', 'groups', 'count', 'other'],
      ),
    },
    outputs: ['topSample', 'topFlow', 'topGroup', 'usage'],
  };
}
