// Captured messages against the lines that the reference tool printed for the same entries at the same moment: no kernel needed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter } from '../../src/format/byte-writer.js';
import { writeExpectationText } from '../../src/format/expectation-text.js';
import { writeFlowText } from '../../src/format/flow-text.js';
import { type FormatOptions, WallClock } from '../../src/format/format-options.js';
import { PLAIN } from '../support/format-options.js';
import { type Fixture, KINDS, readFixtures } from './fixture.js';

process.env['TZ'] = 'UTC'; // the captures' time zone

/** What `-o extended,id,ktimestamp` asks for. */
const OPTIONS: FormatOptions = { ...PLAIN, layer3: true, id: true, ktimestamp: true };

function print({ bytes, expected }: Fixture, options: FormatOptions): string {
  const pieces: string[] = [];
  const out = new ByteWriter((chunk, length) => pieces.push(new TextDecoder().decode(chunk.subarray(0, length))));
  const view = KINDS[expected.view].create();
  view.decode(bytes, 0, bytes.length);
  (expected.view === 'flow' ? writeFlowText : writeExpectationText)(out, view, options, new WallClock());
  out.flush();
  return pieces.join('').trimEnd();
}

/** Seconds pass between the capture and the reference's dump: `-L` has the time left in front and the age in the middle. */
function withoutTimes(line: string): string {
  return line.replace(/^((?:ipv[46] +\d+ )?(?:\w+ +\d+ )?)\d+ /, '$1T ').replace(/ delta-time=\d+/, '');
}

for (const fixture of readFixtures()) {
  const { view, type } = fixture.expected;
  const shown = fixture.head.flatMap((line) => /^# shown as: (.*)$/.exec(line)?.[1] ?? []);
  // Events are shown by the list that was taken before them, so only dumps compare.
  if (
    (view !== 'flow' && view !== 'expectation') ||
    (type & 0xff) !== 0 ||
    shown.length !== 1 ||
    fixture.name.startsWith('event')
  )
    continue;
  test(`${fixture.name} prints as the reference prints it`, () => {
    const layer3 = /^ipv[46] /.test(shown[0]!);
    const options = { ...OPTIONS, layer3, ktimestamp: shown[0]!.includes('[start=') };
    assert.equal(withoutTimes(print(fixture, options)), withoutTimes(shown[0]!));
  });
}
