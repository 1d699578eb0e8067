// `-o` → the writer of an entry: which format, with which fields, in which frame. Each format is evaluated on demand.

import type { LabelMap } from '../../ctnetlink/label.js';
import type { View } from '../../ctnetlink/view.js';
import type { ByteWriter } from '../../format/byte-writer.js';
import type { SaveVerb } from '../../format/flow-save.js';
import { type FormatOptions, NamespaceLabel, WallClock } from '../../format/format-options.js';
import type { XmlFrame } from '../../format/xml.js';
import { safeJson } from '../../safe-text.js';
import { isJson, type OutputModes, PLAIN_OUTPUT } from '../invocation.js';

/** Writes a list of entries: `begin`, each entry, `end`. */
export interface EntryWriter {
  /**
   * Entries follow, of the network namespace `netns` if that is shown, and of `host`. Called once, or before the entries of each namespace
   * and host.
   */
  begin(netns?: string, host?: string): void;
  readonly entry: (view: View) => void;
  /**
   * Completes the frame, whether there were entries or not. `result` is the result of a command that changes entries, which is part of
   * JSON output.
   */
  end(result?: object): void;
  /** The current time, for ages. */
  readonly clock: WallClock;
}

/** Facts about the list, besides `-o`. */
export interface WriterOptions {
  readonly labels?: LabelMap | undefined;
  /** Entries are events. */
  readonly event?: boolean;
  readonly verb?: SaveVerb;
  /** The program that owns a netlink port id, for events. */
  readonly program?: FormatOptions['program'];
  /** Entries of several network namespaces, or hosts: each shows its own. */
  readonly netns?: boolean;
  /** The form of a JSON document: by default an array of entries; or one entry or null; or a result with its entries. */
  readonly document?: 'list' | 'one' | 'result';
}

/** The writer of flows for `-L`, `-G`, `-E`. */
export async function flowWriter(
  out: ByteWriter,
  modes: OutputModes = PLAIN_OUTPUT,
  options: WriterOptions = {},
): Promise<EntryWriter> {
  const clock = new WallClock();
  const format = formatOptions(modes, options);
  if (modes.xml) {
    const { CONNTRACK_FRAME, writeFlowXml } = await import('../../format/flow-xml.js');
    return framed(out, CONNTRACK_FRAME, clock, format, (view) => writeFlowXml(out, view, format, clock));
  }
  if (isJson(modes)) {
    const { writeFlowJson } = await import('../../format/flow-json.js');
    return jsonEntries(out, modes, clock, format, options, (view) => writeFlowJson(out, view, format, clock));
  }
  if (modes.save) {
    const { writeFlowSave } = await import('../../format/flow-save.js');
    return unframed(clock, format, (view) => writeFlowSave(out, view, format, options.verb));
  }
  const { writeFlowText } = await import('../../format/flow-text.js');
  return unframed(clock, format, (view) => writeFlowText(out, view, format, clock));
}

/** The writer of expectations. They have no saved form: `-o save` prints text. */
export async function expectationWriter(
  out: ByteWriter,
  modes: OutputModes = PLAIN_OUTPUT,
  options: WriterOptions = {},
): Promise<EntryWriter> {
  const clock = new WallClock();
  const format = formatOptions(modes, options);
  if (modes.xml) {
    const { EXPECT_FRAME, writeExpectationXml } = await import('../../format/expectation-xml.js');
    return framed(out, EXPECT_FRAME, clock, format, (view) => writeExpectationXml(out, view, format, clock));
  }
  if (isJson(modes)) {
    const { writeExpectationJson } = await import('../../format/expectation-json.js');
    return jsonEntries(out, modes, clock, format, options, (view) => writeExpectationJson(out, view, format, clock));
  }
  const { writeExpectationText } = await import('../../format/expectation-text.js');
  return unframed(clock, format, (view) => writeExpectationText(out, view, format, clock));
}

function formatOptions(modes: OutputModes, options: WriterOptions): FormatOptions {
  return {
    layer3: modes.extended,
    id: modes.id,
    ktimestamp: modes.ktimestamp,
    timestamp: modes.timestamp,
    labels: options.labels,
    full: modes.full,
    event: options.event ?? false,
    program: options.program,
    netns: options.netns ? new NamespaceLabel() : undefined,
  };
}

function framed(
  out: ByteWriter,
  frame: XmlFrame,
  clock: WallClock,
  { netns: label }: FormatOptions,
  entry: (view: View) => void,
): EntryWriter {
  let begun = false;
  const begin = (netns?: string, host?: string) => {
    if ((netns ?? host) !== undefined) label?.set(netns, host);
    if (!begun) out.text(frame.open);
    begun = true;
  };
  const end = () => {
    begin();
    out.text(frame.close);
  };
  return { clock, entry, begin, end };
}

function unframed(clock: WallClock, { netns: label }: FormatOptions, entry: (view: View) => void): EntryWriter {
  const begin = (netns?: string, host?: string) => {
    if ((netns ?? host) !== undefined) label?.set(netns, host);
  };
  return { clock, entry, begin, end: () => {} };
}

/** Room for separators between entries. */
const SEPARATOR_SIZE = 4;
const COMMA = 44;
const NEWLINE = 10;

function jsonEntries(
  out: ByteWriter,
  modes: OutputModes,
  clock: WallClock,
  { netns: label }: FormatOptions,
  options: WriterOptions,
  entry: (view: View) => void,
): EntryWriter {
  const lines = modes.ndjson;
  // One entry of several namespaces is a list.
  const document = options.document === 'one' && label ? 'list' : (options.document ?? 'list');
  let begun = false;
  let written = 0;
  const begin = (netns?: string, host?: string) => {
    if ((netns ?? host) !== undefined) label?.set(netns, host);
    if (!begun && !lines && document !== 'one') out.text(document === 'list' ? '[' : '{"flows":[');
    begun = true;
  };
  const separate = () => {
    out.reserve(SEPARATOR_SIZE);
    if (written > 0) out.byte(COMMA);
    if (document !== 'one') out.byte(NEWLINE);
  };
  return {
    clock,
    begin,
    entry(view) {
      if (!lines) separate();
      written++;
      entry(view);
      if (lines) out.byte(NEWLINE);
      out.endEntry();
    },
    end(result) {
      begin();
      if (lines) {
        if (result) out.text(`${safeJson(result)}\n`);
      } else if (document === 'one') out.text(written === 0 ? 'null\n' : '\n');
      else out.text(`${written > 0 ? '\n' : ''}]${result ? `,${safeJson(result).slice(1)}` : ''}\n`);
    },
  };
}
