// Captures conntrack messages of the running kernel as test/fixtures/*.nlmsg. Not part of the tests: run it by hand, as root
// or not, to renew a fixture (`node scripts/capture-fixtures.mjs tcp-v4`) or, without names, all captured ones.
//
// The annotations and the expected values come from the tables in this file, which were written from the kernel's header and
// know nothing of src/ctnetlink. Compare them with the line of the reference tool in the head of each fixture before committing.

import { execFileSync, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { release, tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, root } from './fresh.mjs';
import { requireCommands } from './tools.mjs';

const INSIDE = 'CAPTURE_INSIDE';
const fixtures = `${root}/test/fixtures`;

requireCommands(['conntrack', 'ip', 'nft', 'unshare']);
if (!process.env[INSIDE]) {
  ensureBuilt();
  const user = process.getuid() === 0 ? [] : ['-Ur'];
  const self = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawnSync('unshare', [...user, '-n', ...self], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  process.exit(child.status ?? 1);
}

const wire = await import(`${root}/dist/wire/index.js`);

// --- What the attributes are called, and how their values read -------------------------------------------------------------

const u8 = (b) => b.readUInt8(0);
const pair8 = (b) => [b.readUInt8(0), b.readUInt8(1)];
const be16 = (b) => b.readUInt16BE(0);
const be32 = (b) => b.readUInt32BE(0);
const be64 = (b) => b.readBigUInt64BE(0).toString();
const string = (b) => b.subarray(0, b.indexOf(0) < 0 ? b.length : b.indexOf(0)).toString('latin1');
const hex = (b) => b.toString('hex');
const ipv4 = (b) => [...b.subarray(0, 4)].join('.');
const ipv6 = (b) => Array.from({ length: 8 }, (_, i) => b.readUInt16BE(2 * i).toString(16)).join(':');
const bits = (b) => {
  const set = [];
  for (let bit = 0; bit < b.length * 8; bit++) if (b.readUInt32LE((bit >> 5) * 4) & (1 << (bit & 31))) set.push(bit);
  return set;
};

/** number → [kernel name, slot name, reader] for a value, [kernel name, prefix, nest] for a nest. */
const tuple = (side) => ({
  1: [
    'CTA_TUPLE_IP',
    '',
    {
      1: ['CTA_IP_V4_SRC', `${side}.v4Src`, ipv4],
      2: ['CTA_IP_V4_DST', `${side}.v4Dst`, ipv4],
      3: ['CTA_IP_V6_SRC', `${side}.v6Src`, ipv6],
      4: ['CTA_IP_V6_DST', `${side}.v6Dst`, ipv6],
    },
  ],
  2: [
    'CTA_TUPLE_PROTO',
    '',
    {
      1: ['CTA_PROTO_NUM', `${side}.protonum`, u8],
      2: ['CTA_PROTO_SRC_PORT', `${side}.sport`, be16],
      3: ['CTA_PROTO_DST_PORT', `${side}.dport`, be16],
      4: ['CTA_PROTO_ICMP_ID', `${side}.icmpId`, be16],
      5: ['CTA_PROTO_ICMP_TYPE', `${side}.icmpType`, u8],
      6: ['CTA_PROTO_ICMP_CODE', `${side}.icmpCode`, u8],
      7: ['CTA_PROTO_ICMPV6_ID', `${side}.icmpv6Id`, be16],
      8: ['CTA_PROTO_ICMPV6_TYPE', `${side}.icmpv6Type`, u8],
      9: ['CTA_PROTO_ICMPV6_CODE', `${side}.icmpv6Code`, u8],
    },
  ],
  3: ['CTA_TUPLE_ZONE', `${side}.tupleZone`, be16],
});
const counters = (side) => ({
  1: ['CTA_COUNTERS_PACKETS', `packets${side}`, be64],
  2: ['CTA_COUNTERS_BYTES', `bytes${side}`, be64],
});
const seqadj = (side) => ({
  1: ['CTA_SEQADJ_CORRECTION_POS', `seqAdj${side}Pos`, be32],
  2: ['CTA_SEQADJ_OFFSET_BEFORE', `seqAdj${side}Before`, be32],
  3: ['CTA_SEQADJ_OFFSET_AFTER', `seqAdj${side}After`, be32],
});
const FLOW = {
  1: ['CTA_TUPLE_ORIG', '', tuple('original')],
  2: ['CTA_TUPLE_REPLY', '', tuple('reply')],
  3: ['CTA_STATUS', 'status', be32],
  4: [
    'CTA_PROTOINFO',
    '',
    {
      1: [
        'CTA_PROTOINFO_TCP',
        '',
        {
          1: ['CTA_PROTOINFO_TCP_STATE', 'tcpState', u8],
          2: ['CTA_PROTOINFO_TCP_WSCALE_ORIGINAL', 'tcpWscaleOriginal', u8],
          3: ['CTA_PROTOINFO_TCP_WSCALE_REPLY', 'tcpWscaleReply', u8],
          4: ['CTA_PROTOINFO_TCP_FLAGS_ORIGINAL', 'tcpFlagsOriginal', pair8],
          5: ['CTA_PROTOINFO_TCP_FLAGS_REPLY', 'tcpFlagsReply', pair8],
        },
      ],
      2: [
        'CTA_PROTOINFO_DCCP',
        '',
        {
          1: ['CTA_PROTOINFO_DCCP_STATE', 'dccpState', u8],
          2: ['CTA_PROTOINFO_DCCP_ROLE', 'dccpRole', u8],
          3: ['CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ', 'dccpHandshakeSeq', be64],
        },
      ],
      3: [
        'CTA_PROTOINFO_SCTP',
        '',
        {
          1: ['CTA_PROTOINFO_SCTP_STATE', 'sctpState', u8],
          2: ['CTA_PROTOINFO_SCTP_VTAG_ORIGINAL', 'sctpVtagOriginal', be32],
          3: ['CTA_PROTOINFO_SCTP_VTAG_REPLY', 'sctpVtagReply', be32],
        },
      ],
    },
  ],
  5: ['CTA_HELP', '', { 1: ['CTA_HELP_NAME', 'helper', string], 2: ['CTA_HELP_INFO', 'helperInfo', hex] }],
  7: ['CTA_TIMEOUT', 'timeout', be32],
  8: ['CTA_MARK', 'mark', be32],
  9: ['CTA_COUNTERS_ORIG', '', counters('Original')],
  10: ['CTA_COUNTERS_REPLY', '', counters('Reply')],
  11: ['CTA_USE', 'use', be32],
  12: ['CTA_ID', 'id', be32],
  14: ['CTA_TUPLE_MASTER', '', tuple('master')],
  15: ['CTA_SEQ_ADJ_ORIG', '', seqadj('Original')],
  16: ['CTA_SEQ_ADJ_REPLY', '', seqadj('Reply')],
  17: ['CTA_SECMARK', 'secmark', be32],
  18: ['CTA_ZONE', 'zone', be16],
  19: ['CTA_SECCTX', '', { 1: ['CTA_SECCTX_NAME', 'secctx', string] }],
  20: [
    'CTA_TIMESTAMP',
    '',
    { 1: ['CTA_TIMESTAMP_START', 'timestampStart', be64], 2: ['CTA_TIMESTAMP_STOP', 'timestampStop', be64] },
  ],
  22: ['CTA_LABELS', 'labels', bits],
  24: [
    'CTA_SYNPROXY',
    '',
    {
      1: ['CTA_SYNPROXY_ISN', 'synproxyIsn', be32],
      2: ['CTA_SYNPROXY_ITS', 'synproxyIts', be32],
      3: ['CTA_SYNPROXY_TSOFF', 'synproxyTsoff', be32],
    },
  ],
  27: ['CTA_TIMESTAMP_EVENT', 'timestampEvent', be64],
};
const EXPECTATION = {
  1: ['CTA_EXPECT_MASTER', '', tuple('master')],
  2: ['CTA_EXPECT_TUPLE', '', tuple('tuple')],
  3: ['CTA_EXPECT_MASK', '', tuple('mask')],
  4: ['CTA_EXPECT_TIMEOUT', 'timeout', be32],
  5: ['CTA_EXPECT_ID', 'id', be32],
  6: ['CTA_EXPECT_HELP_NAME', 'helper', string],
  7: ['CTA_EXPECT_ZONE', 'zone', be16],
  8: ['CTA_EXPECT_FLAGS', 'flags', be32],
  9: ['CTA_EXPECT_CLASS', 'class', be32],
  // The tuple inside describes the translation; nothing prints it, and the view has no slots for it.
  10: ['CTA_EXPECT_NAT', '', { 1: ['CTA_EXPECT_NAT_DIR', 'natDirection', be32], 2: ['CTA_EXPECT_NAT_TUPLE', '', tuple('')] }],
  11: ['CTA_EXPECT_FN', 'fn', string],
};
const counts = (names) => Object.fromEntries(names.map(([n, kernel, name]) => [n, [kernel, name, be32]]));
const STATS_CPU = counts([
  [2, 'CTA_STATS_FOUND', 'found'],
  [4, 'CTA_STATS_INVALID', 'invalid'],
  [8, 'CTA_STATS_INSERT', 'insert'],
  [9, 'CTA_STATS_INSERT_FAILED', 'insert_failed'],
  [10, 'CTA_STATS_DROP', 'drop'],
  [11, 'CTA_STATS_EARLY_DROP', 'early_drop'],
  [12, 'CTA_STATS_ERROR', 'error'],
  [13, 'CTA_STATS_SEARCH_RESTART', 'search_restart'],
  [14, 'CTA_STATS_CLASH_RESOLVE', 'clash_resolve'],
  [15, 'CTA_STATS_CHAIN_TOOLONG', 'chaintoolong'],
]);
const STATS_GLOBAL = counts([
  [1, 'CTA_STATS_GLOBAL_ENTRIES', 'entries'],
  [2, 'CTA_STATS_GLOBAL_MAX_ENTRIES', 'maxEntries'],
]);
const STATS_EXPECT = counts([
  [1, 'CTA_STATS_EXP_NEW', 'expect_new'],
  [2, 'CTA_STATS_EXP_CREATE', 'expect_create'],
  [3, 'CTA_STATS_EXP_DELETE', 'expect_delete'],
]);
const VIEWS = {
  flow: FLOW,
  expectation: EXPECTATION,
  'stats-cpu': STATS_CPU,
  'stats-global': STATS_GLOBAL,
  'stats-expect': STATS_EXPECT,
};

// --- Writing a fixture ------------------------------------------------------------------------------------------------------

function annotate(message, view) {
  const lines = [];
  const values = {};
  const line = (from, to, depth, note) => {
    const words = message
      .subarray(from, to)
      .toString('hex')
      .match(/.{1,8}/g)
      .join(' ');
    lines.push(`${'  '.repeat(depth)}${words}`.padEnd(52).concat(`# ${note}`));
  };
  const walk = (at, end, nest, depth) => {
    while (at + 4 <= end) {
      const length = message.readUInt16LE(at);
      const type = message.readUInt16LE(at + 2) & 0x3fff;
      const [name, slot, what] = nest[type] ?? [`attribute ${type}`, '', undefined];
      if (typeof what === 'object') {
        line(at, at + 4, depth, name);
        walk(at + 4, at + length, what, depth + 1);
      } else {
        line(at, Math.min(end, at + ((length + 3) & ~3)), depth, name);
        if (what && slot && !slot.startsWith('.')) values[slot] = what(message.subarray(at + 4, at + length));
      }
      at += (length + 3) & ~3;
    }
  };
  line(0, 16, 0, 'nlmsghdr: length, type and flags, sequence, port id');
  line(16, 20, 0, 'nfgenmsg: family, version, resource id');
  walk(20, message.length, VIEWS[view], 0);
  const expected = {
    view,
    type: message.readUInt16LE(4),
    flags: message.readUInt16LE(6),
    portId: message.readUInt32LE(12),
    family: message[16],
    resourceId: message.readUInt16BE(18),
    values,
  };
  return { lines, expected };
}

const reference = execFileSync('conntrack', ['-V'], { encoding: 'utf8' }).trim();

function save(name, commands, view, message, shown) {
  const { lines, expected } = annotate(message, view);
  const head = [
    ...commands.map((command) => `# ${command}`),
    `# captured on Linux ${release().split('-')[0]}; ${reference}`,
    ...shown.map((text) => `# shown as: ${text}`),
  ];
  const json = JSON.stringify(expected, null, 2).replace(/\[[^\]]*\]/g, (list) =>
    list.replace(/\s+/g, ' ').replace(/\[ | \]/g, (b) => b.trim()),
  );
  writeFileSync(`${fixtures}/${name}.nlmsg`, `${[...head, ...lines, '---', json].join('\n')}\n`);
  console.log(`${name}: ${message.length} bytes`);
}

// --- Asking the kernel ------------------------------------------------------------------------------------------------------

const buffers = new wire.ReceiveBuffers();
const DUMP = 0x305;
const ACK = 0x5;

/** All messages the kernel answers to a request of this type. */
async function ask(type, flags = DUMP) {
  const socket = wire.NetlinkSocket.open();
  const writer = new wire.MessageWriter();
  writer.begin(type, flags, 1, 0);
  writer.end();
  const found = [];
  const request = { name: 'capture', sequence: 1, bytes: writer.bytes, length: writer.length };
  const visit = (bytes, at, end) => found.push(Buffer.from(bytes.slice(at, end)));
  if (flags === DUMP) await wire.dump(socket, buffers, request, { message: visit });
  else wire.transact(socket, buffers, request, visit);
  socket.close();
  return found;
}

/** The events of one multicast group while `run` runs. */
async function listen(group, run) {
  const socket = wire.NetlinkSocket.open({ groups: 1 << (group - 1) });
  await run();
  const into = buffers.first;
  const found = [];
  for (let count = socket.receive(into); count > 0; count = socket.receive(into))
    for (let i = 0; i < count; i++) found.push(Buffer.from(into.bytes.slice(into.start(i), into.start(i) + into.length(i))));
  socket.close();
  return found;
}

function sh(command) {
  const result = spawnSync('sh', ['-c', command], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command}: ${result.stderr || result.stdout}`);
  return result.stdout;
}

function referenceLines(command) {
  return spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout.trim().split('\n').filter(Boolean);
}

/** A TCP conversation on the loopback; `say` gets the client's socket when the server's greeting has come. */
async function converse({
  from = '192.0.2.1',
  to = '198.51.100.7',
  listen = to,
  port = 80,
  listenPort = port,
  say = async () => {},
}) {
  const server = net.createServer((socket) => socket.on('error', () => {}).end ?? socket);
  const accepted = once(server, 'connection');
  server.listen(listenPort, listen);
  await once(server, 'listening');
  const client = net.connect({ host: to, port, localAddress: from, localPort: 40000 });
  const [peer] = await accepted;
  peer.on('error', () => {});
  client.on('error', () => {});
  peer.write('220 ready\r\n');
  await once(client, 'data');
  await say(client, peer);
  await sleep(30);
  return async () => {
    client.destroy();
    peer.destroy();
    server.close();
    await sleep(30);
  };
}

/** The client's side of an active FTP transfer: the helper reads a command only after it has seen the end of a line. */
async function sendPort(client) {
  client.write('USER anonymous\r\n');
  await sleep(30);
  client.write('PORT 192,0,2,1,160,40\r\n');
}

/** One UDP datagram from 192.0.2.1. */
async function say(port) {
  const socket = dgram.createSocket('udp4');
  socket.bind(port, '192.0.2.1');
  await once(socket, 'listening');
  socket.send('hello', 53, '198.51.100.7');
  await sleep(30);
  return async () => void socket.close();
}

const V4 = '-s 192.0.2.1 -d 198.51.100.7';
const V6 = '-s 2001:db8::1 -d 2001:db8:1::7';

/** name → how it comes about. `insert` runs one command of the reference tool; `run` does more. The newest entry is kept. */
const CASES = {
  'tcp-v4': {
    run: () => converse({}),
    note: 'a TCP connection with data, net.netfilter.nf_conntrack_acct=1, nf_conntrack_timestamp=1',
    pick: 40000,
  },
  'tcp-v6': {
    run: () => converse({ from: '2001:db8::1', to: '2001:db8:1::7' }),
    note: 'a TCP connection over IPv6',
    pick: 40000,
  },
  'udp-v4': { insert: `-I ${V4} -p udp --sport 5000 --dport 53 -t 300 -u SEEN_REPLY,ASSURED -m 0x10` },
  'udp-v6': { insert: `-I ${V6} -p udp --sport 5000 --dport 53 -t 300` },
  udplite: { insert: `-I ${V4} -p udplite --sport 5000 --dport 53 -t 300` },
  sctp: { insert: `-I ${V4} -p sctp --sport 5000 --dport 53 --state ESTABLISHED --orig-vtag 1 --reply-vtag 4294967295 -t 300` },
  icmp: { insert: `-I ${V4} -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77 -t 300` },
  icmpv6: { insert: `-I ${V6} -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9 -t 300` },
  gre: { insert: `-I ${V4} -p gre --srckey 16 --dstkey 17 --reply-key-src 17 --reply-key-dst 16 -t 300` },
  unknown: { insert: `-I ${V4} -p 50 -t 300` },
  zone: { insert: `-I ${V4} -p udp --sport 5001 --dport 53 -w 5 -t 300` },
  'zone-original': { insert: `-I ${V4} -p udp --sport 5002 --dport 53 --orig-zone 7 -t 300` },
  'zone-reply': { insert: `-I ${V4} -p udp --sport 5003 --dport 53 --reply-zone 8 -t 300` },
  labels: { run: () => say(5004), note: 'a UDP datagram that nft gives "ct label set" 1, 40 and 127' },
  helper: {
    run: () => converse({ port: 21, listenPort: 21 }),
    note: 'an FTP control connection with nft "ct helper"',
    pick: 40000,
  },
  seqadj: {
    run: () => converse({ port: 2121, say: sendPort }),
    note: 'an FTP control connection through nft "snat to 203.0.113.55", which makes the PORT command longer',
    pick: 40000,
  },
  snat: { insert: `-I ${V4} -p tcp --sport 40001 --dport 80 --state SYN_SENT -t 300 -n 203.0.113.5:7000` },
  dnat: { insert: `-I ${V6} -p tcp --sport 40001 --dport 80 --state SYN_SENT -t 300 -g 2001:db8:9::9` },
  'dnat-traffic': {
    run: () => converse({ to: '198.51.100.9', port: 8080, listen: '198.51.100.7', listenPort: 80 }),
    note: 'a TCP connection through nft "dnat to 198.51.100.7:80"',
    pick: 40000,
  },
  'event-new': { event: 1, note: `conntrack -I ${V4} -p tcp --sport 40002 --dport 443 --state SYN_SENT -t 300 -m 5` },
  'event-new-packet': { event: 1, run: () => converse({}), note: 'a TCP connection', pick: 40000 },
  'event-update': { event: 2, first: () => say(5005), note: 'conntrack -U -s 192.0.2.1 -d 198.51.100.7 -m 9' },
  'event-update-packet': { event: 2, run: () => converse({}), note: 'a TCP connection', pick: 40000 },
  'event-destroy': {
    event: 3,
    before: `conntrack -I ${V4} -p tcp --sport 40003 --dport 443 --state ESTABLISHED -t 300 -m 6`,
    note: 'conntrack -D -p tcp --sport 40003',
  },
  'event-destroy-expired': {
    event: 3,
    before: `conntrack -I ${V4} -p sctp --sport 5006 --dport 53 --state CLOSED --orig-vtag 1 --reply-vtag 2 -t 1`,
    note: 'sleep 2.5; conntrack -L',
  },
};

const work = mkdtempSync(`${tmpdir()}/capture-`);
process.chdir(work);
sh('ip link set lo up');
for (const address of [
  '192.0.2.1/32',
  '198.51.100.7/32',
  '198.51.100.9/32',
  '203.0.113.55/32',
  '2001:db8::1/128',
  '2001:db8:1::7/128',
])
  sh(`ip addr add ${address} dev lo${address.includes(':') ? ' nodad' : ''}`);
writeFileSync(
  'rules',
  `
table inet capture {
  ct helper ftp { type "ftp" protocol tcp; l3proto ip; }
  chain helpers { type filter hook output priority 0; ct state new tcp dport { 21, 2121 } ct helper set "ftp"; }
  chain labels {
    type filter hook output priority 0
    udp sport 5004 ct label set 1
    udp sport 5004 ct label set 40
    udp sport 5004 ct label set 127
  }
}
table ip capture-nat {
  chain output { type nat hook output priority -100; tcp dport 8080 dnat to 198.51.100.7:80; }
  chain postrouting { type nat hook postrouting priority 100; tcp dport 2121 snat to 203.0.113.55; }
}
`,
);
sh('nft -f rules');
for (const name of ['acct', 'timestamp', 'events']) sh(`sysctl -qw net.netfilter.nf_conntrack_${name}=1`);

const wanted = process.argv.slice(2);
const named = (name) => wanted.length === 0 || wanted.includes(name);
const port = (message) => (message.includes(Buffer.from([0x9c, 0x40])) ? 40000 : 0);

try {
  for (const [name, c] of Object.entries(CASES)) {
    if (!named(name)) continue;
    spawnSync('conntrack', ['-F']);
    await sleep(20);
    const commands = [c.note ?? `conntrack ${c.insert}`];
    let found;
    let shown = [];
    if (c.event) {
      if (c.first) await (await c.first())();
      if (c.before) sh(c.before);
      if (c.before) commands.unshift(c.before);
      let close;
      found = await listen(c.event, async () => {
        if (c.run) close = await c.run();
        else sh(c.note);
      });
      await close?.();
    } else {
      let close;
      if (c.insert) sh(`conntrack ${c.insert}`);
      if (c.run) close = await c.run();
      found = await ask(0x101);
      for (const family of ['ipv4', 'ipv6']) shown.push(...referenceLines(`conntrack -L -f ${family} -o extended,id,ktimestamp`));
      await close?.();
    }
    if (c.pick) found = found.filter((message) => port(message) === c.pick);
    if (c.pick) shown = shown.filter((text) => text.includes(String(c.pick)));
    if (found.length === 0) throw new Error(`${name}: nothing was captured`);
    save(name, commands, 'flow', found[0], shown);
  }

  if (['expectation', 'event-expectation-new', 'event-expectation-destroy', 'master'].some(named)) {
    spawnSync('conntrack', ['-F']);
    const note = ['an FTP control connection with nft "ct helper"; the client says PORT 192,0,2,1,160,40'];
    let close;
    const created = await listen(4, async () => {
      close = await converse({ port: 21, listenPort: 21, say: sendPort });
    });
    const [dumped] = await ask(0x201);
    const shown = referenceLines('conntrack -L expect');
    const destroyed = await listen(6, () => sh('conntrack -F expect'));
    if (named('expectation')) save('expectation', note, 'expectation', dumped, shown);
    if (named('event-expectation-new')) save('event-expectation-new', note, 'expectation', created[0], shown);
    if (named('event-expectation-destroy'))
      save('event-expectation-destroy', [...note, 'conntrack -F expect'], 'expectation', destroyed[0], shown);
    await close();
    if (named('master')) {
      // The data connection that the expectation was for: EXPECTED, with the tuple of its master.
      spawnSync('conntrack', ['-F']);
      let data;
      const end = await converse({
        port: 21,
        listenPort: 21,
        say: async (client) => {
          await sendPort(client);
          await sleep(30);
          data = net.createServer().listen(41000, '192.0.2.1');
          await once(data, 'listening');
          net.connect({ host: '192.0.2.1', port: 41000, localAddress: '198.51.100.7', localPort: 20 }).on('error', () => {});
          const [peer] = await once(data, 'connection');
          peer.on('error', () => {});
          data.peer = peer;
        },
      });
      const found = (await ask(0x101)).filter(
        (message) => message.readUInt16LE(22) === 0x8001 && message.readUInt16BE(60) === 20,
      );
      save(
        'master',
        ['the data connection of an FTP session with nft "ct helper"'],
        'flow',
        found[0],
        referenceLines('conntrack -L -p tcp --sport 20 -o extended,id'),
      );
      data.peer.destroy();
      data.close();
      await end();
    }
  }

  if (named('stats-cpu'))
    save(
      'stats-cpu',
      ['conntrack -S'],
      'stats-cpu',
      (await ask(0x104))[1] ?? (await ask(0x104))[0],
      referenceLines('conntrack -S'),
    );
  if (named('stats-global'))
    save('stats-global', ['conntrack -C'], 'stats-global', (await ask(0x105, ACK))[0], referenceLines('conntrack -C'));
  if (named('stats-expect'))
    save('stats-expect', ['conntrack -S expect'], 'stats-expect', (await ask(0x203))[0], referenceLines('conntrack -S expect'));
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exit(0);
