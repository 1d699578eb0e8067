// Listeners: where `conntrack serve` is reached: TCP, a socket in the file system, a socket of systemd. Limits of connections and headers
// are here; what is answered is the handler's.

import { lstatSync, unlinkSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import { getRequestListener } from '@hono/node-server';
import { hostOfAddress } from './auth.js';
import { Connections } from './connections.js';
import { ServeError } from './serve-error.js';
import type { Peer } from './web-options.js';

/** A place to listen at. */
export type ListenPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'descriptor'; readonly fd: number };

export interface ListenOptions {
  /** `process.umask`. */
  readonly umask: (mask: number) => number;
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

const MOST_CONNECTIONS = 256;
const MOST_HEADERS = 8 * 1024;
const HEADERS_WITHIN = 10_000;
const BODY_WITHIN = 30_000;
/** Milliseconds after which a connection on which nothing goes on is ended: streams say something more often. */
const UNREAD_FOR = 60_000;
/** Milliseconds that connections have to end. */
const PATIENCE = 1000;
/** Nobody but the owner and the group may connect to a socket in the file system. */
const SOCKET_UMASK = 0o117;

/** What answers. */
export type RequestHandler = (request: Request, peer: Peer | undefined) => Promise<Response>;

/** An open place. */
export interface Listener {
  /** As it is told: `http://127.0.0.1:8466/`. */
  readonly url: string;
  /** Where it is reached by TCP, if it is. */
  readonly address: string | undefined;
  /** No new requests; settles when all connections have ended, or were cut. */
  close(): Promise<void>;
}

/** Listens at a place. @throws ServeError with what listen(2) refuses */
export async function listenAt(place: ListenPlace, handler: RequestHandler, { umask, tls }: ListenOptions): Promise<Listener> {
  const answer = getRequestListener(
    (request, env) => handler(request, peerOf((env as { readonly incoming?: http.IncomingMessage }).incoming?.socket)),
    // All others are the handler's.
    { errorHandler: () => Response.json({ error: { code: 'REQUEST', message: 'this is no request' } }, { status: 400 }) },
  );
  const connections = new Connections<Socket>(MOST_CONNECTIONS);
  const answerOne: http.RequestListener = (request, response) => {
    const connection = rawSocket(request.socket);
    if (connection.destroyed || !connections.begin(connection)) return;
    response.once('close', () => connections.end(connection));
    // Node.js refuses it by itself, Bun does not: nobody knows where such a body ends.
    if ((request.headers['transfer-encoding'] ?? 'chunked').toLowerCase() !== 'chunked')
      return void response.writeHead(400, { connection: 'close' }).end(() => connection.destroy());
    void answer(request, response);
  };
  const limits: http.ServerOptions = {
    maxHeaderSize: MOST_HEADERS,
    headersTimeout: HEADERS_WITHIN,
    requestTimeout: BODY_WITHIN,
    connectionsCheckingInterval: 1000,
  };
  const server = tls
    ? https.createServer({ ...limits, ...tls, handshakeTimeout: HEADERS_WITHIN }, answerOne)
    : http.createServer(limits, answerOne);
  server.on('connection', (socket: Socket) => connections.add(socket));
  server.setTimeout(UNREAD_FOR);
  // Bun's server of HTTP takes no descriptor, and would listen at any port instead.
  const door: Server =
    place.kind === 'descriptor' && 'Bun' in globalThis
      ? createServer((socket) => void server.emit('connection', socket))
      : server;
  if (place.kind === 'unix') await removeStale(place.path);
  await new Promise<void>((resolve, reject) => {
    door.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(place, error)));
    const ready = () => {
      door.removeAllListeners('error');
      resolve();
    };
    if (place.kind === 'tcp') door.listen(place.port, place.host, ready);
    else if (place.kind === 'descriptor') door.listen({ fd: place.fd }, ready);
    else {
      const mask = umask(SOCKET_UMASK); // the socket is made at once, and never there with other rights
      door.listen(place.path, ready);
      umask(mask);
    }
  });
  door.on('error', () => {}); // a connection that could not be accepted is no reason to end
  const bound = door.address();
  return {
    url: urlOf(place, bound, tls !== undefined),
    address: typeof bound === 'object' && bound !== null ? bound.address : undefined,
    close: () => closeServer(door, server),
  };
}

function cannotListen(place: ListenPlace, { code, message }: NodeJS.ErrnoException): ServeError {
  const where =
    place.kind === 'tcp' ? `${hostOfAddress(place.host)}:${place.port}` : place.kind === 'unix' ? place.path : 'the socket';
  const [, reason = message] = [...getSystemErrorMap().values()].find(([name]) => name === code) ?? [];
  return new ServeError(`cannot listen at ${where}: ${reason}`);
}

/** The connection below that of TLS. */
function rawSocket(socket: Socket): Socket {
  return (socket as { readonly _parent?: Socket })._parent ?? socket;
}

function peerOf(socket: Socket | undefined): Peer | undefined {
  if (!socket) return undefined;
  const { remoteAddress: address = '', remotePort: port = 0, localAddress = '', localPort = 0 } = socket;
  return { address, port, localAddress, localPort, cut: () => socket.destroy() };
}

/** A socket that nobody listens at any more was left behind by a server that was killed. @throws ServeError for anything else */
async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket()) throw new ServeError(`${path} is there already, and is no socket`);
  const refusal = await new Promise<string | undefined>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
  });
  if (refusal === 'ECONNREFUSED') unlinkSync(path);
  else throw new ServeError(`another program listens at ${path}`);
}

function urlOf(place: ListenPlace, address: string | AddressInfo | null, secure: boolean): string {
  const scheme = secure ? 'https' : 'http';
  if (place.kind === 'unix') return `unix:${place.path}`;
  if (typeof address !== 'object' || address === null) return `descriptor ${place.kind === 'descriptor' ? place.fd : ''}`;
  return `${scheme}://${hostOfAddress(address.address)}:${address.port}/`;
}

async function closeServer(door: Server, server: http.Server): Promise<void> {
  const closed = new Promise<void>((resolve) => door.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), PATIENCE);
  await closed;
  clearTimeout(timer);
}
