// Gate: what happens for each entry of a list makes no garbage. 200,000 messages go through the real path, decode and write, in
// a heap whose young generation is so small (1 MiB) that six bytes an entry would already wake the collector. Any garbage
// collection while the entries of a list are being written fails.
//
// The messages are those of test/fixtures, captured from a kernel, with addresses and ports made different in each copy.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, root } from '../fresh.mjs';

const ENTRIES = 200_000;
const NEWLINE = 10;
/** As in a dump: every datagram begins at a multiple of this. */
const DATAGRAM = 32_768;
/** Dumps of one kind or another; events and expectations have writers of the same kind. */
const CAPTURED = [
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

if (process.argv[2] === '--measure') await measureAll();
else gate();

function gate() {
  ensureBuilt();
  const args = ['--max-semi-space-size=1', '--expose-gc', fileURLToPath(import.meta.url), '--measure', ...process.argv.slice(2)];
  const { NODE_EXTRA_CA_CERTS: _, NODE_OPTIONS: __, ...env } = process.env;
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit', env }).status ?? 1;
}

async function measureAll() {
  const at = (path) => import(`${root}/dist/${path}.js`);
  const { createFlowView } = await at('ctnetlink/view');
  const { compileFilter } = await at('ctnetlink/filter');
  const { LabelMap } = await at('ctnetlink/label');
  const { ByteWriter } = await at('format/byte-writer');
  const { WallClock } = await at('format/options');
  const { writeFlowText } = await at('format/flow-text');
  const { writeFlowSave } = await at('format/flow-save');
  const { writeFlowJson } = await at('format/flow-json');
  const { writeFlowXml } = await at('format/flow-xml');

  const table = makeTable();
  const view = createFlowView();
  const clock = new WallClock();
  clock.set(Date.now());
  let written = 0;
  const out = new ByteWriter((_, length) => {
    written += length;
  });
  const plain = { layer3: false, id: false, ktimestamp: false, timestamp: false, labels: undefined, full: false, event: false };
  const labels = LabelMap.parse('1 web\n40 middle\n127 last\n');
  const wide = { ...plain, layer3: true, id: true, labels };
  const full = { ...plain, full: true };
  const wanted = compileFilter({
    kind: 'all',
    of: [
      { kind: 'address', side: 'original', end: 'src', address: Uint8Array.of(10, 0, 0, 7) },
      { kind: 'port', side: 'original', end: 'dst', port: 80 },
      { kind: 'mark', value: 0, mask: 0xffffffff },
    ],
  });
  const paths = {
    decode: () => {},
    'filter by address, port, mark': () => void wanted(view),
    text: () => writeFlowText(out, view, plain, clock),
    'text, extended,id,labels': () => writeFlowText(out, view, wide, clock),
    save: () => writeFlowSave(out, view, plain),
    'save,full': () => writeFlowSave(out, view, full),
    xml: () => writeFlowXml(out, view, plain, clock),
    ndjson: () => {
      writeFlowJson(out, view, plain, clock);
      out.byte(NEWLINE);
      out.endEntry();
    },
  };

  const collections = [];
  const observer = new PerformanceObserver((list) => collections.push(...list.getEntries()));
  observer.observe({ entryTypes: ['gc'] });
  const results = [];
  for (const [name, write] of Object.entries(paths)) {
    const pass = passOver(table, view, write);
    for (let warm = 0; warm < 3; warm++) pass();
    await sleep(100); // what the compiler has prepared beside us comes into use
    pass();
    globalThis.gc();
    await sleep(20);
    written = 0;
    const start = performance.now();
    pass();
    const end = performance.now();
    const bytes = written;
    await sleep(20); // the observer hears of collections later
    const count = collections.filter((gc) => gc.startTime >= start && gc.startTime <= end).length;
    results.push({
      name,
      entries: ENTRIES,
      milliseconds: end - start,
      nanosecondsPerEntry: ((end - start) * 1e6) / ENTRIES,
      bytes,
      collections: count,
    });
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify(results));
  else report(results);
  process.exit(results.every((result) => result.collections === 0) ? 0 : 1);
}

/** A function of its own for each path, so that one does not spoil the types of another. */
function passOver(table, view, write) {
  return new Function(
    'table',
    'view',
    'write',
    `
    return () => {
      const { bytes, starts, ends } = table;
      for (let i = 0; i < starts.length; i++) {
        view.decode(bytes, starts[i], ends[i]);
        write();
      }
    };
  `,
  )(table, view, write);
}

function report(results) {
  console.log(`garbage collections while ${ENTRIES.toLocaleString('en')} entries are decoded and written`);
  for (const { name, nanosecondsPerEntry, collections } of results)
    console.log(
      `  ${name.padEnd(32)}${`${Math.round(nanosecondsPerEntry)} ns`.padStart(8)} an entry  ${collections} ${collections === 0 ? 'ok' : 'FAILED'}`,
    );
}

/** The fixtures, again and again, laid out as the kernel lays out datagrams. */
function makeTable() {
  const messages = CAPTURED.map(readFixture);
  const size = Math.max(...messages.map((message) => message.length)) * ENTRIES;
  const bytes = new Uint8Array(size + DATAGRAM);
  const starts = new Int32Array(ENTRIES);
  const ends = new Int32Array(ENTRIES);
  let at = 0;
  for (let i = 0; i < ENTRIES; i++) {
    const message = messages[i % messages.length];
    if ((at % DATAGRAM) + message.length > DATAGRAM) at = Math.ceil(at / DATAGRAM) * DATAGRAM;
    bytes.set(message, at);
    vary(bytes, at, i);
    starts[i] = at;
    ends[i] = at + message.length;
    at += (message.length + 3) & ~3;
  }
  return { bytes, starts, ends };
}

/** Different addresses and ports, at the places that a kernel message has them (ctnetlink.md 3.12). */
function vary(bytes, at, i) {
  const v6 = bytes[at + 16] === 10;
  for (const [place, size] of v6
    ? [
        [32, 16],
        [52, 16],
      ]
    : [
        [32, 4],
        [40, 4],
      ]) {
    bytes[at + place + size - 1] = i;
    bytes[at + place + size - 2] = i >> 8;
  }
  bytes[at + (v6 ? 84 : 60)] = i >> 7;
}

function readFixture(name) {
  const file = readdirSync(`${root}/test/fixtures`).find((entry) => entry === `${name}.nlmsg`);
  const text = readFileSync(`${root}/test/fixtures/${file}`, 'utf8').split('\n---\n')[0];
  return Uint8Array.from(Buffer.from(text.replace(/#.*/g, '').replace(/\s+/g, ''), 'hex'));
}
