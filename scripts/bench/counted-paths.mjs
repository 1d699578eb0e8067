// What scripts/bench/count.mjs counts: each code path that every entry, line or event takes, on messages of test/fixtures, captured from
// a kernel, with different addresses and ports in each copy. No kernel and no root is needed.

import { closeSync, openSync, readFileSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { root } from '../fresh.mjs';
import { writeFlows } from './table.mjs';

const NEWLINE = 10;
const EAGAIN = 11;
/** As in a dump: every datagram begins at a multiple of this. */
const DATAGRAM = 32_768;
/** Dumps of one kind or another; expectations have writers of the same kind. */
const DUMPED = [
  'tcp-v4',
  'tcp-v4',
  'tcp-v4',
  'tcp-v6',
  'tcp-v6',
  'udp-v4',
  'udp-v6',
  'icmp',
  'snat',
  'dnat-traffic',
  'sctp',
  'labels',
];
/** Flows with a name of a helper, a security context. */
const NAMED = ['helper', 'secctx'];
const EVENTS = ['event-new', 'event-update', 'event-destroy', 'event-new-packet', 'event-update-packet', 'event-destroy-expired'];

const at = (path) => import(`${root}/dist/${path}.js`);
const { createFlowView } = await at('ctnetlink/view');
const { S } = await at('ctnetlink/fields');
const { isClash, lastingStatus } = await at('ctnetlink/flow-identity');
const { addressIs, markIs, portIs } = await at('ctnetlink/filter/condition');
const { compileFilter } = await at('ctnetlink/filter/compile');
const { FlowReader, fieldSet } = await at('ctnetlink/flow');
const { LabelMap } = await at('ctnetlink/label');
const { ByteWriter } = await at('format/byte-writer');
const { WallClock } = await at('format/format-options');
const { writeFlowText } = await at('format/flow-text');
const { writeFlowSave } = await at('format/flow-save');
const { writeFlowJson } = await at('format/flow-json');
const { writeFlowXml } = await at('format/flow-xml');
const { EventSource } = await at('library/events/event-source');
const { FlowEncoder } = await at('library/load/encoded-flows');
const { TableTracker } = await at('library/events/table-tracker');
const { LineReader } = await at('cli/load/line-reader');
const { LoadRequests } = await at('cli/load/load-requests');
const { Datagrams } = await at('wire/datagrams');

const view = createFlowView();
const clock = new WallClock();
clock.set(1_795_306_672_871.5);
const out = new ByteWriter(() => {});
const plain = { layer3: false, id: false, ktimestamp: false, timestamp: false, labels: undefined, full: false, event: false };
const full = { ...plain, full: true };
const wide = { ...plain, layer3: true, id: true, labels: LabelMap.parse('1 web\n40 middle\n127 last\n') };
const event = { ...plain, event: true, timestamp: true };
const reader = new FlowReader();
/** Keeps each result until the next, so that the compiler cannot skip making it. */
export let kept;

const wanted = compileFilter({
  kind: 'all',
  of: [addressIs('original', 'src', Uint8Array.of(10, 0, 0, 7)), portIs('original', 'dst', 80), markIs(0, 0xffffffff)],
});

/**
 * Name → function that makes the messages or lines of this way. It returns a function that, given what to do besides for each of `entries`
 * entries, makes one that goes over them.
 */
export function makePaths(entries) {
  const table = once(() => makeTable(DUMPED, entries));
  const named = once(() => makeTable(NAMED, entries));
  const some = fieldSet(['original', 'state', 'timeout']);
  const dumped = (work) => () => passOver(table(), work);
  const withNames = (work) => () => passOver(named(), work);
  return {
    decode: dumped(() => {}),
    'filter by address, port, mark': dumped(() => void wanted(view)),
    text: dumped(() => writeFlowText(out, view, plain, clock)),
    'text, extended,id,labels': dumped(() => writeFlowText(out, view, wide, clock)),
    save: dumped(() => writeFlowSave(out, view, plain)),
    'save,full': dumped(() => writeFlowSave(out, view, full)),
    xml: dumped(() => writeFlowXml(out, view, plain, clock)),
    ndjson: dumped(() => {
      writeFlowJson(out, view, plain, clock);
      out.byte(NEWLINE);
      out.endEntry();
    }),
    'names, text': withNames(() => writeFlowText(out, view, plain, clock)),
    'names, xml': withNames(() => writeFlowXml(out, view, plain, clock)),
    'lines of -R': () => loadLines(entries),
    'flow objects': dumped(() => {
      kept = reader.read(view);
    }),
    'flow objects, 3 members': dumped(() => {
      kept = reader.read(view, some);
    }),
    'events, text': () => watchEvents(entries, () => writeFlowText(out, view, event, clock)),
    'events, ndjson': () =>
      watchEvents(entries, () => {
        writeFlowJson(out, view, event, clock);
        out.byte(NEWLINE);
        out.endEntry();
      }),
    'events, tracked': () => trackEvents(entries),
  };
}

/** Made when it is first asked for. */
function once(make) {
  let made;
  return () => {
    made ??= make();
    return made;
  };
}

/** A separate function for each path, so that one does not spoil the types of another. */
function passOver(table, work) {
  return (also) =>
    new Function(
      'table',
      'view',
      'work',
      'also',
      `
    return () => {
      const { bytes, starts, ends } = table;
      for (let i = 0; i < starts.length; i++) {
        view.decode(bytes, starts[i], ends[i]);
        work();
        also();
      }
    };
  `,
    )(table, view, work, also);
}

/** A file through what `-R` does with each line: read, recognize, encode, keep in a batch. */
function loadLines(entries) {
  const path = `${tmpdir()}/conntrack-count-${process.pid}`;
  writeFlows(path, entries);
  const fd = openSync(path, 'r');
  unlinkSync(path);
  process.on('exit', () => closeSync(fd));
  const requests = new LoadRequests({ readProtocols: () => '', resolveLabels: () => new Map() });
  const encoder = new FlowEncoder();
  return (also) => () => {
    const lines = new LineReader(fd);
    while (lines.next()) {
      let request = requests.find(lines.bytes, lines.start, lines.end);
      if (!request) request = requests.encodeLine(requests.parse(lines.text()));
      const flows = encoder.addRequest(request, lines.number);
      if (flows) {
        flows.seal();
        kept = flows;
      }
      also();
    }
  };
}

/** Events through a source like that of `-E`, with a transport on which all of them wait, the same few repeatedly. */
function watchEvents(entries, write) {
  const { bytes, starts, ends } = makeTable(EVENTS, 1000);
  let left = 0;
  let filled = false;
  const transport = {
    portId: 1,
    receiveBuffer: 0x7fffffff,
    drops: 0,
    createDatagrams: (slots, size) => new Datagrams(slots, size),
    receive(into) {
      if (left === 0) return -EAGAIN;
      // One datagram per event, as from the kernel, but without copying it each time.
      if (!filled) for (let i = 0; i < into.slots; i++) into.put(i, bytes.subarray(starts[i], ends[i]));
      filled = true;
      const count = Math.min(into.slots, left);
      left -= count;
      return count;
    },
    watch: () => ({ start() {}, stop() {}, close() {} }),
    close() {},
  };
  return (also) => {
    filled = false;
    const source = EventSource.open({ groups: 7, transport: () => transport });
    source.start({
      message: (received, from, to) => {
        view.decode(received, from, to);
        if (wanted(view)) throw new Error('no event is of that address');
        write();
        also();
      },
      lost: () => {},
      failed: (error) => {
        throw error;
      },
    });
    return () => {
      left = entries;
      source.drain();
      if (left !== 0) throw new Error('events are left');
    };
  };
}

/** Flows that begin and end, as `--resync` and live views follow them: 500 of them are alive at a time. */
function trackEvents(entries) {
  const alive = 500;
  const flows = entries / 2;
  const begun = makeTable(['event-new', 'event-new-packet', 'event-new'], flows);
  const { starts, ends } = begun;
  const half = begun.bytes.length & ~3;
  const bytes = new Uint8Array(2 * half);
  for (const at of [0, half]) bytes.set(begun.bytes.subarray(0, half), at);
  for (const start of starts) bytes.set([2, 1, 0, 0], half + start + 4); // IPCTNL_MSG_CT_DELETE, no flags
  return (also) => {
    const table = {
      id: S.id,
      times: { start: S.timestampStart, event: S.timestampEvent },
      key: (seen) => seen.be16(S.zone),
      createView: createFlowView,
      isClash,
      lasting: lastingStatus,
    };
    const tracker = new TableTracker(table, undefined, () => also());
    const event = (from, to) => {
      view.decode(bytes, from, to);
      tracker.event(view);
    };
    return () => {
      for (let i = 0; i < flows + alive; i++) {
        if (i < flows) event(starts[i], ends[i]);
        if (i >= alive) event(half + starts[i - alive], half + ends[i - alive]);
      }
      if (tracker.size !== 0) throw new Error(`${tracker.size} flows are left`);
    };
  };
}

/** The fixtures, again and again, laid out as the kernel lays out datagrams. */
function makeTable(names, entries) {
  const messages = names.map(readFixture);
  const size = Math.max(...messages.map((message) => message.length)) * entries;
  const bytes = new Uint8Array(size * 1.05 + 2 * DATAGRAM);
  const starts = new Int32Array(entries);
  const ends = new Int32Array(entries);
  let place = 0;
  for (let i = 0; i < entries; i++) {
    const message = messages[i % messages.length];
    if ((place % DATAGRAM) + message.length > DATAGRAM) place = Math.ceil(place / DATAGRAM) * DATAGRAM;
    bytes.set(message, place);
    vary(bytes, place, i);
    starts[i] = place;
    ends[i] = place + message.length;
    place += (message.length + 3) & ~3;
  }
  return { bytes, starts, ends };
}

/** Different addresses and ports, at the places that a kernel message has them (docs/kernel.md 3.12). */
function vary(bytes, start, i) {
  const v6 = bytes[start + 16] === 10;
  for (const [place, size] of v6
    ? [
        [32, 16],
        [52, 16],
      ]
    : [
        [32, 4],
        [40, 4],
      ]) {
    bytes[start + place + size - 1] = i;
    bytes[start + place + size - 2] = i >> 8;
  }
  bytes[start + (v6 ? 84 : 60)] = i >> 7;
}

function readFixture(name) {
  const text = readFileSync(`${root}/test/fixtures/${name}.nlmsg`, 'utf8').split('\n---\n')[0];
  return Uint8Array.from(Buffer.from(text.replace(/#.*/g, '').replace(/\s+/g, ''), 'hex'));
}
