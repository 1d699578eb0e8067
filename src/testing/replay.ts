// Replay: a transport that answers from a recording. The code above it is the real one: same requests, same decoder. A request finds its
// answer by its content, not by its position, except that a repeated request gets the next answer, and that no answer precedes the
// changes that it shows.

import { readFileSync } from 'node:fs';
import { Members } from '../ctnetlink/members.js';
import {
  IPCTNL_MSG_CT_DELETE,
  IPCTNL_MSG_CT_GET_CTRZERO,
  IPCTNL_MSG_CT_NEW,
  IPCTNL_MSG_EXP_DELETE,
  IPCTNL_MSG_EXP_NEW,
} from '../ctnetlink/uapi/nfnetlink-conntrack.js';
import { ConntrackError } from '../errors.js';
import { host16, host32, putHost32 } from '../wire/bytes.js';
import { align4, messageLength } from '../wire/message.js';
import type { OpenTransport, Transport, TransportOptions } from '../wire/transport.js';
import { NLMSG_HDRLEN } from '../wire/uapi/netlink.js';
import { NFNL_SUBSYS_CTNETLINK, NFNL_SUBSYS_CTNETLINK_EXP } from '../wire/uapi/nfnetlink.js';
import { type Arrival, QueuedTransport } from './queued-transport.js';
import { parseRecording, type Step } from './recording.js';

/** The code under test asked for something that the recording lacks, or did not ask for everything in it. */
export class ReplayError extends ConntrackError {
  readonly code = 'REPLAY';
}

/** Places in struct nlmsghdr. */
const TYPE = 4;
const SEQUENCE = 8;

/** How a recording is replayed. */
export interface ReplayOptions {
  /**
   * If a request is made more often than it was recorded, or again before the next answer is due, it gets its last answer again, if it
   * had one. By default this is an error.
   */
  readonly repeat?: boolean | undefined;
}

/** A request and its answer. */
interface Exchange {
  /** Of its first message. */
  readonly sequence: number;
  readonly answers: Arrival[];
  /** How many of the recorded changes, in the order in which they were answered, precede the answer. */
  readonly behind: number;
  used: boolean;
}

/** What one listening transport heard: each arrival, and how many requests had been sent before it. */
interface Hearing {
  readonly groups: number;
  readonly filter: Uint8Array | undefined;
  readonly arrivals: { readonly after: number; readonly arrival: Arrival }[];
  readonly drops: number[];
}

/**
 * Answers from a recording.
 *
 * ```ts
 * const replay = Replay.fromFile('table.ndjson');
 * const conntrack = await Conntrack.open({ transport: replay.open });
 * ```
 *
 * A request is what goes to the kernel. An answer that shows a change is given only after that change. A transport that joins groups gets
 * the events of the next recorded transport that did, each as soon as all requests that preceded it have been sent again.
 */
export class Replay {
  /** By request, in the order of the recording. */
  readonly #exchanges = new Map<string, Exchange[]>();
  /** Changes in the order in which they were answered, and how many at their beginning have been made. */
  readonly #changes: Exchange[] = [];
  #made = 0;
  readonly #hearings: Hearing[] = [];
  readonly #repeat: boolean;
  readonly #listeners = new Set<() => void>();
  #recorded = 0;
  #sent = 0;
  #portId = 1;

