// The rows of docs/behaviour.md and docs/kernel.md are those of the code: options, words, numbers of messages and attributes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-rows.js';
import { OPTIONS, type OptionRow } from '../../src/cli/options.js';
import { protocolOptions } from '../../src/cli/protocol-options.js';
import { parseStatus, STATUS_WORDS } from '../../src/cli/values.js';
import { DCCP_ROLES } from '../../src/ctnetlink/protocols/dccp.js';
import { PROTOCOLS, protocolByName } from '../../src/ctnetlink/protocols/index.js';
import { CPU_STATISTICS, EXPECTATION_STATISTICS } from '../../src/ctnetlink/statistics.js';
import * as common from '../../src/ctnetlink/uapi/nf-conntrack-common.js';
import * as ctnetlink from '../../src/ctnetlink/uapi/nfnetlink-conntrack.js';
import { page, tableRows } from '../support/pages.js';

const BEHAVIOUR = page('docs/behaviour.md');
const KERNEL = page('docs/kernel.md');

const rowsOf = ({ sections }: typeof KERNEL, number: string) => tableRows(sections.get(number)!);
/** Words in back quotes. */
const codes = (text: string) => Array.from(text.matchAll(/`([^`]+)`/g), ([, word]) => word!);

test('docs/behaviour.md 1.1 has every command with its names', () => {
  const written = rowsOf(BEHAVIOUR, '1.1').map(([letter, names]) => [...codes(letter!), ...codes(names!).sort()]);
  const rows = COMMANDS.map(({ letter, names }) => [`-${letter}`, ...names.map((name) => `--${name}`).sort()]);
  assert.deepEqual(written, rows);
});

const isOld = (row: OptionRow) => !row.isNew;

test('docs/behaviour.md 1.4 has every option of the C tool, in the order of the check', () => {
  const written = rowsOf(BEHAVIOUR, '1.4').map(([letter, names, value]) => [...codes(letter!), ...codes(names!), value]);
  const rows = Object.values<OptionRow>(OPTIONS)
    .filter(isOld)
    .map(({ short, names, arg }) => [`-${short}`, ...names.map((name) => `--${name}`), arg]);
  assert.deepEqual(written, rows);
});

test('docs/behaviour.md 1.6 has every option of every protocol', () => {
  const written = new Map(rowsOf(BEHAVIOUR, '1.6').map(([protocols, options]) => [protocols!, options!]));
  const words = (text: string) => text.split(/, | of tcp/).flatMap((part) => codes(part).join('=') || []);
  const ofTcp = words(written.get('tcp (6)')!);
  for (const protocol of PROTOCOLS) {
    const [, text] = [...written].find(([names]) => new RegExp(`\\b${protocol.name} \\(${protocol.number}\\)`).test(names))!;
    const more = words(text);
    const documented = text.includes('but')
      ? ofTcp.filter((word) => !more.includes(word))
      : text.includes('those of tcp')
        ? [...ofTcp, ...more]
        : more;
    const rows = Object.values(protocolOptions(protocol)).map(({ names }) => names.map((name) => `--${name}`).join('='));
    assert.deepEqual(documented.sort(), rows.sort(), protocol.name);
  }
});

test('docs/behaviour.md 1.9 has every option of our own, and the commands that take it', () => {
  const text = BEHAVIOUR.sections.get('1.9')!;
  for (const row of Object.values<OptionRow>(OPTIONS).filter((option) => !isOld(option))) {
    const [, takers = ''] =
      tableRows(text).find(([names]) => codes(names!).some((code) => code.split(' ')[0] === `--${row.names[0]}`)) ?? [];
    assert.notEqual(takers, '', `--${row.names[0]}`);
    const letters = row.everywhere ? 'all' : Object.keys({ ...row.conntrack, ...row.expect }).map((letter) => `-${letter}`);
    assert.deepEqual(
      row.everywhere ? takers : codes(takers).sort(),
      row.everywhere ? letters : [...letters].sort(),
      row.names[0],
    );
  }
});

test('docs/behaviour.md 3.5 has every status word with its bit', () => {
  const written = rowsOf(BEHAVIOUR, '3.5').slice(0, STATUS_WORDS.length);
  const bits = STATUS_WORDS.map((word) => {
    const { set } = parseStatus(word, '-u', undefined, () => {});
    return [`\`${word}\``, set === 0 ? 'none' : `0x${set.toString(16)}`];
  });
  assert.deepEqual(written, bits);
});

