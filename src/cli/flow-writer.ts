// `-o` → the writer of an entry: which format, with which fields, in which frame.

import type { LabelMap } from '../ctnetlink/label.js';
import type { View } from '../ctnetlink/view.js';
import type { ByteWriter } from '../format/byte-writer.js';
import { writeExpectationText } from '../format/expectation-text.js';
import { writeExpectationXml } from '../format/expectation-xml.js';
import { type SaveVerb, writeFlowSave } from '../format/flow-save.js';
import { writeFlowText } from '../format/flow-text.js';
import { writeFlowXml } from '../format/flow-xml.js';
import { type FormatOptions, WallClock } from '../format/options.js';
import { CONNTRACK_FRAME, EXPECT_FRAME, type XmlFrame } from '../format/xml.js';
import type { OutputModes } from './invocation.js';

/** Writes a list of entries: `begin`, each entry, `end`. */
export interface EntryWriter {
  begin(): void;
  readonly entry: (view: View) => void;
  end(): void;
  /** The time that ages refer to. */
  readonly clock: WallClock;
}

/** What is known of the list besides `-o`. */
export interface WriterOptions {
  readonly labels?: LabelMap | undefined;
  /** Entries are events. */
  readonly event?: boolean;
  readonly verb?: SaveVerb;
}

const PLAIN: OutputModes = {
  xml: false,
  extended: false,
  timestamp: false,
  id: false,
  ktimestamp: false,
  labels: false,
  userspace: false,
  save: false,
  full: false,
};

/** The writer of flows for `-L`, `-G`, `-E`. */
export function flowWriter(out: ByteWriter, modes: OutputModes = PLAIN, options: WriterOptions = {}): EntryWriter {
  const clock = new WallClock();
  const format = formatOptions(modes, options);
  if (modes.xml) return framed(out, CONNTRACK_FRAME, clock, (view) => writeFlowXml(out, view, format, clock));
  if (modes.save) return unframed(clock, (view) => writeFlowSave(out, view, format, options.verb));
  return unframed(clock, (view) => writeFlowText(out, view, format, clock));
}

/** The writer of expectations. They have no saved form: `-o save` prints text. */
export function expectationWriter(out: ByteWriter, modes: OutputModes = PLAIN, options: WriterOptions = {}): EntryWriter {
  const clock = new WallClock();
  const format = formatOptions(modes, options);
  if (modes.xml) return framed(out, EXPECT_FRAME, clock, (view) => writeExpectationXml(out, view, format, clock));
  return unframed(clock, (view) => writeExpectationText(out, view, format, clock));
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
  };
}

function framed(out: ByteWriter, frame: XmlFrame, clock: WallClock, entry: (view: View) => void): EntryWriter {
  return {
    clock,
    entry,
    begin: () => out.text(frame.open),
    end: () => out.text(frame.close),
  };
}

function unframed(clock: WallClock, entry: (view: View) => void): EntryWriter {
  return { clock, entry, begin: () => {}, end: () => {} };
}