  private constructor(steps: readonly Step[], options: ReplayOptions) {
    const members = new Members(options, '', false);
    this.#repeat = members.boolean('repeat') ?? false;
    members.end();
    const current = new Map<number, Exchange>();
    const listening = new Map<number, Hearing>();
    /** Sent and not answered yet. */
    const changing = new Set<Exchange>();
    let lossy = false;
    for (const step of steps) {
      const hearing = listening.get(step.transport);
      if (step.kind === 'open') {
        if (step.groups === 0) continue;
        const heard: Hearing = { groups: step.groups, filter: step.filter, arrivals: [], drops: [] };
        listening.set(step.transport, heard);
        this.#hearings.push(heard);
      } else if (step.kind === 'send') {
        const key = keyOf(step.bytes);
        const same = this.#exchanges.get(key) ?? [];
        const change = isChange(step.bytes);
        // A change that is made for the first time shows no other change, and after a loss the table is listed when there is time for it.
        const free = lossy || (change && same.length === 0);
        const behind = free ? 0 : this.#changes.length;
        const exchange: Exchange = { sequence: host32(step.bytes, SEQUENCE), answers: [], behind, used: false };
        current.set(step.transport, exchange);
        this.#exchanges.set(key, same);
        same.push(exchange);
        if (change) changing.add(exchange);
        this.#recorded++;
      } else if (step.kind === 'drops') hearing?.drops.push(step.count);
      else {
        const arrival = step.kind === 'receive' ? step.bytes : step.errno;
        const exchange = current.get(step.transport);
        if (step.kind === 'fail') lossy = true;
        if (hearing) hearing.arrivals.push({ after: this.#recorded, arrival });
        else if (exchange) {
          exchange.answers.push(arrival);
          if (changing.delete(exchange)) this.#changes.push(exchange);
        }
      }
    }
  }

  /** @throws RecordingError for a text that is not a recording, ValueError for an invalid option */
  static fromText(text: string, options: ReplayOptions = {}): Replay {
    return new Replay(parseRecording(text), options);
  }

  /** @throws RecordingError for a file that is not a recording, ValueError for an invalid option */
  static fromFile(path: string, options: ReplayOptions = {}): Replay {
    return Replay.fromText(readFileSync(path, 'utf8'), options);
  }

  /** For the option `transport`. */
  readonly open: OpenTransport = (options: TransportOptions): Transport => {
    const portId = this.#portId++;
    if (!options.groups) return new QueuedTransport(portId, { answer: (request) => this.#answer(request) });
    const hearing = this.#hearings.shift();
    if (!hearing) throw new ReplayError('the recording has no further listener', { hint: RECORD_AGAIN });
    if (hearing.groups !== options.groups)
      throw new ReplayError(`groups ${options.groups} are listened to, but the recording has groups ${hearing.groups}`, {
        hint: RECORD_AGAIN,
      });
    // All events include those of any filter, and the library selects them itself.
    if (hearing.filter && !sameBytes(hearing.filter, options.filter))
      throw new ReplayError(
        'the listener has another filter than in the recording, which has only the events of its own filter',
        {
          hint: RECORD_AGAIN,
        },
      );
    return this.#listen(portId, hearing);
  };

  /** Checks that the code under test has asked for everything recorded. @throws ReplayError that says for what it has not */
  assertDone(): void {
    const left = this.#recorded - this.#sent;
    if (left > 0) throw new ReplayError(`${left} of ${this.#recorded} recorded requests were not made`);
    if (this.#hearings.length > 0) throw new ReplayError(`${this.#hearings.length} recorded listeners were not opened`);
  }

  #answer(request: Uint8Array): readonly Arrival[] {
    const same = this.#exchanges.get(keyOf(request)) ?? [];
    const given = same.filter((one) => one.used).length;
    const next = same[given];
    const exchange = next && next.behind <= this.#made ? next : this.#repeat ? same[given - 1] : undefined;
    if (!exchange) throw refusal(request, same.length, next !== undefined);
    if (!exchange.used) this.#sent++;
    exchange.used = true;
    while (this.#changes[this.#made]?.used) this.#made++;
    for (const listener of this.#listeners) listener();
    const shift = host32(request, SEQUENCE) - exchange.sequence;
    return exchange.answers.map((answer) => (typeof answer === 'number' ? answer : renumbered(answer, shift)));
  }

  #listen(portId: number, hearing: Hearing): Transport {
    let lastDrops = 0;
    const drops = () => {
      lastDrops = hearing.drops.shift() ?? lastDrops;
      return lastDrops;
    };
    const transport = new QueuedTransport(portId, { answer: (request) => this.#answer(request), drops });
    const deliver = () => {
      while (hearing.arrivals.length > 0 && hearing.arrivals[0]!.after <= this.#sent)
        transport.arrive(hearing.arrivals.shift()!.arrival);
    };
    this.#listeners.add(deliver);
    deliver();
    return transport;
  }
}

const RECORD_AGAIN = 'the code under test does something else than during the recording: record it again';

/** Why a request has no answer. `given`: how many the recording has for it; `early`: the next one is not due yet. */
function refusal(request: Uint8Array, given: number, early: boolean): ReplayError {
  const what = `type 0x${host16(request, TYPE).toString(16)}, ${request.length} bytes`;
  if (given === 0) return new ReplayError(`the recording has no answer to this request: ${what}`, { hint: RECORD_AGAIN });
  if (early)
    return new ReplayError(`the recording answers this request after a change that has not been made: ${what}`, {
      hint: 'the code under test leaves out a change, or asks earlier: record again, or replay with { repeat: true }',
    });
  return new ReplayError(`the recording has ${given} answers to this request, but it is made once more: ${what}`, {
    hint: 'record again, or replay with { repeat: true }',
  });
}

function sameBytes(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Whether a datagram changes the table. */
function isChange(datagram: Uint8Array): boolean {
  let change = false;
  eachMessage(datagram, (at) => {
    change ||= CHANGES.has(host16(datagram, at + TYPE));
  });
  return change;
}

const CHANGES: ReadonlySet<number> = new Set([
  ...[IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET_CTRZERO].map((type) => (NFNL_SUBSYS_CTNETLINK << 8) | type),
  ...[IPCTNL_MSG_EXP_NEW, IPCTNL_MSG_EXP_DELETE].map((type) => (NFNL_SUBSYS_CTNETLINK_EXP << 8) | type),
]);

/** Calls `work` with the place of each message of a datagram. */
function eachMessage(datagram: Uint8Array, work: (at: number) => void): void {
  for (let at = 0; at + NLMSG_HDRLEN <= datagram.length; ) {
    work(at);
    const length = messageLength(datagram, at, datagram.length);
    if (length === 0) return; // a damaged datagram: the code that reads it will say so
    at += align4(length);
  }
}

/** The content of a request, as text: its bytes without sequence numbers. */
function keyOf(request: Uint8Array): string {
  const bytes = new Uint8Array(request); // a copy, also of a Buffer
  eachMessage(bytes, (at) => putHost32(bytes, at + SEQUENCE, 0));
  return Buffer.from(bytes).toString('base64');
}

/** A copy whose messages answer a request with other sequence numbers. */
function renumbered(answer: Uint8Array, shift: number): Uint8Array {
  const bytes = new Uint8Array(answer);
  eachMessage(bytes, (at) => putHost32(bytes, at + SEQUENCE, (host32(bytes, at + SEQUENCE) + shift) >>> 0));
  return bytes;
}