test('docs/behaviour.md 3.12 has every state, in the order of its numbers', () => {
  const rows = rowsOf(BEHAVIOUR, '3.12');
  for (const name of ['tcp', 'sctp', 'dccp']) {
    const states = protocolByName(name)!.states!;
    const [, values = ''] = rows.find(([option]) => option === `${name.toUpperCase()} \`--state\``)!;
    assert.deepEqual(codes(values).slice(0, states.length), states);
  }
  const [, roles = ''] = rows.find(([option]) => option === '`--role`')!;
  assert.deepEqual(codes(roles).slice(0, 2), DCCP_ROLES);
});

test('docs/behaviour.md 5.9 has the name of every counter', () => {
  const section = BEHAVIOUR.sections.get('5.9')!;
  const cells = tableRows(section).flatMap((row) => [row.slice(0, 2), row.slice(2, 4), row.slice(4, 6)]);
  const written = cells.filter(([number]) => number !== '').sort(([a], [b]) => Number(a) - Number(b));
  assert.deepEqual(
    written,
    CPU_STATISTICS.map((name, i) => [`${i + 1}`, `\`${name}\``]),
  );
  const expect = EXPECTATION_STATISTICS.map((name, i) => `${i + 1} \`${name}\``).join(', ');
  assert.ok(section.includes(`Of expectations: ${expect}.`));
});

/** Section → column of the number, column of the name, and how the constant is called. */
const NUMBERED: readonly (readonly [section: string, number: number, name: number, prefix: (row: string[]) => string])[] = [
  ['2.1', 0, 1, () => 'IPCTNL_MSG_'],
  ['2.3', 0, 1, () => 'IPCTNL_MSG_'],
  ['3.1', 0, 1, () => 'CTA_'],
  ['3.2', 0, 1, () => 'CTA_'],
  ['3.3', 0, 1, () => 'CTA_PROTO_'],
  ['3.4', 0, 1, () => 'IPS_'],
  ['3.5', 1, 2, ([nest]) => `CTA_PROTOINFO_${nest!.split(' ')[1]}_`],
  ['3.10', 0, 1, () => 'CTA_EXPECT_'],
];

const CONSTANTS: Readonly<Record<string, unknown>> = { ...common, ...ctnetlink };

for (const [section, number, name, prefix] of NUMBERED)
  test(`docs/kernel.md ${section} has every number as in the headers`, () => {
    const rows = rowsOf(KERNEL, section);
    assert.ok(rows.length > 2);
    for (const row of rows) {
      const constant = prefix(row) + row[name];
      assert.equal(CONSTANTS[constant], Number(row[number]), constant);
    }
  });

test('docs/kernel.md leaves out no message, attribute or status bit', () => {
  const written = new Set(
    NUMBERED.flatMap(([section, , name, prefix]) => rowsOf(KERNEL, section).map((row) => prefix(row) + row[name])),
  );
  /** Members of nests that their section tells in a sentence or a cell, groups in 2.4, flags of filters in 4.2. */
  const inWords =
    /^CTA_(IP|COUNTERS|TIMESTAMP|NAT|PROTONAT|SEQADJ|SYNPROXY|HELP|SECCTX|STATS|FILTER|EXPECT_NAT)_|^CTA_PROTOINFO_[A-Z]+$/;
  const expected = Object.keys(CONSTANTS).filter(
    (name) => /^(IPS|CTA|IPCTNL_MSG)_/.test(name) && !written.has(name) && !inWords.test(name),
  );
  assert.deepEqual(expected, []);
});

test('docs/kernel.md 2.4 has every group', () => {
  for (const [group, name] of rowsOf(KERNEL, '2.4').filter(([first]) => /^\d$/.test(first!)))
    assert.equal(CONSTANTS[`NF_NETLINK_${name}`], 1 << (Number(group) - 1), name);
});

test('docs/kernel.md 4.2 has every bit of a filter', () => {
  const bits = rowsOf(KERNEL, '4.2').flatMap(([cell]) => cell!.split(', ').map(Number));
  const flags = Object.keys(CONSTANTS).filter((name) => name.startsWith('CTA_FILTER_F_'));
  for (const flag of flags) assert.ok(bits.includes(CONSTANTS[flag] as number), flag);
  assert.equal(bits.length, 12);
});
