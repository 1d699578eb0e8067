// The JSON Schema of what `conntrack whohad` and `conntrack history` print.

import type { SchemaAddition } from '../format/json-schema.js';
import { array, described, integer, object, ref, type Schema, type SchemaMembers } from '../format/schema-parts.js';
import { END_KINDS, END_REASONS, GAP_REASONS, START_KINDS } from './record-columns.js';

const count: Schema = { type: 'integer', minimum: 0 };
const text: Schema = { type: 'string' };
const flag: Schema = { enum: [true, false] };
const yes: Schema = { const: true };
const moment = (description: string): Schema => ({ type: 'string', pattern: '^[0-9]{4}-.*\\.[0-9]{6}Z$', description });
const momentOrNone = (description: string): Schema => ({ anyOf: [moment(description), { type: 'null' }] });
const netns = described(text, 'Its network namespace, unless it is that of the recorder.');
const zone = integer(0xffff, 'Its zone, unless it is 0.');
const grade: Schema = {
  enum: ['certain', 'possible', 'near'],
  description: 'certain: the flow lived then; possible: it may have; near: only the tolerance finds it.',
};
const end = (description: string): Schema =>
  object(description, { address: text, port: integer(0xffff, 'Or the identifier of ICMP.') }, ['address']);
const traffic = (description: string): Schema => object(description, { packets: ref('number64'), bytes: ref('number64') });

const quality: SchemaMembers = {
  start: { enum: START_KINDS, description: 'How the beginning is known. listed: the flow was there before it was recorded.' },
  end: { enum: END_KINDS, description: 'How the end is known; absent for a flow that lives.' },
  startSlack: described(count, 'Microseconds that it may have begun before.'),
  endSlack: described(count, 'Microseconds that it may have ended before.'),
  counters: { enum: ['complete', 'partial', 'none'] },
  clockSet: described(yes, 'The clock was set while it lived.'),
  imported: described(yes, 'It comes from elsewhere, and not from this recorder.'),
  injected: described(yes, 'A program made it, not a packet.'),
};
const qualityNeeds = ['start', 'startSlack', 'endSlack', 'counters'];

