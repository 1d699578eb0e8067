// Names from outside (of programs, helpers, security contexts, namespaces, files) of any bytes, in every form of output: no line contains
// a control character, however it is decoded; a saved line has the same words as with harmless names; XML and JSON parse back to the
// name. How to run it: target.ts.

import assert from 'node:assert/strict';
import { SaxesParser } from 'saxes';
import { parseCommandLine } from '../../src/cli/command-line.js';
import { splitLoadLine, splitPlainLine } from '../../src/cli/load/load-words.js';
import { failureJson, failureLines } from '../../src/cli/messages.js';
import { messageLine } from '../../src/cli/output/output.js';
import { quoted, UsageError } from '../../src/cli/usage-error.js';
import { createExpectationView, createFlowView, type View } from '../../src/ctnetlink/view.js';
import { ByteWriter } from '../../src/format/byte-writer.js';
import { writeExpectationJson } from '../../src/format/expectation-json.js';
import { writeExpectationText } from '../../src/format/expectation-text.js';
import { writeExpectationXml } from '../../src/format/expectation-xml.js';
import { writeFlowJson } from '../../src/format/flow-json.js';
import { writeFlowSave } from '../../src/format/flow-save.js';
import { writeFlowText } from '../../src/format/flow-text.js';
import { writeFlowXml } from '../../src/format/flow-xml.js';
import { type FormatOptions, NamespaceLabel, WallClock } from '../../src/format/format-options.js';
import { PLAIN } from '../support/format-options.js';
import { attribute, nest, newExpectation, newFlow } from '../support/netlink.js';
import type { Random } from '../support/random.js';
import { fuzz, REFUSED, SOUND } from './target.js';

const PIECES = [
  ...['\n', '\r', '\t', '\x1b[2J', '\x1b]0;', '\x07', '\x08', '\x7f', '\x85', '\x9b2J', '\u061c', '\u200f', '\u2028', '\u2029'],
  ...['\u202e', '\u2066', '\ufeff', '\ufffe', '-F', ' -F', '\n-F\n#', ' -m 7', '#', '"', '\\', '\\x0a', ' ', '=', ',', "'"],
  ...['&', '&amp;', '<', '</helper>', ']]>', '--', 'ftp', 'a', 'größe', '日本', '👩‍👧', 'x', '%s', '[RESYNC]'],
].map((text) => Buffer.from(text));

/** A name as the kernel keeps them: any bytes but NUL. */
function anyName(random: Random, longest: number): Buffer {
  const pieces: Buffer[] = [];
  for (let n = random.below(5); n > 0; n--) {
    const piece = random.pick(PIECES);
    // Cut anywhere, like a name that is too long.
    pieces.push(random.chance(0.2) ? piece.subarray(random.below(piece.length)) : piece);
    if (random.chance(0.2)) pieces.push(Buffer.from([1 + random.below(255)]));
  }
  return Buffer.concat(pieces).subarray(0, longest);
}

interface Names {
  readonly helper: Buffer;
  readonly secctx: Buffer;
  readonly fn: Buffer;
  readonly program: Buffer;
  readonly netns: string;
}

const [FTP, CONTEXT, FN, PROGRAM] = ['ftp', 'system_u:object_r', 'nat-follow', 'node'].map((text) => Buffer.from(text));
const HARMLESS: Names = { helper: FTP!, secctx: CONTEXT!, fn: FN!, program: PROGRAM!, netns: 'blue' };

const side = { src: '192.0.2.1', dst: '198.51.100.1', sport: 40000, dport: 21 };
const FLOW = newFlow({ proto: 6, original: side, timeout: 100, tcpState: 3, mark: 5 });
const [EXPECTATION] = newExpectation({ proto: 6, master: { proto: 6, side }, tuple: side, mask: side, timeout: 9 });
const PORT = 77;

const flows = createFlowView();
const expectations = createExpectationView();
const clock = new WallClock();
clock.set(1_795_306_672_871.5);

function decoded(view: View, request: Buffer, ...more: Buffer[]): View {
  const bytes = Buffer.concat([request, ...more]);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt32LE(PORT, 12);
  view.decode(bytes, 0, bytes.length);
  return view;
}

const string = (type: number, name: Buffer) => attribute(type, Buffer.concat([name, Buffer.alloc(1)]));
const flowOf = ({ helper, secctx }: Names) => decoded(flows, FLOW, nest(5, string(1, helper)), nest(19, string(1, secctx)));
const expectationOf = ({ helper, fn }: Names) => decoded(expectations, EXPECTATION!, string(6, helper), string(11, fn));

let cause: Buffer = Buffer.alloc(0);
const label = new NamespaceLabel();
const OPTIONS: FormatOptions = { ...PLAIN, full: true, event: true, program: () => ({ name: cause, pid: 1 }), netns: label };

function optionsFor({ program, netns }: Names): FormatOptions {
  cause = program;
  label.set(netns);
  return OPTIONS;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const RAW = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}]/u;

/** The output without its newline: one line without anything that controls a terminal. */
function lineOf(write: (out: ByteWriter) => void): string {
  const pieces: Buffer[] = [];
  const out = new ByteWriter((bytes, length) => pieces.push(Buffer.from(bytes.subarray(0, length))), 64);
  write(out);
  assert.ok(out.length <= out.bytes.length, 'a writer needs more than it has reserved');
  out.flush();
  return checkLine(Buffer.concat(pieces));
}

