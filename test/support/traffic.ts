// Real traffic: a client, a router and a server, joined by veth pairs; the router tracks, translates, marks, labels, zones. This
// project's own agents send everything: no tools except ip and nft.

import { Namespace } from './namespace.js';
import { echoRequest, internetChecksum, LABELS, LONG_TIMEOUTS, quiet } from './population.js';
import type { Purpose } from './resident.js';

export const CLIENT = '10.7.0.2';
export const SERVER = '10.8.0.2';
const CLIENT6 = 'fd07::2';
const SERVER6 = 'fd08::2';
/** Addresses that exist only through translation. */
export const VIRTUAL = '10.8.0.99';
const SNAT_ADDRESS = '10.8.0.77';

/** What the router does with packets. Zones come first, because they are part of the lookup. */
const RULES = `
table inet zones {
  chain early {
    type filter hook prerouting priority raw;
    udp dport 1005 ct zone set 5
    udp dport 1007 ct original zone set 7
    udp dport 1008 ct reply zone set 8
  }
}
table inet tracking {
  ct helper ftp { type "ftp" protocol tcp; }
  chain meet {
    type filter hook prerouting priority 0;
    tcp dport 21 ct helper set "ftp"
    udp dport 1053 ct mark set 0x35
    tcp dport 8080 ct mark set 0x10
    udp dport 1054 ct label set 1
    udp dport 1054 ct label set 2
    udp dport 1055 ct label set 99
  }
}
table ip nat {
  chain pre {
    type nat hook prerouting priority dstnat;
    ip daddr ${VIRTUAL} tcp dport 8080 dnat to ${SERVER}:80
    ip daddr ${VIRTUAL} udp dport 5353 dnat to ${SERVER}:53
    ip daddr ${VIRTUAL} icmp type echo-request dnat to ${SERVER}
  }
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "south" udp dport 2001 masquerade to :40000-40010
    oifname "south" udp dport 2002 snat to ${SNAT_ADDRESS}
    oifname "south" udp dport 2003 snat to ${SNAT_ADDRESS}:5000
    oifname "south" tcp dport 21 masquerade
  }
}
table ip6 nat6 {
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "south" udp dport 2002 snat to fd08::77
  }
}
`;

export interface TrafficOptions {
  accounting: boolean;
  timestamps: boolean;
  /** Of runs of the command there. */
  purpose?: Purpose;
  /** Called when everything is ready, before the first packet. */
  watch?: (router: Namespace) => Promise<void>;
}

/** Three namespaces and the traffic that has passed. */
export interface Scene extends AsyncDisposable {
  readonly client: Namespace;
  readonly router: Namespace;
  readonly server: Namespace;
}

/** Builds the scene, sends one of everything, and waits until the router's table rests. */
export async function makeTraffic({ accounting, timestamps, purpose, watch }: TrafficOptions): Promise<Scene> {
  const made: Namespace[] = [];
  try {
    for (const name of ['client', 'router', 'server']) made.push(await Namespace.create(name, purpose));
    const [client, router, server] = made as [Namespace, Namespace, Namespace];
    await joinByRouter(client, router, server);
    await router.labels(LABELS);
    await router.sysctl({
      'net.netfilter.nf_conntrack_acct': Number(accounting),
      'net.netfilter.nf_conntrack_timestamp': Number(timestamps),
      'net.netfilter.nf_conntrack_events': 1,
      'net.netfilter.nf_conntrack_checksum': 0, // SCTP packets here carry no CRC32c
      ...LONG_TIMEOUTS,
    });
    await router.nft(RULES);
    await watch?.(router);
    await talk(client, server);
    await quiet(router);
    return { client, router, server, [Symbol.asyncDispose]: () => close(made) };
  } catch (error) {
    await close(made);
    throw error;
  }
}

async function close(namespaces: readonly Namespace[]): Promise<void> {
  for (const namespace of namespaces) await namespace.close();
}

/** Joins client and server by the router, which forwards. */
export async function joinByRouter(client: Namespace, router: Namespace, server: Namespace): Promise<void> {
  const ip = (namespace: Namespace, ...lines: string[]) =>
    namespace.must(['ip', '-batch', '-'], { input: Buffer.from(`${lines.join('\n')}\n`) });
  await ip(
    router,
    `link add north type veth peer name eth0 netns ${client.pid}`,
    `link add south type veth peer name eth0 netns ${server.pid}`,
    'address add 10.7.0.1/24 dev north',
    'address add 10.8.0.1/24 dev south',
    'address add fd07::1/64 dev north nodad',
    'address add fd08::1/64 dev south nodad',
    'link set north up',
    'link set south up',
  );
  await ip(
    client,
    `address add ${CLIENT}/24 dev eth0`,
    `address add ${CLIENT6}/64 dev eth0 nodad`,
    'link set eth0 up',
    'route add default via 10.7.0.1',
    'route add default via fd07::1',
  );
  await ip(
    server,
    `address add ${SERVER}/24 dev eth0`,
    `address add ${SERVER6}/64 dev eth0 nodad`,
    'link set eth0 up',
    'route add default via 10.8.0.1',
    'route add default via fd08::1',
  );
  await router.sysctl({ 'net.ipv4.ip_forward': 1, 'net.ipv6.conf.all.forwarding': 1 });
  await router.must(['ip', 'neigh', 'add', 'proxy', SNAT_ADDRESS, 'dev', 'south']);
}

