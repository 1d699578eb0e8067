// Options of every public call: a slip is a ValueError, before anything is opened.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Conntrack, ValueError } from '../../src/index.js';
import { Datagrams } from '../../src/wire/datagrams.js';
import { EAGAIN } from '../../src/wire/errno.js';
import type { Transport } from '../../src/wire/transport.js';

/** Opened transports, none of which delivers anything. */
let opened = 0;
let conntrack: Conntrack;
const WATCH = { start() {}, stop() {}, unref() {}, ref() {}, close() {} };
const transport = (): Transport => {
  opened++;
  return {
    portId: 1,
    receiveBuffer: 212992,
    drops: 0,
    createDatagrams: (slots, size) => new Datagrams(slots, size),
    send: () => assert.fail('something was sent'),
    sendAsync: () => assert.fail('something was sent'),
    receive: () => -EAGAIN,
    receiveAsync: async () => -EAGAIN,
    watch: () => WATCH,
    close() {},
  };
};

before(async () => {
  conntrack = await Conntrack.open({ transport });
});
after(() => conntrack.close());

const KEY = { protocol: 'udp', original: { src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 2 } } as const;
/** Calls with a slip: what to call, and what the message or the hint says. */
const SLIPS: readonly (readonly [call: (conntrack: Conntrack, slip: never) => unknown, slip: unknown, told: RegExp])[] = [
  [(_, slip) => Conntrack.open(slip), { netNS: 'blue' }, /did you mean netns/],
  [(_, slip) => Conntrack.open(slip), { netns: null }, /netns must be a name, a path/],
  [(_, slip) => Conntrack.open(slip), { netns: '' }, /netns/],
  [(_, slip) => Conntrack.open(slip), { netns: -1 }, /netns/],
  [(_, slip) => Conntrack.open(slip), { transport: { open: transport } }, /give its open/],
  [(_, slip) => Conntrack.open(slip), 'blue', /the options must be an object/],
  [(c, slip) => c.list({}, slip), { list: 'dyign' }, /did you mean dying/],
  [(c, slip) => c.list({}, slip), { fields: ['srcc'] }, /fields\[0\] must be one of id, /],
  [(c, slip) => c.list({}, slip), { fields: ['id', 'protocl'] }, /fields\[1\].*did you mean protocol/s],
  [(c, slip) => c.list({}, slip), { fields: 'id' }, /fields must be an array/],
  [(c, slip) => c.list({}, slip), { zero: 1 }, /zero must be true or false/],
  [(c, slip) => c.list({}, slip), { zreo: undefined }, /did you mean zero/],
  [(c, slip) => c.list({}, slip), { signal: {} }, /signal must be an AbortSignal/],
  [(c, slip) => c.list({}, slip), { signal: new AbortController() }, /give the signal of the controller/],
  [(c, slip) => c.list({}, slip), new AbortController().signal, /write \{ signal \}/],
  [(c, slip) => c.list({}, slip), null, /the options must be an object/],
  [(c, slip) => c.list({}, slip), [], /the options must be an object/],
  [(c, slip) => c.list({}, slip), Object.create({ zero: 'yes' }), /zero must be/],
  [(c, slip) => c.get(KEY, slip), { sginal: undefined }, /did you mean signal/],
  [(c, slip) => c.create({ ...KEY, timeout: 1 }, slip), { mayexist: true }, /did you mean mayExist/],
  [(c, slip) => c.create({ ...KEY, timeout: 1 }, slip), { mayExist: 'no' }, /mayExist must be/],
  [(c, slip) => c.createMany([], slip), { mayExist: 1 }, /mayExist must be/],
  [(c, slip) => c.createMany(slip), { ...KEY, timeout: 1 }, /flows must be an array, or another iterable/],
  [(c, slip) => c.update({}, { mark: 1 }, slip), { mayExist: true }, /there is no option "mayExist".*known are signal/s],
  [(c, slip) => c.updateMany([], { mark: 1 }, slip), { signal: 7 }, /signal must be/],
  [(c, slip) => c.updateMany(slip, { mark: 1 }), KEY, /keys must be an array, or another iterable/],
  [(c, slip) => c.delete({}, slip), { dryRun: true }, /there is no option "dryRun"/],
  [(c, slip) => c.deleteMany([], slip), { signal: 7 }, /signal must be/],
  [(c, slip) => c.deleteMany(slip), KEY, /keys must be an array, or another iterable/],
  [(c, slip) => c.events({}, slip), { overflow: 'drop_oldest' }, /did you mean drop-oldest/],
  [(c, slip) => c.events({}, slip), { highWaterMark: 0 }, /highWaterMark must be a whole number from 1 on/],
  [(c, slip) => c.events({}, slip), { highWaterMark: Number.NaN }, /highWaterMark/],
  [(c, slip) => c.events({}, slip), { highWaterMark: 1.5 }, /highWaterMark/],
  [(c, slip) => c.events({}, slip), { highWaterMark: '10' }, /highWaterMark/],
  [(c, slip) => c.events({}, slip), { highwatermark: 10 }, /did you mean highWaterMark/],
  [(c, slip) => c.events({}, slip), { receiveBuffer: -1 }, /receiveBuffer must be a whole number from 1 to/],
  [(c, slip) => c.events({}, slip), { receiveBuffer: 2 ** 30 }, /receiveBuffer/],
  [(c, slip) => c.events({}, slip), { types: ['NWE'] }, /types\[0\].*did you mean NEW/s],
  [(c, slip) => c.events({}, slip), { types: [] }, /types must be an array of NEW, UPDATE, DESTROY, with one at least/],
  [(c, slip) => c.events({}, slip), { types: 'NEW' }, /types must be an array/],
  [(c, slip) => c.events({}, slip), { onLost: true }, /onLost must be a function/],
  [(c, slip) => c.events({}, slip), { initial: 'yes' }, /initial must be/],
  [(c, slip) => c.events(slip), { protocl: 'udp' }, /did you mean protocol/],
  [(c, slip) => c.watch({}, slip), { resync: true }, /there is no option "resync"/],
  [(c, slip) => c.watch({}, slip), { receiveBuffer: Number.NaN }, /receiveBuffer/],
  [(c, slip) => c.flush(slip), { famliy: 'ipv4' }, /did you mean family/],
  [(c, slip) => c.flush(slip), { family: 'IPv4' }, /did you mean ipv4/],
  [(c, slip) => c.count(slip), null, /must be an object/],
  [(c, slip) => c.count({}, slip), { fields: ['id'] }, /there is no option "fields"/],
  [(c, slip) => c.statistics(slip), { cpu: 1 }, /there is no option "cpu"/],
  [(c, slip) => c.expectations.list(slip), { family: 4 }, /family must be one of ipv4, ipv6, not 4/],
  [(c, slip) => c.expectations.count(slip), { family: 'v6' }, /family must be/],
  [(c, slip) => c.expectations.events(slip), { types: ['NEW'] }, /there is no option "types"/],
  [(c, slip) => c.expectations.events(slip), { overflow: 'dorp-newest' }, /did you mean drop-newest/],
  [(c, slip) => c.expectations.flush(slip), { family: 'ipv4' }, /there is no option "family"/],
  [(c, slip) => c.expectations.statistics(slip), 'x', /the options must be an object/],
];
/** These throw; the others return a promise, which is rejected. */
const THROW = /^\(c, slip\) => c\.(?:expectations\.)?(?:list|events)\(/;

for (const [call, slip, told] of SLIPS)
  test(`${call.toString().replace(/^.* => /, '')} refuses ${JSON.stringify(slip)}`, async () => {
    const before = opened;
    const error = await caught(() => call(conntrack, slip as never), THROW.test(call.toString()));
    assert.ok(error instanceof ValueError, String(error));
    assert.match(`${error.message}; ${error.hint}`, told);
    assert.equal(opened, before, 'something was opened');
  });

/** What a call throws, or rejects with. */
async function caught(call: () => unknown, throws: boolean): Promise<unknown> {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    assert.ok(throws, 'this call was to reject');
    return error;
  }
  assert.ok(!throws, 'this call was to throw');
  return (result as Promise<unknown>).then(
    () => assert.fail('nothing was refused'),
    (error) => error,
  );
}

test('options that are undefined are not given, and those that are right are taken', async () => {
  const before = opened;
  const streams = [
    conntrack.events({}, { types: undefined, overflow: undefined, highWaterMark: undefined, signal: undefined }),
    conntrack.events({}, { highWaterMark: Number.POSITIVE_INFINITY, overflow: 'fail', onLost: () => {}, receiveBuffer: 1 }),
    conntrack.expectations.events({ highWaterMark: 1 }),
  ];
  assert.equal(opened, before + 3);
  for (const stream of streams) stream.close();
  conntrack.list({}, { fields: [], list: 'dying', zero: true, signal: AbortSignal.timeout(1000) });
});
