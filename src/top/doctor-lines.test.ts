import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Finding } from '../doctor/index.js';
import { diagnosisLines, explainedLines } from './doctor-lines.js';
import { BOLD, COLORS } from './style.js';

const finding: Finding = {
  id: 'table-full',
  severity: 'error',
  title: 'the table is full',
  detail: ['connections hang'],
  fix: ['sysctl -w net.netfilter.nf_conntrack_max=4096'],
  about: 'doctor.md#table-full',
  netns: 'blue',
};
const texts = (lines: readonly { readonly text: string }[]) => lines.map(({ text }) => text);

suite('what the doctor says, as lines', () => {
  test('findings with what mends them on lines of their own; what is unknown; what is fine', () => {
    const lines = diagnosisLines({
      findings: [finding],
      fine: ['clashes'],
      unchecked: [{ id: 'few-buckets', reason: '/proc: not there' }],
      seconds: 2,
    });
    assert.deepEqual(texts(lines), [
      'error: blue: the table is full (table-full)',
      '  connections hang',
      '    sysctl -w net.netfilter.nf_conntrack_max=4096',
      'could not check few-buckets: /proc: not there',
      '1 check of conntrack doctor found nothing',
    ]);
    assert.deepEqual([lines[0]!.style, lines[2]!.style], [COLORS.red | BOLD, BOLD]);
  });

  test('a flow: title, way, facts, problems, and each command on a line of its own', () => {
    const lines = explainedLines({
      title: 'udp 10.0.0.1:5 → 10.0.0.2:53',
      id: 7,
      netns: 'blue',
      picture: ['10.0.0.1:5 ──► 10.0.0.2:53'],
      facts: [{ about: 'belongs', text: 'its mark is 1 (0x1)' }],
      problems: [finding],
      commands: ["conntrack -E --filter 'id 7'", "conntrack -D --filter 'id 7'"],
    });
    assert.deepEqual(texts(lines), [
      'blue: udp 10.0.0.1:5 → 10.0.0.2:53   id 7',
      '  10.0.0.1:5 ──► 10.0.0.2:53',
      '  its mark is 1 (0x1)',
      '',
      'error: blue: the table is full (table-full)',
      '  connections hang',
      '    sysctl -w net.netfilter.nf_conntrack_max=4096',
      '',
      "    conntrack -E --filter 'id 7'",
      "    conntrack -D --filter 'id 7'",
    ]);
  });
});