/** Definitions `pastFlow`, `recordGap`, `recordSegment`, `recordVerification`, `pastGroup` and `whoHadAnswer`. */
export function historySchema(): SchemaAddition {
  return {
    definitions: {
      recordGap: object(
        'A time of which the record may lack flows.',
        {
          from: moment('When it begins.'),
          to: moment('When it ends; absent: it has not.'),
          reason: { enum: Object.keys(GAP_REASONS) },
          incomplete: described(flag, 'Whether flows may be missing: not while the machine slept.'),
          events: described(count, 'Events that the kernel dropped, or records that could not be kept.'),
          netns: described(text, 'The network namespace that it concerns; absent: all.'),
          alsoBefore: described(yes, 'What ended then lacks, also if it had lived long before.'),
          note: text,
          lost: array(count, 'Of a copy: numbers of the first and the last record that it lacks.'),
        },
        ['from', 'reason', 'incomplete'],
      ),
      recordSegment: object(
        'A file of a record.',
        {
          directory: text,
          name: text,
          number: count,
          recorder: described(text, 'UUID of the recorder.'),
          opened: moment('When it was begun.'),
          closed: moment('When the next one was begun.'),
          sealed: described(flag, 'It has its indexes, and is not changed any more.'),
          imported: described(yes, 'Its records come from elsewhere.'),
          rows: count,
          problem: described(text, 'Why it cannot be read.'),
        },
        ['directory', 'name', 'number', 'sealed'],
      ),
      recordVerification: object(
        'Whether the sealed files of a record are as they were: record verify.',
        {
          directory: text,
          ok: described(flag, 'Nothing is wrong.'),
          faults: array(
            object('What is not as it should be.', { segment: described(text, 'The file, if it is about one.'), text }, ['text']),
          ),
          segments: array(
            object(
              'A sealed file.',
              {
                name: text,
                number: count,
                first: described(count, 'Number of its first record; absent: it has none.'),
                last: count,
                records: described(count, 'Records that it has.'),
                forgotten: described(count, 'Records that were taken out since it was sealed.'),
                sha256: text,
              },
              ['name', 'number', 'records', 'forgotten', 'sha256'],
            ),
          ),
          unsealed: array(text, 'Files that are not sealed, and were not compared.'),
          manifest: object('The lines about files.', { lines: count, last: described(text, 'SHA-256 of the last line.') }, [
            'lines',
          ]),
        },
        ['directory', 'ok', 'faults', 'segments', 'unsealed', 'manifest'],
      ),
      pastGroup: object(
        'Flows of the past that have something in common: history top.',
        {
          key: text,
          flows: count,
          packets: ref('number64', 'Of the original direction; absent if none was counted.'),
          bytes: ref('number64'),
          replyPackets: ref('number64', 'Of the reply.'),
          replyBytes: ref('number64'),
        },
        ['key', 'flows'],
      ),
      whoHadMatch: object(
        'A flow that had the address and port.',
        {
          grade,
          role: { enum: ['source', 'destination'], description: 'destination: a forwarded port.' },
          inside: end('Who it was.'),
          outside: end('What was asked for.'),
          remote: end('The other side; absent if destinations are not recorded.'),
          translated: flag,
          protocol: text,
          protonum: integer(0xff),
          zone,
          netns,
          start: moment('When it began.'),
          end: momentOrNone('When it ended; null: it lives.'),
          open: flag,
          endReason: { enum: END_REASONS },
          sent: traffic('From the inside.'),
          received: traffic('To the inside.'),
          hops: array(
            object(
              'A further translation of the inside address.',
              { inside: end('Who had it.'), outside: end('What they had.'), zone, netns },
              ['inside', 'outside'],
            ),
          ),
          quality: object(
            'How certain the record is.',
            {
              ...quality,
              clock: described(text, 'How well the clock was kept.'),
              clockStep: { type: 'integer', description: 'Microseconds by which the clock was set near that time.' },
            },
            qualityNeeds,
          ),
          evidence: object(
            'Where the record is.',
            {
              recorder: described(text, 'UUID of the recorder.'),
              segment: described(text, 'The file.'),
              sequence: described(count, 'Number of the record, without holes; absent while the flow lives.'),
              sha256: { type: 'string', pattern: '^[0-9a-f]{64}$', description: 'Of the file, as the manifest says.' },
              sealed: flag,
            },
            ['recorder', 'segment', 'sealed'],
          ),
        },
        [
          'grade',
          'role',
          'inside',
          'outside',
          'translated',
          'protocol',
          'protonum',
          'start',
          'end',
          'open',
          'hops',
          'quality',
          'evidence',
        ],
      ),
      whoHadAnswer: object(
        'whohad.',
        {
          question: object(
            'As it was understood.',
            {
              address: text,
              port: integer(0xffff),
              protocol: integer(0xff),
              from: moment('The time that was asked for begins then.'),
              to: moment('It ends before.'),
              within: described(count, 'Microseconds of tolerance.'),
            },
            ['address', 'from', 'to', 'within'],
          ),
          complete: described(flag, 'Whether the record is complete at that time.'),
          why: array(text, 'Why it is not, in words.'),
          gaps: array(ref('recordGap'), 'The gaps that the time meets.'),
          ambiguous: described(flag, 'Several had it at once, for certain.'),
          matches: array(ref('whoHadMatch'), 'The most certain first; at most 1,000.'),
          more: described(count, 'Matches besides.'),
          groups: array(
            object(
              'Somebody who had the address.',
              {
                inside: text,
                grade,
                flows: count,
                start: moment('The first beginning.'),
                end: momentOrNone('The last end; null: a flow lives.'),
              },
              ['inside', 'grade', 'flows', 'start', 'end'],
            ),
            'Without a port: who had the address.',
          ),
          notes: array(text, 'What else the answer depends on.'),
          coverage: object('The time that the record covers.', { from: moment('From then.'), to: moment('To then.') }, [
            'from',
            'to',
          ]),
        },
        ['question', 'complete', 'why', 'gaps', 'ambiguous', 'matches', 'more', 'notes', 'coverage'],
      ),
    },
    ofFlow: { pastFlow },
    outputs: ['whoHadAnswer', 'pastFlow', 'recordGap', 'recordSegment', 'recordVerification', 'pastGroup'],
  };
}

/** A flow with what the record says of it. Its destination is absent where destinations are not recorded. */
function pastFlow(flow: Schema): Schema {
  const members = flow['properties'] as SchemaMembers;
  const withoutNeed = (side: Schema): Schema => ({ ...side, required: ['protonum'] });
  return object(
    'A flow of the past: history.',
    {
      ...members,
      original: withoutNeed(members['original']!),
      reply: withoutNeed(members['reply']!),
      netns,
      start: moment('When it began.'),
      end: moment('When it ended; absent: it lives.'),
      endReason: { enum: END_REASONS, description: 'Why it ended.' },
      seen: moment('Of a flow that lives: when it was known to be alive last.'),
      quality: object('How certain the record is.', quality, qualityNeeds),
      sequence: described(count, 'Number of the record, without holes; absent while the flow lives.'),
      segment: described(text, 'The file that it is in.'),
    },
    ['family', 'protocol', 'original', 'reply', 'start', 'quality', 'segment'],
  );
}