async function talk(client: Namespace, server: Namespace): Promise<void> {
  // UDP: answered, unanswered, in zones, with mark and labels, translated in each way
  for (const port of [53, 1053, 1054, 2001]) await server.ask('udpServe', SERVER, port);
  await server.ask('udpServe', SERVER6, 53);
  for (const port of [1005, 1007, 1008, 1055, 2002, 2003, 9]) await server.ask('udpServe', SERVER, port, true);
  await server.ask('udpServe', SERVER6, 2002, true);
  for (const [
    port,
    answers,
  ] of [[53, true], [1053, true], [1054, true], [2001, true], [1005, false], [1007, false], [1008, false], [1055, false], [2002, false], [2003, false], [9, false]] as const) // biome-ignore format: a list
    await client.ask('udpSend', [CLIENT, 30000 + port], [SERVER, port], { count: 2, size: 64, answers });
  await client.ask('udpSend', [CLIENT, 35353], [VIRTUAL, 5353], { count: 1, size: 32, answers: true });
  await client.ask('udpSend', [CLIENT6, 30053], [SERVER6, 53], { count: 3, size: 100, answers: true });
  await client.ask('udpSend', [CLIENT6, 32002], [SERVER6, 2002], { count: 1, size: 1, answers: false });

  // TCP: open, closed by the client, reset, refused, unanswered
  for (const port of [80, 22]) await server.ask('tcpServe', SERVER, port);
  await server.ask('tcpServe', SERVER6, 80);
  const say = async (port: number, to: [string, number], from = CLIENT) => {
    const connection = await client.ask('tcpConnect', [from, port], to);
    await client.ask('tcpSay', connection, 'hello');
    return connection;
  };
  await say(40001, [SERVER, 80]);
  await say(40002, [VIRTUAL, 8080]);
  await say(40003, [SERVER6, 80], CLIENT6);
  await client.ask('tcpClose', await say(40004, [SERVER, 22]), 'end');
  await client.ask('tcpClose', await say(40005, [SERVER, 22]), 'reset');
  await client.ask('tcpConnect', [CLIENT, 40006], [SERVER, 81]).catch(() => {}); // nobody listens: a reset
  await client.ask('rawSend', 6, CLIENT, SERVER, tcpSyn(CLIENT, SERVER, 40007, 82)); // answered by the server, which our host then resets

  // ICMP, and protocols that need raw sockets
  await client.ask('rawSend', 1, CLIENT, SERVER, echoRequest(4, 4711, 56));
  await client.ask('rawSend', 1, CLIENT, VIRTUAL, echoRequest(4, 4712, 56));
  await client.ask('rawSend', 58, CLIENT6, SERVER6, echoRequest(6, 4713, 56));
  await client.ask(
    'rawSend',
    132,
    CLIENT,
    SERVER,
    Buffer.from('17701e6100000000000000000100001412345678000100000001000100000001', 'hex'),
  ); // SCTP INIT
  await client.ask('rawSend', 47, CLIENT, SERVER, Buffer.from('3001880b0004000500000001abcdef01', 'hex')); // GRE version 1, key
  await client.ask('rawSend', 47, CLIENT6, SERVER6, Buffer.from('0000080000000000', 'hex')); // GRE version 0
  await client.ask('rawSend', 136, CLIENT, SERVER, Buffer.from('138800350000ffff68690a0a', 'hex')); // UDP-Lite
  await client.ask('rawSend', 50, CLIENT, SERVER, Buffer.from('000000010000000100000000', 'hex')); // ESP
  await client.ask('rawSend', 33, CLIENT, SERVER, Buffer.from('13880035060000000000000100000000', 'hex')); // DCCP

  // FTP through the translation: passive with its data connection, active whose expectation stays; and IPv6
  await server.ask('tcpServe', SERVER, 21, 'ftp', 30100);
  await server.ask('tcpServe', SERVER, 30100);
  const passive = await client.ask('tcpConnect', [CLIENT, 41001], [SERVER, 21]);
  await client.ask('tcpHear', passive);
  await client.ask('tcpSay', passive, 'USER nobody\r\n');
  await client.ask('tcpSay', passive, 'PASV\r\n');
  await client.ask('tcpConnect', [CLIENT, 41002], [SERVER, 30100]);
  const active = await client.ask('tcpConnect', [CLIENT, 41003], [SERVER, 21]);
  await client.ask('tcpHear', active);
  await client.ask('tcpSay', active, 'USER nobody\r\n');
  await client.ask('tcpSay', active, 'PORT 10,7,0,2,160,200\r\n');
  await server.ask('tcpServe', SERVER6, 21, 'ftp', 30101);
  const extended = await client.ask('tcpConnect', [CLIENT6, 41004], [SERVER6, 21]);
  await client.ask('tcpHear', extended);
  await client.ask('tcpSay', extended, 'USER nobody\r\n');
  await client.ask('tcpSay', extended, 'EPRT |2|fd07::2|41160|\r\n');
}

/** A TCP SYN without options, as a raw socket sends it. */
export function tcpSyn(src: string, dst: string, sport: number, dport: number): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  header.writeUInt32BE(1, 4);
  header.writeUInt16BE(0x5002, 12);
  header.writeUInt16BE(1024, 14);
  const pseudo = Buffer.from([...src.split('.'), ...dst.split('.')].map(Number).concat(0, 6, 0, 20));
  header.writeUInt16BE(internetChecksum(Buffer.concat([pseudo, header])), 16);
  return header;
}
