// Ships what a recorder writes into a directory to the servers: the record itself is the queue. One message is under way at a time, so
// that the order is that of the record; a message that is not confirmed is sent again, with the same bytes and the same id, for ever.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { BEGINNING, RecordTail, type TailPart, type TailPosition } from '../history/record-tail.js';
import { H, MAX_ZIPPED, type PackedBody, packBody } from './bodies.js';
import type { Bus } from './bus.js';
import { FleetError } from './fleet-error.js';
import type { HostValue, ShippedTo } from './inventory.js';
import { encodeRecords, MOST_RECORDS } from './jc1.js';
import { shardOf, subjects } from './subjects.js';

/** What is shipped, and how. */
export interface ShipperOptions {
  readonly bus: Bus;
  readonly host: string;
  readonly site: string;
  /** Of the record. The shipper keeps how far it is in `ship.json` there. */
  readonly directory: string;
  /** Milliseconds that a record may wait for others. Default 15 s. */
  readonly flush?: number | undefined;
  /** Milliseconds before the first retry; each further one waits twice as long, up to 5 s. Default 200. */
  readonly pause?: number | undefined;
  /** What is known of the clock of this host. */
  readonly clock: () => HostValue['clock'];
  readonly tell: (line: string) => void;
}

/** What a shipper has done, and has before it. */
export interface ShipperStatus extends ShippedTo {
  /** Messages and records of this run, bytes of their bodies, and messages that had to be sent again. */
  readonly messages: number;
  readonly records: number;
  readonly bytes: number;
  readonly retries: number;
  /** Why nothing is confirmed at the moment. */
  readonly trouble?: string | undefined;
}

/** A message waits for so many records, or for its time. */
const ENOUGH = 500;
const FLUSH = 15_000;
/** Milliseconds between looks for new records. */
const LOOK = 1000;
/** Milliseconds after which a quiet host says up to when it knows everything. */
const SIGN_OF_LIFE = 60_000;
/** Milliseconds for a confirmation, and pauses between attempts: the first and the longest. */
const PATIENCE = 2000;
const PAUSE = 200;
const LONGEST_PAUSE = 5000;
/** After so many attempts without a confirmation another server may know more. */
const OTHER_SERVER = 3;
/** Milliseconds between two versions of the file. */
const KEEP = 1000;
const FILE = 'ship.json';

/** As the file has it. */
interface Kept {
  readonly v: 1;
  /** UUID of the recorder. */
  readonly recorder: string;
  /** How often its disk was put back, and up to when its record was known before. */
  readonly times: number;
  readonly back?: { readonly from: number; readonly to: number } | undefined;
  readonly position: TailPosition;
}

interface Message {
  readonly id: string;
  readonly body: PackedBody;
  readonly headers: Readonly<Record<string, string>>;
  readonly part: TailPart;
}

export class Shipper {
  readonly #options: ShipperOptions;
  readonly #tail: RecordTail;
  readonly #path: string;
  readonly #abort = new AbortController();
  #kept: Kept;
  #keptAt = Number.NEGATIVE_INFINITY;
  #dirty = false;
  #running: Promise<void> | undefined;
  #behind = 0;
  #saidAt = performance.now();
  #counts = { messages: 0, records: 0, bytes: 0, retries: 0 };
  #trouble: string | undefined;
  #ending = false;
  #wake = () => {};

  private constructor(options: ShipperOptions, tail: RecordTail, kept: Kept) {
    this.#options = options;
    this.#tail = tail;
    this.#path = `${options.directory}/${FILE}`;
    this.#kept = kept;
  }

  /**
   * Goes on where it was. `known`: what the inventory says of this host.
   * @throws HistoryError if there is no record; FleetError `CONFIG` if the position cannot be kept beside it
   */
  static open(options: ShipperOptions, known: ShippedTo | undefined): Shipper {
    const tail = new RecordTail(options.directory);
    const recorder = tail.recorder();
    const read = readKept(`${options.directory}/${FILE}`);
    let kept: Kept = read?.recorder === recorder ? read : { v: 1, recorder, times: 1, position: BEGINNING };
    const back = known && wasPutBack(tail, kept, known);
    if (back) {
      const { times, alive } = back;
      // The numbers from here on were given twice: this record goes on under another name.
      kept = {
        ...kept,
        times: times + 1,
        back: { from: alive, to: Math.max(alive, Date.now() * 1000) },
        position: tail.positionAt(alive),
      };
      options.tell(
        `the record was put back to an older state: what follows record ${kept.position.sequence} is shipped as that of ${nameOf(kept)}`,
      );
    }
    const shipper = new Shipper(options, tail, kept);
    shipper.#keep();
    return shipper;
  }

