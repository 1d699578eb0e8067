import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { putHost16, putHost32 } from '../wire/bytes.js';
import type { Transport } from '../wire/transport.js';
import { Recorder } from './recorder.js';
import { RecordingError } from './recording.js';
import { Replay, ReplayError } from './replay.js';

const HEADER = {
  format: 'conntrack-recording',
  version: 1,
  byteOrder: new Uint8Array(Uint16Array.of(1).buffer)[0] ? 'little' : 'big',
};
const NOTHING = -11;
const OVERRUN = 105;

/** A message of 20 bytes; `content` is its last byte. */
function message(type: number, sequence: number, content: number): Uint8Array {
  const bytes = new Uint8Array(20);
  putHost32(bytes, 0, 20);
  putHost16(bytes, 4, type);
  putHost32(bytes, 8, sequence);
  bytes[19] = content;
  return bytes;
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
type Line = readonly [kind: string, transport: number, value?: Uint8Array | number];

function recording(...lines: Line[]): string {
  const steps = lines.map(([kind, transport, value]) => {
    const name = { open: 'groups', fail: 'errno', drops: 'count' }[kind] ?? 'bytes';
    const rest =
      kind === 'open' ? { groups: value ?? 0, portId: 77 } : { [name]: typeof value === 'object' ? base64(value) : value };
    return { at: 0, transport, kind, ...rest };
  });
  return [HEADER, ...steps].map((line) => JSON.stringify(line)).join('\n');
}

/** Everything that has arrived: message contents and sequence numbers, errors as negative numbers. */
function take(transport: Transport, slots = 4): (string | number)[] {
  const into = transport.createDatagrams(slots, 64);
  const taken: (string | number)[] = [];
  for (;;) {
    const count = transport.receive(into);
    if (count === NOTHING) return taken;
    if (count < 0) taken.push(count);
    for (let i = 0; i < count; i++) {
      assert.ok(into.fromKernel(i));
      const at = into.start(i);
      taken.push(`${into.bytes[at + 8]}:${into.bytes[at + 19]}${into.truncated(i) ? ' cut' : ''}`);
    }
  }
}

const send = (transport: Transport, bytes: Uint8Array) => transport.send(bytes, bytes.length);

suite('replay', () => {
  const text = recording(
    ['open', 0],
    ['open', 1, 7],
    ['send', 0, message(1, 50, 1)],
    ['receive', 0, message(9, 50, 11)],
    ['receive', 0, message(9, 50, 12)],
    ['send', 0, message(2, 51, 2)],
    ['fail', 0, OVERRUN],
    ['receive', 0, message(9, 51, 21)],
    ['receive', 1, message(8, 0, 31)],
    ['drops', 1, 5],
    ['send', 0, message(1, 52, 1)],
    ['receive', 0, message(9, 52, 13)],
    ['fail', 1, OVERRUN],
    ['drops', 1, 9],
  );

  test('answers have the sequence number of the request, and come by what is asked', () => {
    const transport = Replay.fromText(text).open({});
    assert.deepEqual(take(transport), []);
    send(transport, message(2, 3, 2));
    assert.deepEqual(take(transport), [-OVERRUN, '3:21']);
    send(transport, message(1, 4, 1));
    assert.deepEqual(take(transport, 1), ['4:11', '4:12']);
    send(transport, message(1, 5, 1));
    assert.deepEqual(take(transport), ['5:13']);
  });

  test('a request that was not recorded, or not so often, is an error', () => {
    const transport = Replay.fromText(text).open({});
    assert.throws(() => send(transport, message(3, 1, 1)), /no answer to this request: type 0x3, 20 bytes/);
    assert.throws(() => send(transport, message(1, 1, 9)), ReplayError);
    send(transport, message(2, 1, 2));
    assert.throws(() => send(transport, message(2, 2, 2)), /has 1 answers to this request, but it is made once more/);
  });

  test('options that there are not are refused', () => {
    assert.throws(() => Replay.fromText(text, { reapeat: true } as never), { code: 'VALUE', hint: 'did you mean repeat?' });
    assert.throws(() => Replay.fromText(text, { repeat: 1 } as never), { code: 'VALUE' });
  });

  test('with repeat the last answer comes again', () => {
    const transport = Replay.fromText(text, { repeat: true }).open({});
    for (let sequence = 1; sequence <= 4; sequence++) send(transport, message(1, sequence, 1));
    assert.deepEqual(take(transport), ['1:11', '1:12', '2:13', '3:13', '4:13']);
    assert.throws(() => send(transport, message(3, 1, 1)), ReplayError);
  });

  /** CT_NEW and CT_GET. */
  const [NEW, GET] = [0x100, 0x101];
  const changing = recording(
    ['open', 0],
    ['send', 0, message(GET, 50, 1)],
    ['receive', 0, message(9, 50, 10)],
    ['send', 0, message(NEW, 51, 2)],
    ['receive', 0, message(9, 51, 20)],
    ['send', 0, message(GET, 52, 1)],
    ['receive', 0, message(9, 52, 11)],
    ['send', 0, message(GET, 53, 3)],
    ['receive', 0, message(9, 53, 30)],
    ['send', 0, message(NEW, 54, 4)],
    ['receive', 0, message(9, 54, 40)],
    ['send', 0, message(NEW, 55, 2)],
    ['receive', 0, message(9, 55, 21)],
  );

  test('an answer that shows a change comes behind that change only', () => {
    const transport = Replay.fromText(changing).open({});
    assert.throws(() => send(transport, message(GET, 1, 3)), /after a change that has not been made/);
    send(transport, message(GET, 1, 1));
    assert.throws(() => send(transport, message(GET, 2, 1)), /after a change that has not been made/);
    send(transport, message(NEW, 3, 2));
    assert.throws(() => send(transport, message(NEW, 4, 2)), /after a change that has not been made/);
    send(transport, message(GET, 5, 1));
    send(transport, message(GET, 6, 3));
    send(transport, message(NEW, 7, 4));
    send(transport, message(NEW, 8, 2));
    assert.deepEqual(take(transport), ['1:10', '3:20', '5:11', '6:30', '7:40', '8:21']);
  });

  test('with repeat the answer before a change comes again until the change is made', () => {
    const transport = Replay.fromText(changing, { repeat: true }).open({});
    assert.throws(() => send(transport, message(GET, 1, 3)), ReplayError);
    for (const sequence of [1, 2, 3]) send(transport, message(GET, sequence, 1));
    send(transport, message(NEW, 4, 2));
    for (const sequence of [5, 6]) send(transport, message(GET, sequence, 1));
    assert.deepEqual(take(transport), ['1:10', '2:10', '3:10', '4:20', '5:11', '6:11']);
  });

  test('changes have no order, nor has what was asked while one was under way or behind a loss', () => {
    const text = recording(
      ['open', 0],
      ['open', 1],
      ['send', 0, message(NEW, 50, 1)],
      ['send', 1, message(GET, 51, 2)], // the change may be in the answer or not
      ['receive', 0, message(9, 50, 10)],
      ['send', 0, message(NEW, 52, 3)],
      ['fail', 0, OVERRUN],
      ['send', 1, message(GET, 53, 4)],
    );
    const transport = Replay.fromText(text).open({});
    send(transport, message(GET, 1, 4));
    send(transport, message(GET, 2, 2));
    send(transport, message(NEW, 3, 3));
    send(transport, message(NEW, 4, 1));
  });

  test('events come behind the requests that had been sent before them', () => {
    const replay = Replay.fromText(text);
    const listener = replay.open({ groups: 7 });
    const transport = replay.open({});
    send(transport, message(1, 1, 1));
    assert.deepEqual(take(listener), []);
    send(transport, message(2, 2, 2));
    assert.deepEqual(take(listener), ['0:31']);
    assert.equal(listener.drops, 5);
    send(transport, message(1, 3, 1));
    assert.deepEqual(take(listener), [-OVERRUN]);
    assert.equal(listener.drops, 9);
    assert.equal(listener.drops, 9);
  });

  test('a watch calls while something is there, and not when it is stopped', async () => {
    const replay = Replay.fromText(text);
    const listener = replay.open({ groups: 7 });
    const transport = replay.open({});
    const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    let calls = 0;
    const watch = listener.watch(() => calls++);
    await turn();
    assert.equal(calls, 0);
    send(transport, message(1, 1, 1));
    send(transport, message(2, 2, 2));
    await turn();
    assert.ok(calls >= 1);
    watch.stop();
    const before = calls;
    await turn();
    assert.equal(calls, before);
    watch.start();
    await turn();
    assert.ok(calls > before);
    take(listener);
    await turn();
    const after = calls;
    await turn();
    assert.equal(calls, after);
    listener.close();
    assert.throws(() => take(listener), { code: 'CLOSED' });
  });

  test('only what was listened to can be listened to', () => {
    assert.throws(() => Replay.fromText(text).open({ groups: 3 }), /groups 3 .* groups 7/);
    const replay = Replay.fromText(text);
    replay.open({ groups: 7 });
    assert.throws(() => replay.open({ groups: 7 }), /the recording has no further listener/);
  });

  test('events that went through a filter are given to listeners with the same filter only', () => {
    const filtered = text.replace('"groups":7', '"groups":7,"filter":"AQID"');
    const listen = (recorded: string, filter?: Uint8Array) => () => Replay.fromText(recorded).open({ groups: 7, filter });
    listen(filtered, Uint8Array.of(1, 2, 3))();
    for (const filter of [undefined, Uint8Array.of(1, 2), Uint8Array.of(1, 2, 4)])
      assert.throws(listen(filtered, filter), /another filter than in the recording/);
    // The recording has all events, including those of the filter.
    listen(text, Uint8Array.of(1, 2, 3))();
  });

  test('it can be asked whether everything recorded was used', () => {
    const replay = Replay.fromText(text);
    const transport = replay.open({});
    for (const [type, content] of [
      [1, 1],
      [2, 2],
    ] as const)
      send(transport, message(type, 1, content));
    assert.throws(() => replay.assertDone(), /1 of 3 recorded requests were not made/);
    send(transport, message(1, 1, 1));
    assert.throws(() => replay.assertDone(), /1 recorded listeners were not opened/);
    replay.open({ groups: 7 });
    replay.assertDone();
  });

  test('a datagram longer than its slot is cut, and says so', () => {
    const long = new Uint8Array(100);
    long.set(message(9, 50, 11));
    const transport = Replay.fromText(recording(['open', 0], ['send', 0, message(1, 50, 1)], ['receive', 0, long])).open({});
    send(transport, message(1, 1, 1));
    assert.deepEqual(take(transport), ['1:11 cut']);
  });

  test('a recorder around a replay writes the same recording', () => {
    const lines: string[] = [];
    const recorder = new Recorder((line) => lines.push(line), Replay.fromText(text).open);
    const transport = recorder.open({});
    const listener = recorder.open({ groups: 7 });
    send(transport, message(1, 50, 1));
    take(transport);
    send(transport, message(2, 51, 2));
    take(transport);
    take(listener);
    assert.equal(listener.drops, 5);
    send(transport, message(1, 52, 1));
    take(transport);
    take(listener);
    assert.equal(listener.drops, 9);
    const plain = (line: string) => ({ ...JSON.parse(line), at: 0, portId: 0 });
    assert.deepEqual(lines.map(plain), text.split('\n').map(plain));
  });

  for (const [what, broken, message_] of [
    ['an empty file', '', /line 1 .* not a JSON object/],
    ['another JSON', '{"format":"x"}', /not a recording/],
    ['a later version', JSON.stringify({ ...HEADER, version: 2 }), /version 2/],
    ['another byte order', JSON.stringify({ ...HEADER, byteOrder: 'middle' }), /middle-endian/],
    ['a line that is no JSON', `${JSON.stringify(HEADER)}\nx`, /line 2/],
    [
      'an unknown kind',
      `${JSON.stringify(HEADER)}\n{"at":0,"transport":0,"kind":"toString"}`,
      /line 2 .*unknown kind "toString"/,
    ],
    ['a missing number', `${JSON.stringify(HEADER)}\n{"at":0,"transport":0,"kind":"fail"}`, /line 2 .*errno/],
    [
      'a bad filter',
      `${JSON.stringify(HEADER)}\n{"at":0,"transport":0,"kind":"open","groups":1,"portId":1,"filter":5}`,
      /filter/,
    ],
    ['bad bytes', `${JSON.stringify(HEADER)}\n\n{"at":0,"transport":0,"kind":"send","bytes":"%"}`, /line 3 .*Base64/],
  ] as const)
    test(`${what} is refused`, () => {
      assert.throws(
        () => Replay.fromText(broken),
        (error) => error instanceof RecordingError && message_.test(error.message),
      );
    });
});