function checkLine(bytes: Uint8Array): string {
  const line = utf8.decode(bytes).replace(/\n$/, '');
  assert.doesNotMatch(line, RAW);
  return line;
}

/** The saved line has the words that it has with harmless names, in the places of which are the names of `given`. */
function checkSaved(line: string, harmless: string, given: Names): void {
  const { words } = splitLoadLine(line);
  assert.deepEqual(splitPlainLine(line) ?? words, words);
  const at = words.indexOf('--helper') + 1;
  const helper = words[at]!;
  const same = words.with(at, 'ftp').map((word) => (word.startsWith('progname=') ? 'progname=node' : word));
  assert.deepEqual(same, splitLoadLine(harmless).words);
  try {
    const { values } = parseCommandLine(words, { readProtocols: () => '' });
    assert.equal(values.helper, given.helper.toString());
  } catch (error) {
    assert.ok(error instanceof UsageError);
    assert.match(error.message, /^--helper: .* is not a helper name/);
    assert.ok(!/^[!#-[\]-~]{1,15}$/.test(given.helper.toString('latin1')), `${helper} is refused`);
  }
}

/** Checks that the document is well-formed, and that it parses back to the text as far as XML can hold it. */
function checkXml(line: string, names: Readonly<Record<string, string | Buffer>>): void {
  const parser = new SaxesParser();
  let element = '';
  const found: Record<string, string> = {};
  parser.on('error', (error) => assert.fail(`${error.message}: ${line}`));
  parser.on('opentag', ({ name, attributes }) => {
    element = name;
    found[name] ??= '';
    if (name === 'flow') found['netns'] = attributes['netns']!;
  });
  parser.on('text', (text) => {
    found[element] = (found[element] ?? '') + text;
  });
  parser.write(line).close();
  for (const [name, given] of Object.entries(names)) {
    const text = lenient.decode(Buffer.from(given));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: XML cannot hold them
    if (Buffer.from(text).equals(Buffer.from(given)) && !/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/.test(text))
      assert.equal(found[name], text, name);
  }
}

const lines = {
  text: (names: Names) => lineOf((out) => writeFlowText(out, flowOf(names), optionsFor(names), clock)),
  save: (names: Names) => lineOf((out) => writeFlowSave(out, flowOf(names), optionsFor(names))),
  xml: (names: Names) => lineOf((out) => writeFlowXml(out, flowOf(names), optionsFor(names), clock)),
  json: (names: Names) => lineOf((out) => writeFlowJson(out, flowOf(names), optionsFor(names), clock)),
  expectText: (names: Names) => lineOf((out) => writeExpectationText(out, expectationOf(names), optionsFor(names), clock)),
  expectXml: (names: Names) => lineOf((out) => writeExpectationXml(out, expectationOf(names), optionsFor(names), clock)),
  expectJson: (names: Names) => lineOf((out) => writeExpectationJson(out, expectationOf(names), optionsFor(names), clock)),
};
const harmlessSaved = lines.save(HARMLESS);

fuzz({ name: 'names in every format', share: 0.7, sound: 0.5 }, (random) => {
  const names: Names = {
    helper: anyName(random, 15),
    secctx: anyName(random, 300),
    fn: anyName(random, 31),
    program: anyName(random, 63),
    netns: lenient.decode(anyName(random, 255)),
  };
  const { helper, secctx, netns } = names;
  lines.text(names);
  lines.expectText(names);
  checkSaved(lines.save(names), harmlessSaved, names);
  checkXml(lines.xml(names), { helper, secctx, netns });
  checkXml(lines.expectXml(names), { 'helper-name': helper, netns });
  const flow = JSON.parse(lines.json(names));
  assert.deepEqual(
    [flow.flow.helper, flow.flow.secctx, flow.program, flow.netns],
    [lenient.decode(helper), lenient.decode(secctx), lenient.decode(names.program), netns],
  );
  const { expectation } = JSON.parse(lines.expectJson(names));
  assert.deepEqual([expectation.helper, expectation.fn], [lenient.decode(helper), lenient.decode(names.fn)]);
  return RAW.test(lenient.decode(Buffer.concat([helper, secctx, names.program]))) ? SOUND : REFUSED;
});

fuzz({ name: 'names in messages', share: 0.3, sound: 0.2 }, (random) => {
  const name = random.chance(0.1) ? String.fromCharCode(random.below(0x10000)) : lenient.decode(anyName(random, 100));
  const error = new UsageError(`cannot read ${name}: ${quoted(name)}`, { hint: `not ${name}` });
  // However a message was put together, it is one line on standard error.
  for (const line of [name, ...failureLines(name, name), ...failureLines(error.message, error.hint)])
    checkLine(messageLine(line));
  const json = checkLine(messageLine(failureJson('USAGE', name, error.hint)));
  assert.deepEqual(JSON.parse(json), { error: { code: 'USAGE', message: name, hint: error.hint } });
  return RAW.test(name) ? SOUND : REFUSED;
});
