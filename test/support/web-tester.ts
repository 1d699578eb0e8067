// A handler of `conntrack serve` over tables in memory, without sockets: requests, answers, streams.

import assert from 'node:assert/strict';
import { doctorSchema } from '../../src/doctor/doctor-schema.js';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { historySchema } from '../../src/history/history-schema.js';
import type { Conntrack } from '../../src/library/index.js';
import type { MeterOptions } from '../../src/meter/flow-meter.js';
import { meterSchema } from '../../src/meter/meter-schema.js';
import { MemoryTable } from '../../src/testing/memory-table.js';
import { handlerWith, type WebHandler } from '../../src/web/handler.js';
import type { HandlerOptions, LogEntry, Peer } from '../../src/web/web-options.js';
import { webSchema } from '../../src/web/web-schema.js';
import { WEB_TIMES, type WebTimes } from '../../src/web/web-times.js';
import { schemaFault } from './json-schema.js';
import { MemoryMeter } from './memory-meter.js';

const { schema } = makeJsonSchema(meterSchema(), doctorSchema(), historySchema(), webSchema(meterSchema()));

export interface WebTesterOptions extends Omit<HandlerOptions, 'meter' | 'conntracks' | 'log'> {
  readonly tables?: readonly MemoryTable[];
  readonly times?: Partial<WebTimes>;
  readonly meterOptions?: MeterOptions;
}

export interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: string | ReadableStream<Uint8Array>;
  readonly peer?: Peer;
}

/** An answer whose body was read. */
export interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect of it
  readonly json: any;
}

export class WebTester implements AsyncDisposable {
  readonly tables: readonly MemoryTable[];
  readonly memory: MemoryMeter;
  readonly handler: WebHandler;
  readonly log: LogEntry[];
  /** What the handler has; may be changed. */
  readonly conntracks: Map<string, Conntrack>;

  private constructor(
    tables: readonly MemoryTable[],
    memory: MemoryMeter,
    conntracks: Map<string, Conntrack>,
    handler: WebHandler,
    log: LogEntry[],
  ) {
    this.tables = tables;
    this.memory = memory;
    this.conntracks = conntracks;
    this.handler = handler;
    this.log = log;
  }

  static async start(options: WebTesterOptions = {}): Promise<WebTester> {
    const { tables = [new MemoryTable()], times, meterOptions, ...others } = options;
    const memory = await MemoryMeter.over(tables, meterOptions);
    const log: LogEntry[] = [];
    const conntracks = new Map(memory.conntracks.map((conntrack, n) => [`${n}`, conntrack]));
    const handler = handlerWith(
      { name: 'fw1', version: '1.2.3', ...others, meter: memory.meter, conntracks, log: (entry) => log.push(entry) },
      { ...WEB_TIMES, shared: 0, sample: 500, ...times },
    );
    return new WebTester(tables, memory, conntracks, handler, log);
  }

  get table(): MemoryTable {
    return this.tables[0]!;
  }

  /** The response itself. */
  send(path: string, { method, headers, json, body, peer }: Asked = {}): Promise<Response> {
    const isBody = json !== undefined || body !== undefined;
    const request = new Request(`http://localhost:8466${path}`, {
      method: method ?? (isBody ? 'POST' : 'GET'),
      headers: { host: 'localhost:8466', ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(isBody ? { body: json === undefined ? body! : JSON.stringify(json), duplex: 'half' } : {}),
    } as RequestInit);
    return this.handler(request, peer);
  }

  /** The whole answer. */
  async ask(path: string, asked?: Asked): Promise<Told> {
    const response = await this.send(path, asked);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined };
  }

  /** An answer as a definition of the schema says it. */
  async get(path: string, definition: string, asked?: Asked): Promise<Told['json']> {
    const told = await this.ask(path, asked);
    assert.equal(told.status, 200, told.text);
    assertSchema(definition, told.json);
    return told.json;
  }

  /** A refusal: its status and code, and that it is told as errors are. */
  async refusal(path: string, asked?: Asked): Promise<string> {
    const told = await this.ask(path, asked);
    assertSchema('problem', told.json);
    return `${told.status} ${told.json.error.code}`;
  }

  async stream(path: string, asked?: Asked): Promise<EventReader> {
    const response = await this.send(path, asked);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    return new EventReader(response.body!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.handler.close();
    await this.memory[Symbol.asyncDispose]();
  }
}

/** @throws AssertionError where a value is not as the schema says */
export function assertSchema(definition: string, value: unknown): void {
  const root = schema as { readonly $defs: Record<string, object> };
  assert.ok(root.$defs[definition], `the schema has ${definition}`);
  assert.equal(schemaFault(schema, value, root.$defs[definition] as never), undefined);
}

export interface ServerEvent {
  readonly id?: string;
  readonly event?: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect of it
  readonly data?: any;
}

/** Reads server-sent events. */
export class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = '';

  constructor(body: ReadableStream<Uint8Array>) {
    this.#reader = body.getReader();
  }

  /** The next block; `undefined` at the end. */
  async block(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf('\n\n');
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return block;
      }
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /** The next event of one of these types, or of any. */
  async next(...types: readonly string[]): Promise<ServerEvent | undefined> {
    for (;;) {
      const block = await this.block();
      if (block === undefined) return undefined;
      const lines = new Map(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      const [id, event, data] = ['id', 'event', 'data'].map((name) => lines.get(name));
      if (event === undefined || (types.length > 0 && !types.includes(event))) continue;
      return { ...(id === undefined ? {} : { id }), event, data: JSON.parse(data!) };
    }
  }

  /** The types of all events to the end. */
  async rest(): Promise<readonly string[]> {
    const types: string[] = [];
    for (let next = await this.next(); next; next = await this.next()) types.push(next.event!);
    return types;
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}
