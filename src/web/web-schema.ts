// The JSON Schema of what `conntrack serve` answers.

import { doctorSchema } from '../doctor/doctor-schema.js';
import type { SchemaAddition } from '../format/json-schema.js';
import { array, described, object, ref, type Schema, type SchemaMembers } from '../format/schema-parts.js';

const count: Schema = { type: 'integer', minimum: 0 };
const text: Schema = { type: 'string' };
const flag: Schema = { enum: [true, false] };

const deletionCounts: SchemaMembers = {
  deleted: count,
  alreadyGone: described(count, 'Ended by themselves in the meantime.'),
  failed: described(count, 'Refused by the kernel.'),
};
const deletionNeeds = ['deleted', 'alreadyGone', 'failed'];

const hop: Schema = object('An end of a way.', { address: text, port: count }, ['address']);
const way: Schema = object('The way of packets in one direction.', { from: hop, to: hop, source: hop, destination: hop }, [
  'from',
  'to',
]);

/** Of an error. */
const problem: SchemaMembers = {
  message: text,
  hint: text,
  reason: described(text, 'Of a filter, with the members below.'),
  problem: described(text, 'The message without the place.'),
  offset: count,
  line: count,
  column: count,
  length: count,
  suggestion: text,
};

/** What it adds to conntrack.schema.json, to what the meter adds. */
export function webSchema({ definitions }: SchemaAddition): SchemaAddition {
  const { properties: flow, required: flowNeeds } = definitions['meteredFlow'] as {
    readonly properties: SchemaMembers;
    readonly required: readonly string[];
  };
  const { properties: sums, required: sumsNeed } = definitions['otherGroups'] as {
    readonly properties: SchemaMembers;
    readonly required: readonly string[];
  };
  const { properties: diagnosis, required: diagnosisNeeds } = doctorSchema().definitions['diagnosis'] as {
    readonly properties: SchemaMembers;
    readonly required: readonly string[];
  };
  const { groups: _, ...totals } = sums;
  const part: SchemaMembers = {
    sample: described(count, 'Number of the sample.'),
    at: described(count, 'When it was taken, in milliseconds since the epoch.'),
    total: described(count, 'Flows that are metered.'),
    matched: count,
    totals: object(
      'All that match.',
      totals,
      sumsNeed.filter((name) => name !== 'groups'),
    ),
    offset: count,
  };
  const partNeeds = Object.keys(part);
  const keyed: SchemaMembers = { key: described(text, 'Names it in paths and deletions.'), ...flow };
  const keyedNeeds = ['key', ...flowNeeds];
  const notice = object('What one should know of the table.', { code: text, text, remedy: text, netns: text }, ['code', 'text']);
  const status: SchemaMembers = {
    accounting: { enum: ['on', 'partly', 'off'] },
    events: { enum: ['all', 'new', 'off'] },
    timestamps: flag,
    interval: described({ type: 'number' }, 'Milliseconds between lists.'),
    notices: array(notice),
  };
  const statusNeeds = Object.keys(status);
  const minuteGroup: SchemaMembers = {
    key: text,
    filter: described(text, 'Selects its flows.'),
    flows: count,
    unreplied: count,
    average: ref('bothWays', 'Bytes per second.'),
  };
  const web: SchemaMembers = {
    keyedFlow: object('A line of /flows as application/x-ndjson.', keyed, keyedNeeds),
    problem: object(
      'An error of the server.',
      {
        error: object(
          'The code is stable, the message for people, the hint says what to do.',
          { code: text, matched: described(count, 'How many flows match by now.'), ...problem },
          ['code', 'message'],
        ),
      },
      ['error'],
    ),
    webStatus: object(
      '/status.',
      {
        version: text,
        host: text,
        changes: described(flag, 'Whether this token may delete.'),
        scope: described(text, 'No other flows are served.'),
        namespaces: (definitions['meterSample'] as { readonly properties: SchemaMembers }).properties['namespaces']!,
        ...status,
        record: described(flag, 'Whether a record is asked for the past.'),
        age: described({ type: 'number' }, 'Seconds since the newest list.'),
        limits: object('What can be asked.', { rows: count, streams: count, exports: count }, ['rows', 'streams', 'exports']),
      },
      ['host', 'changes', 'namespaces', ...statusNeeds, 'record', 'age', 'limits'],
    ),
    flowsAnswer: object('/flows.', { ...part, flows: array(ref('keyedFlow')) }, [...partNeeds, 'flows']),
    flowsByNumber: object(
      '/flows?numbers=.',
      { sample: part['sample']!, at: part['at']!, flows: array(ref('keyedFlow'), 'Those that live.') },
      ['sample', 'at', 'flows'],
    ),
    flowsPage: object(
      '/flows?cursor=.',
      {
        sample: count,
        matched: described(count, 'Flows of the walk.'),
        next: described(text, 'The cursor of the next page; absent on the last.'),
        flows: array(ref('keyedFlow')),
      },
      ['sample', 'matched', 'flows'],
    ),
    flowAnswer: object(
      '/flows/KEY.',
      {
        ...keyed,
        nat: object('Its ways through this host.', { original: way, reply: way }, ['original', 'reply']),
        expected: array(ref('expectation')),
      },
      [...keyedNeeds, 'nat'],
    ),
    doctorAnswer: object(
      '/doctor. /flows/KEY/explanation is an explanation.',
      { at: described(count, 'When it was looked for: milliseconds since the epoch.'), ...diagnosis },
      ['at', ...diagnosisNeeds],
    ),
    pastAnswer: object(
      '/flows/KEY/past.',
      {
        lives: array(ref('pastFlow'), 'The newest first, at most 20.'),
        more: described(flag, 'There are earlier ones.'),
        unreadable: described(count, 'Files of the record that could not be read.'),
      },
      ['lives', 'more', 'unreadable'],
    ),
    minuteAnswer: object(
      '/groups?at=.',
      {
        by: text,
        minute: described(count, 'When it began, in seconds since the epoch.'),
        from: {
          enum: ['memory', 'record'],
          description: 'memory: as it was when the minute ended; record: flows that ended in it.',
        },
        unreadable: described(count, 'Files of the record that could not be read.'),
        matched: described(count, 'Flows of all groups.'),
        groups: array(object('Of the minute.', minuteGroup, ['key', 'flows'])),
        count,
      },
      ['by', 'minute', 'from', 'groups'],
    ),
    groupsAnswer: object(
      '/groups.',
      {
        by: text,
        ...part,
        groups: array(ref('flowGroup')),
        count,
        other: ref('otherGroups', 'Those that are not among the groups.'),
      },
      ['by', ...partNeeds, 'groups', 'count', 'other'],
    ),
    filterAnswer: object(
      '/filter.',
      {
        valid: flag,
        canonical: text,
        explanation: object(
          'What it means.',
          {
            filter: text,
            dumps: array(text, 'What is asked of the kernel.'),
            constant: described(flag, 'Whether a flow that matches once matches as long as it lives.'),
            notes: array(object('What may surprise.', { code: text, test: text, message: text }, ['code', 'test', 'message'])),
          },
          ['filter', 'constant', 'notes'],
        ),
        completions: array(
          object('How it can go on.', { text, kind: { enum: ['word', 'field', 'value'] }, help: text }, ['text', 'kind', 'help']),
        ),
        error: object('What is wrong with it, as in problem.', { code: text, ...problem }, [
          'code',
          'message',
          'reason',
          'offset',
        ]),
      },
      ['valid', 'completions'],
    ),
    deletionPlan: object(
      'POST /deletions with dryRun.',
      {
        matched: count,
        largest: array(ref('keyedFlow'), 'The fastest, at most three.'),
        warnings: array(text),
        confirm: described(text, 'Confirms this deletion, once.'),
        expires: described(text, 'Until then.'),
      },
      ['matched', 'largest', 'warnings', 'confirm', 'expires'],
    ),
    deletionResult: object('POST /deletions, DELETE /flows/KEY.', { matched: count, ...deletionCounts }, [
      'matched',
      ...deletionNeeds,
    ]),
    streamCounts: object('The event counts.', { flows: count, begun: count, ended: count }, ['flows', 'begun', 'ended']),
    streamStatus: object('The event status.', status, statusNeeds),
    streamDeletion: object(
      'The event deletion, and again when one has looked what came back.',
      { filter: text, netns: text, ...deletionCounts, cameBack: count },
      deletionNeeds,
    ),
    streamGap: object(
      'The event gap: so many events are missing; null is not known.',
      {
        events: { anyOf: [count, { type: 'null' }] },
      },
      ['events'],
    ),
  };
  return { definitions: web, outputs: [] };
}
