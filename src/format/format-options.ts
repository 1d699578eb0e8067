// The input of writers besides the entry: which fields to print, and the time.

import type { EventProgram } from '../ctnetlink/event.js';
import type { LabelMap } from '../ctnetlink/label.js';
import type { ByteWriter } from './byte-writer.js';
import { JSON_STRING, safeBytes, WORD, XML } from './safe-bytes.js';

/** The forms in which a flow can be printed; `text` is the form without `-o`. */
export const FLOW_FORMATS = ['text', 'extended', 'save', 'xml', 'json'] as const;

/** Choices of `-o` that change what an entry looks like. */
export interface FormatOptions {
  /** Network layer name and number first (`extended`). Text only. */
  readonly layer3: boolean;
  /** The entry's id (`id`). Text only: XML always has it. */
  readonly id: boolean;
  /** Start and stop times kept by the kernel (`ktimestamp`). */
  readonly ktimestamp: boolean;
  /** Time of the event (`timestamp`). Events only. */
  readonly timestamp: boolean;
  /** Names for connection labels; if absent, labels are not shown. */
  readonly labels: LabelMap | undefined;
  /** Everything that can be restored, and translated ports (`save,full`). Saved lines only. */
  readonly full: boolean;
  /** The program that owns a netlink port id, for events. If it is absent, or returns `undefined`, only the number is shown. */
  readonly program?: ((portId: number) => EventProgram | undefined) | undefined;
  /** Entries are events: their type is shown. */
  readonly event: boolean;
  /** Printed before each entry if the output has entries of several network namespaces or hosts. */
  readonly netns?: NamespaceLabel | undefined;
}

/** The network namespace of the following entries, and their host. The caller sets them before the entries of each namespace. */
export class NamespaceLabel {
  // Bytes, not tokens: a name may have characters beyond ASCII.
  #text: Uint8Array = new Uint8Array(0);
  #attribute: Uint8Array = new Uint8Array(0);
  #member: Uint8Array = new Uint8Array(0);
  /** As it was set. */
  name = '';

  /** `netns` is absent where a host has only one. */
  set(netns: string | undefined, host?: string): void {
    this.name = netns ?? '';
    const places = [['host', host] as const, ['netns', netns] as const].flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    this.#text = joined(places.map(([name, value]) => safeBytes(`${name}=`, value, WORD, ' ')));
    this.#member = joined(places.map(([name, value]) => safeBytes(`"${name}":"`, value, JSON_STRING, '",')));
    this.#attribute = joined([
      ...places.map(([name, value]) => safeBytes(` ${name}="`, value, XML, '"')),
      safeBytes('', '', XML, '>'),
    ]);
  }

  /** The most bytes that it adds to an entry. */
  get size(): number {
    return this.#text.length + this.#attribute.length + this.#member.length;
  }

  /** `"netns":"NAME",`: members of a JSON object. */
  writeJson(out: ByteWriter): void {
    out.raw(this.#member, 0, this.#member.length);
  }

  /** `netns=NAME `, the name as one word. */
  writeText(out: ByteWriter): void {
    out.raw(this.#text, 0, this.#text.length);
  }

  /** As `writeText`, but makes room for itself: for lines whose writers do not expect it. */
  startLine(out: ByteWriter): void {
    out.reserve(this.size);
    this.writeText(out);
  }

  /** ` netns="NAME">`: the end of a start tag. */
  writeAttribute(out: ByteWriter): void {
    out.raw(this.#attribute, 0, this.#attribute.length);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The current time, for ages and event times. The caller refreshes it for each batch; reading it costs nothing. */
export class WallClock {
  seconds = 0;
  microseconds = 0;
  #second = Number.NaN;
  #date = new Date(0);

  /** Takes milliseconds since the epoch, with a fraction. */
  set(milliseconds: number): void {
    this.seconds = Math.floor(milliseconds / 1000);
    this.microseconds = Math.floor((milliseconds - this.seconds * 1000) * 1000);
  }

  /** The local date and time of a second. Cached: entries of one moment share it. */
  local(seconds: number): Date {
    if (seconds !== this.#second) {
      this.#second = seconds;
      this.#date = new Date(seconds * 1000);
    }
    return this.#date;
  }
}
