// Listeners: where `conntrack serve` is reached: TCP, a socket in the file system, a socket of systemd. Limits of connections and headers
// are here; what is answered is the handler's.

import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { WebHandler } from './handler.js';
import type { Peer } from './web-options.js';

/** A place to listen at. */
export type ListenPlace =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'descriptor'; readonly fd: number };

export interface ListenOptions {
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined;
}

const MOST_CONNECTIONS = 256;
const MOST_HEADERS = 8 * 1024;
const HEADERS_WITHIN = 10_000;
const BODY_WITHIN = 30_000;
/** Milliseconds that connections have to end. */
const PATIENCE = 2000;

/** An open place. */
export interface Listener {
  /** As it is told: `http://127.0.0.1:8466/`. */
  readonly url: string;
  /** No new requests; settles when all connections have ended, or were cut. */
  close(): Promise<void>;
}

/** Listens at a place. @throws what listen(2) refuses */
export async function listenAt(place: ListenPlace, handler: WebHandler, { tls }: ListenOptions = {}): Promise<Listener> {
  const server = createAdaptorServer({
    fetch: (request, env) => handler(request, peerOf((env as { readonly incoming?: http.IncomingMessage }).incoming?.socket)),
    createServer: tls ? https.createServer : http.createServer,
    serverOptions: {
      maxHeaderSize: MOST_HEADERS,
      headersTimeout: HEADERS_WITHIN,
      requestTimeout: BODY_WITHIN,
      connectionsCheckingInterval: 1000,
      ...(tls ?? {}),
    } as http.ServerOptions,
  }) as http.Server;
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const ready = () => {
      server.off('error', reject);
      resolve();
    };
    if (place.kind === 'tcp') server.listen(place.port, place.host, ready);
    else if (place.kind === 'descriptor') server.listen({ fd: place.fd }, ready);
    else {
      removeStale(place.path);
      server.listen(place.path, () => {
        chmodSync(place.path, 0o660);
        ready();
      });
    }
  });
  return { url: urlOf(place, server.address(), tls !== undefined), close: () => closeServer(server) };
}

function peerOf(socket: Socket | undefined): Peer | undefined {
  if (!socket?.remoteAddress || !socket.remotePort || !socket.localAddress || !socket.localPort) return undefined;
  return {
    address: socket.remoteAddress,
    port: socket.remotePort,
    localAddress: socket.localAddress,
    localPort: socket.localPort,
  };
}

/** A socket that nobody listens at any more is left behind by a server that was killed. */
function removeStale(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // There is none, or listen says why it cannot be used.
  }
}

function urlOf(place: ListenPlace, address: string | AddressInfo | null, secure: boolean): string {
  const scheme = secure ? 'https' : 'http';
  if (place.kind === 'unix') return `unix:${place.path}`;
  if (typeof address !== 'object' || address === null) return `descriptor ${place.kind === 'descriptor' ? place.fd : ''}`;
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `${scheme}://${host}:${address.port}/`;
}

async function closeServer(server: http.Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), PATIENCE);
  await closed;
  clearTimeout(timer);
}
