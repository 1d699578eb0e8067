// What `conntrack serve` is told, checked: places, tokens, certificates, names.

import { randomBytes, X509Certificate } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { createSecureContext } from 'node:tls';
import { ConntrackError } from '../errors.js';
import { isLoopback } from '../loopback.js';
import { type TopGrouping, TopGroups } from '../metrics/index.js';
import type { ListenPlace } from './listeners.js';
import { ServeError } from './serve-error.js';
import { TrustedProxies } from './trusted-proxies.js';

/** Secrets, which only root may be able to read: they are handed to the process that serves. */
export interface Secrets {
  readonly changeToken?: string;
  readonly readToken?: string;
  /** Made at this start, for the terminal. */
  readonly made?: true;
  readonly cert?: string;
  readonly key?: string;
}

const DEFAULT_PORT = 8466;
/** 128 bits, written in 64 characters of base64 or fewer of others. */
const LEAST_TOKEN = 22;

/** `127.0.0.1:8466`, `[::1]:8466`, `unix:/run/x.sock`. @throws ServeError */
export function parsePlace(text: string, port: number = DEFAULT_PORT): ListenPlace {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (!path.startsWith('/') || path.length > 107)
      throw new ServeError(`--listen unix: needs an absolute path of at most 107 bytes`);
    return { kind: 'unix', path };
  }
  const parts = /^(?:\[([0-9a-f:.%a-z]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/i.exec(text);
  const at = Number(parts?.[3] ?? port);
  const host = parts?.[1] ?? parts?.[2] ?? '';
  if (!parts || at > 65535 || host === '')
    throw new ServeError(`--listen cannot be '${text}'`, {
      hint: `ADDRESS:PORT such as 127.0.0.1:${port} or [::1]:${port}, or unix:PATH`,
    });
  return { kind: 'tcp', host, port: at };
}

/** `src=20`: the 20 largest groups of sources. @throws ServeError */
export function parseTop(texts: readonly string[]): readonly TopGrouping[] {
  const top = texts.map((text) => {
    const [, by, limit] = /^(.+)=(\d{1,3})$/.exec(text) ?? [];
    if (by === undefined || limit === undefined)
      throw new ServeError(`--metrics-top cannot be '${text}'`, { hint: 'a grouping and how many, such as src=20' });
    return { by, limit: Number(limit) };
  });
  try {
    new TopGroups(top);
  } catch (error) {
    if (!(error instanceof ConntrackError)) throw error;
    throw new ServeError(`--metrics-top: ${error.message}`, { hint: error.hint });
  }
  return top;
}

/** Proxies that are trusted. @throws ServeError */
export function parseProxies(names: readonly string[]): readonly string[] {
  try {
    new TrustedProxies(names);
  } catch (error) {
    if (!(error instanceof ConntrackError)) throw error;
    throw new ServeError(`--trust-proxy: ${error.message}`, { hint: error.hint });
  }
  return names;
}

/** Whether only this machine reaches a place. */
export function isLocal(place: ListenPlace): boolean {
  return place.kind !== 'tcp' || isLoopback(place.host);
}

/** Reads a token. `trusted`: the service manager sees to it that nobody else reads it. @throws ServeError if others can read the file, or the token is short */
export function readToken(file: string, trusted = false): string {
  const text = readSecret(file, 'token', trusted);
  const token = text.trim();
  if (token.length < LEAST_TOKEN || !/^[\x21-\x7e]+$/.test(token))
    throw new ServeError(`the token in ${file} must have at least ${LEAST_TOKEN} printable characters`, { hint: MAKE_TOKEN });
  return token;
}

/** Reads a file that nobody else may read. @throws ServeError */
export function readSecret(file: string, what: string, trusted = false): string {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    const { mode, uid } = fstatSync(fd); // of the very file that is read
    if (!trusted && (mode & 0o077) !== 0)
      throw new ServeError(`others may read the ${what} in ${file}`, { hint: `chmod 600 ${file}` });
    if (!trusted && uid !== 0 && uid !== userInfo().uid)
      throw new ServeError(`the ${what} in ${file} belongs to somebody else`, { hint: `chown ${userInfo().username} ${file}` });
    return readFileSync(fd, 'utf8');
  } catch (error) {
    if (error instanceof ConntrackError) throw error;
    throw new ServeError(`cannot read the ${what}: ${(error as Error).message}`);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** @returns what browsers will say of a certificate, if it is not good now @throws ServeError for a certificate and a key that do not fit */
export function checkTls(cert: string, key: string): string | undefined {
  try {
    createSecureContext({ cert, key });
    const { validFrom, validTo } = new X509Certificate(cert);
    const [from, to] = [new Date(validFrom), new Date(validTo)];
    const now = Date.now();
    if (to.getTime() < now) return `the certificate ended at ${to.toISOString()}`;
    if (from.getTime() > now) return `the certificate begins at ${from.toISOString()}`;
    return undefined;
  } catch (error) {
    throw new ServeError(`the certificate and its key cannot be used: ${(error as Error).message}`);
  }
}

export const MAKE_TOKEN = 'make one: (umask 077; openssl rand -base64 24 > FILE)';

export function makeToken(): string {
  return randomBytes(24).toString('base64url');
}