  get status(): ShipperStatus {
    const { sequence, mark, alive } = this.#kept.position;
    return {
      recorder: nameOf(this.#kept),
      acked: sequence,
      mark,
      alive,
      behind: this.#behind,
      ...this.#counts,
      trouble: this.#trouble,
    };
  }

  /** What collectors call its record. */
  get recorder(): string {
    return nameOf(this.#kept);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ships what is there, for so many milliseconds at most, and ends. Idempotent. */
  async stop(patience: number): Promise<void> {
    if (!this.#running) return;
    const timer = setTimeout(() => {
      this.#abort.abort();
      this.#wake();
    }, patience);
    this.#ending = true;
    this.#wake();
    try {
      await this.#running;
    } finally {
      clearTimeout(timer);
      this.#keep();
    }
  }

  async #run(): Promise<void> {
    /** When the first record that waits was seen. */
    let waiting: number | undefined;
    const { flush = FLUSH } = this.#options;
    while (!this.#abort.signal.aborted) {
      let part: TailPart;
      try {
        part = this.#tail.read(this.#kept.position, MOST_RECORDS);
      } catch (error) {
        // A segment that is being replaced, or a damaged one: the recorder goes on, and so does this.
        this.#say(`cannot read the record: ${(error as Error).message}`);
        if (this.#ending) return;
        await this.#sleep(LONGEST_PAUSE);
        continue;
      }
      if (part.head.recorder !== this.#kept.recorder) {
        this.#options.tell(`the directory has another record now: ${part.head.recorder}`);
        this.#kept = { v: 1, recorder: part.head.recorder, times: 1, position: BEGINNING };
        continue;
      }
      const now = performance.now();
      const isNews = part.records.count > 0 || part.head.gaps.length > 0;
      this.#behind = part.records.count + part.behind;
      if (isNews) waiting ??= now;
      const due = isNews && (part.records.count >= ENOUGH || part.more || this.#ending || now - waiting! >= flush);
      const quiet = part.head.alive > this.#kept.position.alive && (this.#ending || now - this.#saidAt >= SIGN_OF_LIFE);
      if (due || quiet) {
        waiting = undefined;
        await this.#ship(part);
      } else if (part.more && !isNews) this.#moveTo(part);
      else if (this.#ending) return;
      else await this.#sleep(Math.min(LOOK, flush));
    }
  }

  #sleep(milliseconds: number): Promise<void> {
    if (this.#abort.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Sends until it is confirmed. */
  async #ship(first: TailPart): Promise<void> {
    let message = this.#message(first);
    for (let most = first.records.count; message.body.data.length > MAX_ZIPPED && most > 1; ) {
      most = Math.ceil(most / 2);
      message = this.#message(this.#tail.read(this.#kept.position, most));
    }
    const { bus, host, site, pause: firstPause = PAUSE } = this.#options;
    const { signal } = this.#abort;
    for (let attempts = 1, pause = firstPause; !signal.aborted; attempts++, pause = Math.min(LONGEST_PAUSE, 2 * pause)) {
      try {
        await bus.append(subjects.record(shardOf(host), site, host), message.body.data, {
          id: message.id,
          headers: { ...message.headers, [H.sent]: `${Date.now()}` },
          timeout: PATIENCE,
        });
        this.#confirmed(message);
        return;
      } catch (error) {
        if (!(error instanceof FleetError)) throw error;
        this.#counts.retries++;
        this.#say(`records are not confirmed: ${error.message}`);
        // A server that was cut off from the others keeps its clients, and confirms nothing.
        if (attempts % OTHER_SERVER === 0 && bus.connected) bus.reconnect();
      }
      await this.#sleep(pause);
    }
  }

  #message(part: TailPart): Message {
    const { back } = this.#kept;
    const clock = this.#options.clock();
    const recorder = nameOf(this.#kept);
    const { position } = this.#kept;
    const putBack =
      back && position.gap === 0
        ? [{ id: 1, ns: null, ...back, first: part.head.first, reason: 'rolled-back', events: null, note: null }]
        : [];
    const head = {
      ...part.head,
      recorder,
      gaps: [...putBack, ...part.head.gaps],
      ...(clock ? { offset: [clock.offset, clock.error] as const } : {}),
    };
    const body = packBody('jc1', encodeRecords(head, part.records));
    const { first } = head;
    const last = first + part.records.count - 1;
    const gap = Math.max(part.position.gap, putBack.length);
    return {
      // A message that is cut anew after a crash must not be taken for the one before; one without records says something new as well.
      id: `${recorder}:${first}-${last}:${gap}${part.records.count === 0 ? `:${head.alive}` : ''}`,
      body,
      headers: { ...body.headers, [H.recorder]: recorder, [H.first]: `${first}`, [H.rows]: `${part.records.count}` },
      part: { ...part, position: { ...part.position, gap } },
    };
  }

  #confirmed({ part, body }: Message): void {
    if (this.#trouble !== undefined) this.#options.tell('records are confirmed again');
    this.#trouble = undefined;
    this.#counts.messages++;
    this.#counts.records += part.records.count;
    this.#counts.bytes += body.data.length;
    this.#behind = part.behind;
    this.#saidAt = performance.now();
    this.#moveTo(part);
  }

  #moveTo({ position }: TailPart): void {
    this.#kept = { ...this.#kept, position };
    this.#dirty = true;
    if (performance.now() - this.#keptAt >= KEEP) this.#keep();
    else
      setTimeout(() => {
        if (this.#dirty) this.#keep();
      }, KEEP).unref();
  }

  /** @throws FleetError `CONFIG` the first time */
  #keep(): void {
    const isFirst = this.#keptAt === Number.NEGATIVE_INFINITY;
    try {
      writeFileSync(`${this.#path}.new`, JSON.stringify(this.#kept), { mode: 0o640 });
      renameSync(`${this.#path}.new`, this.#path);
      this.#keptAt = performance.now();
      this.#dirty = false;
    } catch (error) {
      const { message } = error as Error;
      if (isFirst)
        throw new FleetError('CONFIG', `cannot keep beside the record how far it is shipped: ${message}`, {
          cause: error,
          hint: 'run the agent as the user that records',
        });
      this.#keptAt = performance.now();
      // After a crash more is sent again than had to be.
      this.#say(`cannot write ${FILE}: ${message}`);
    }
  }

  /** Says what is wrong, once. */
  #say(trouble: string): void {
    if (this.#trouble === undefined) this.#options.tell(trouble);
    this.#trouble = trouble;
  }
}

function nameOf({ recorder, times }: Pick<Kept, 'recorder' | 'times'>): string {
  return times === 1 ? recorder : `${recorder}.${times}`;
}

/** Whether the servers have records that this directory has no more, and went on without: then up to when they know it. */
function wasPutBack(
  tail: RecordTail,
  kept: Kept,
  { recorder, acked, mark, alive }: ShippedTo,
): { readonly times: number; readonly alive: number } | undefined {
  const [uuid, times = '1'] = recorder.split('.');
  if (uuid !== kept.recorder || Number(times) < kept.times) return undefined;
  if (Number(times) === kept.times && tail.had(acked, mark)) return undefined;
  return { times: Number(times), alive };
}

/** `undefined`: there is none, or it cannot be read: then everything is sent, and known by its numbers. */
function readKept(path: string): Kept | undefined {
  try {
    const told = JSON.parse(readFileSync(path, 'utf8')) as Partial<Kept> | null;
    const { v, recorder, times, position } = told ?? {};
    const fine =
      v === 1 &&
      typeof recorder === 'string' &&
      Number.isSafeInteger(times) &&
      typeof position === 'object' &&
      Object.keys(BEGINNING).every((name) => Number.isSafeInteger(position[name as keyof TailPosition]));
    return fine ? (told as Kept) : undefined;
  } catch {
    return undefined;
  }
}
