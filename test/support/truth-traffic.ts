// Traffic that keeps its own log, to hold a record against: `inside` opens connections from many addresses behind a router, `outside` answers
// and says as whom it saw them, and opens some to ports that the router forwards. Each end writes lines of JSON to standard output: a
// moment is in microseconds since the epoch, and the connection is known by the number in its payload.
//
//   node truth-traffic.js inside|outside FLOWS RATE
//
// It listens at once, says so with an empty line, and opens connections when there is something on standard input.

import { createSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';

export const OUTSIDE4 = '10.8.0.2';
export const OUTSIDE6 = 'fd08::2';
export const INSIDE6 = 'fd07::2';
/** Addresses behind the router: 10.7.0.10 and so many more. */
export const INSIDE_COUNT = 20;
export const insideAddress = (n: number) => `10.7.0.${10 + (n % INSIDE_COUNT)}`;
/** Several remote ports, so that one outside port serves several flows at once. */
export const TCP_PORTS = [7001, 7002, 7003];
export const UDP_PORTS = [7011, 7012, 7013];
export const NOBODY = 7999;
export const PUBLIC = '203.0.113.1';
export const PUBLIC_TOO = '203.0.113.2';
export const FORWARDED = [8000, 8001, 8002];
export const FORWARDED_TO = 8080;
/** Numbers of forwarded connections: beyond those from inside. */
export const FORWARDED_ID = 1_000_000;

/** What becomes of a flow, by its number. */
export const KINDS = [
  'closed',
  'reset',
  'idle',
  'unanswered',
  'refused',
  'closed6',
  'idle6',
  'closed',
  'closed',
  'idle',
] as const;
export const kindOf = (id: number) => KINDS[id % KINDS.length]!;

/** A line. `opens`: before the first packet; `seen`: when the other end had it; `lasts`: it was there then still. */
export type TruthLine =
  | {
      readonly id: number;
      readonly opens: number;
      readonly local: readonly [string, number];
      readonly to: readonly [string, number];
    }
  | { readonly id: number; readonly seen: number; readonly lasts: number; readonly peer: readonly [string, number] };

const say = (line: TruthLine) => process.stdout.write(`${JSON.stringify(line)}\n`);
const before = () => Date.now() * 1000;
/** The clock of JavaScript cuts to milliseconds. */
const after = () => (Date.now() + 1) * 1000;
const plain = (address = '') => address.replace(/^::ffff:/, '');

function serve(socket: Socket): void {
  let [text, seen] = ['', 0];
  socket.on('error', () => {});
  socket.on('data', (part) => {
    text += part;
    if (!text.endsWith('\n')) return;
    const id = Number(text);
    seen = after();
    // It lives for a moment, so that there is a time to ask about.
    setTimeout(() => {
      say({ id, seen, lasts: before(), peer: [plain(socket.remoteAddress), socket.remotePort!] });
      if (id < FORWARDED_ID && kindOf(id) === 'reset') socket.resetAndDestroy();
      else socket.write('bye');
    }, id % 200);
  });
}

function open(id: number, local: readonly [string, number] | undefined, to: readonly [string, number]): void {
  const opens = before();
  const socket = connect({
    host: to[0],
    port: to[1],
    ...(local ? { localAddress: local[0], localPort: local[1] } : {}),
  });
  socket.on('error', () => {});
  if (local) say({ id, opens, local, to });
  socket.on('connect', () => {
    if (!local) say({ id, opens, local: [plain(socket.localAddress), socket.localPort!], to });
    socket.write(`${id}\n`);
  });
  // It closes first: an outside port that serves again soon would find the last connection at the other end still.
  socket.on('data', () => socket.end());
}

function send(id: number, local: readonly [string, number], to: readonly [string, number]): void {
  const socket = createSocket(to[0].includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => {}).on('message', () => socket.close());
  socket.bind(local[1], local[0], () => {
    say({ id, opens: before(), local, to });
    socket.send(String(id), to[1], to[0]);
  });
}

function inside(flows: number, rate: number): void {
  let next = 0;
  const began = performance.now();
  const timer = setInterval(() => {
    for (const due = ((performance.now() - began) * rate) / 1000; next < due && next < flows; next++) {
      const kind = kindOf(next);
      const six = kind.endsWith('6');
      const local = six
        ? ([INSIDE6, 10_000 + next] as const)
        : ([insideAddress(next), 10_000 + Math.floor(next / INSIDE_COUNT)] as const);
      const remote = six ? OUTSIDE6 : OUTSIDE4;
      const one = (ports: readonly number[]) => ports[(next >> 3) % ports.length]!;
      if (kind === 'refused') open(next, local, [remote, NOBODY]);
      else if (kind.startsWith('idle') || kind === 'unanswered') send(next, local, [remote, one(UDP_PORTS)]);
      else open(next, local, [remote, one(TCP_PORTS)]);
    }
    if (next >= flows) clearInterval(timer);
  }, 20);
}

function listenInside(): void {
  for (let n = 0; n < FORWARDED.length; n++) createServer(serve).listen(FORWARDED_TO, insideAddress(n));
}

function listenOutside(): void {
  for (const port of TCP_PORTS) createServer(serve).listen(port, '::');
  for (const port of UDP_PORTS)
    for (const type of ['udp4', 'udp6'] as const) {
      const socket = createSocket({ type, ipv6Only: type === 'udp6' });
      socket.on('message', (message, { address, port: from }) => {
        const id = Number(message.toString());
        say({ id, seen: after(), lasts: after(), peer: [address, from] });
        if (kindOf(id) !== 'unanswered') socket.send('bye', from, address);
      });
      socket.bind(port);
    }
}

function outside(flows: number, rate: number): void {
  let next = 0;
  const timer = setInterval(() => {
    open(FORWARDED_ID + next, undefined, [PUBLIC, FORWARDED[next % FORWARDED.length]!]);
    if (++next >= flows / 20) clearInterval(timer);
  }, 20_000 / rate);
}

const ROLES = { inside: { listen: listenInside, open: inside }, outside: { listen: listenOutside, open: outside } };
const [, , role = '', flows, rate] = process.argv;
if (Object.hasOwn(ROLES, role)) {
  const { listen, open: begin } = ROLES[role as keyof typeof ROLES];
  listen();
  // What listens is bound when the loop turns next.
  setTimeout(() => process.stdout.write('\n'), 100);
  process.stdin.once('data', () => begin(Number(flows), Number(rate)));
}
