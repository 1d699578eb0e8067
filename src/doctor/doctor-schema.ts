// The JSON Schema of what `conntrack doctor` prints.

import type { SchemaAddition } from '../format/json-schema.js';
import { array, described, object, ref, type Schema } from '../format/schema-parts.js';
import { CHECK_IDS } from './checks.js';
import { FACTS } from './explanation.js';
import { SEVERITIES } from './finding.js';

const text: Schema = { type: 'string' };
const lines: Schema = array(text);
const id: Schema = described({ enum: CHECK_IDS }, 'The check.');
const netns: Schema = described(
  text,
  'The network namespace; absent for that of the process, and for what concerns the whole machine.',
);

/** What it adds to conntrack.schema.json. */
export function doctorSchema(): SchemaAddition {
  return {
    definitions: {
      finding: object(
        'Something that is wrong, or good to know.',
        {
          id,
          severity: { enum: SEVERITIES },
          title: described(text, 'What is so, with the numbers.'),
          detail: described(lines, 'What it does to users, and what else is known.'),
          fix: described(lines, 'Lines for a shell; what somebody has to complete is a comment.'),
          about: described(text, 'Where the documentation describes it.'),
          netns,
        },
        ['id', 'severity', 'title', 'detail', 'fix', 'about'],
      ),
      explanation: object(
        'What one flow is.',
        {
          title: described(text, 'Protocol and ends.'),
          id: { type: 'integer', minimum: 0 },
          netns,
          picture: described(lines, 'The way of its packets, and of what comes back.'),
          facts: array(object('A sentence.', { about: { enum: FACTS }, text }, ['about', 'text'])),
          problems: array(ref('finding'), 'What looks wrong.'),
          commands: described(lines, 'Command lines that watch, mark and delete it.'),
        },
        ['title', 'picture', 'facts', 'problems', 'commands'],
      ),
      explanations: object(
        'conntrack explain -o json.',
        {
          explanations: array(ref('explanation')),
          more: described({ type: 'integer', minimum: 0 }, 'How many flows match besides.'),
        },
        ['explanations', 'more'],
      ),
      diagnosis: object(
        'conntrack doctor -o json.',
        {
          findings: array(ref('finding'), 'The worst first.'),
          fine: array(id, 'Checks that found nothing.'),
          unchecked: array(
            object('A check that could not be made.', { id, reason: text, netns }, ['id', 'reason']),
            'Checks that could not be made.',
          ),
          seconds: described({ type: 'number', minimum: 0 }, 'Seconds between the two samples.'),
        },
        ['findings', 'fine', 'unchecked', 'seconds'],
      ),
    },
    outputs: ['diagnosis', 'explanations'],
  };
}
