// How the servers are reached: a file, the environment, options. Whoever leaves this machine needs TLS and a key.

import { readFileSync, statSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { join } from 'node:path';
import { isLoopback } from '../loopback.js';
import { FleetError } from './fleet-error.js';
import type { BusOptions } from './nats.js';
import { checkName } from './subjects.js';

/** What a configuration file may say. */
export interface FleetConfig {
  readonly servers?: readonly string[] | undefined;
  readonly user?: string | undefined;
  /** Path of a seed. */
  readonly seed?: string | undefined;
  /** Path of certificates of authorities, in PEM. */
  readonly ca?: string | undefined;
  /** The only sites that this user may ask. */
  readonly sites?: readonly string[] | undefined;
}

const MEMBERS = ['servers', 'user', 'seed', 'ca', 'sites'] as const;

/** Where a configuration is looked for: all that are there, the later the more they count. */
export function configPlaces(home: string | undefined): readonly string[] {
  return ['/etc/conntrack/fleet.json', ...(home === undefined ? [] : [join(home, '.config/conntrack/fleet.json')])];
}

/** @throws FleetError `CONFIG` */
export function readConfig(path: string, mustExist: boolean): FleetConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!mustExist && (code === 'ENOENT' || code === 'EACCES')) return {};
    throw new FleetError('CONFIG', message, { cause: error });
  }
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch (error) {
    throw new FleetError('CONFIG', `${path} is no JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof told !== 'object' || told === null || Array.isArray(told))
    throw new FleetError('CONFIG', `${path} is no JSON object`);
  for (const [name, value] of Object.entries(told)) {
    if (!(MEMBERS as readonly string[]).includes(name))
      throw new FleetError('CONFIG', `${path} has the unknown member ${JSON.stringify(name)}`, {
        hint: `it may have ${MEMBERS.join(', ')}`,
      });
    const isList = name === 'servers' || name === 'sites';
    const fine = isList ? Array.isArray(value) && value.every((item) => typeof item === 'string') : typeof value === 'string';
    if (!fine) throw new FleetError('CONFIG', `${path}: ${name} must be ${isList ? 'a list of texts' : 'a text'}`);
  }
  return told as FleetConfig;
}

const DEFAULT_PORT = 4222;

/** `nats://HOST:PORT` or `tls://HOST:PORT`. @throws FleetError `CONFIG` */
export function parseServer(text: string): { readonly url: string; readonly tls: boolean; readonly local: boolean } {
  const [, scheme = 'nats', bracketed, plain, port] =
    /^(?:(nats|tls):\/\/)?(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?\/?$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)))
    throw new FleetError('CONFIG', `${JSON.stringify(text)} is no server`, {
      hint: 'write nats://HOST:PORT or tls://HOST:PORT; a user or password belongs into no URL',
    });
  const tls = scheme.toLowerCase() === 'tls';
  // The client compares certificates with names only.
  if (tls && (bracketed !== undefined || isIPv4(host)))
    throw new FleetError('CONFIG', `${text}: TLS needs the name of the server, as its certificate has it, not an address`);
  const url = `${scheme.toLowerCase()}://${bracketed === undefined ? host : `[${host}]`}:${port ?? DEFAULT_PORT}`;
  return { url, tls, local: isLoopback(host) };
}

/** How to connect; `open`: the servers are on this machine and nobody needs a key. */
export interface Connecting extends Pick<BusOptions, 'servers' | 'seed' | 'ca' | 'tls'> {
  readonly open: boolean;
}

/** @throws FleetError `CONFIG` */
export function connecting(
  config: FleetConfig,
  options: { readonly insecure: boolean; readonly credentials?: string | undefined },
): Connecting {
  const servers = (config.servers ?? ['nats://127.0.0.1']).map(parseServer);
  if (servers.length === 0) throw new FleetError('CONFIG', 'there is no server to connect to');
  const local = servers.every((server) => server.local);
  const tls = servers.some((server) => server.tls) || config.ca !== undefined;
  if (!local && !tls && !options.insecure)
    throw new FleetError('CONFIG', `${servers.find((server) => !server.local)!.url} is on another machine: TLS is needed`, {
      hint: 'write tls://HOST; docs/fleet.md says how servers get certificates and keys. --insecure sends everything in the clear',
    });
  const seedPath = config.seed ?? options.credentials;
  if (!local && seedPath === undefined && !options.insecure)
    throw new FleetError('CONFIG', 'servers on other machines want a key', {
      hint: '--seed FILE; conntrack fleet auth makes it: docs/fleet.md',
    });
  return {
    servers: servers.map(({ url }) => url),
    tls,
    open: local && seedPath === undefined,
    ...(seedPath === undefined ? {} : { seed: readSeed(seedPath, seedPath === options.credentials) }),
    ...(config.ca === undefined ? {} : { ca: readCertificates(config.ca) }),
  };
}

/** @throws FleetError `CONFIG` */
function readSeed(path: string, fromServiceManager: boolean): Uint8Array {
  try {
    if (!fromServiceManager && (statSync(path).mode & 0o077) !== 0)
      throw new FleetError('CONFIG', `others may read the seed ${path}`, { hint: `chmod 600 ${path}` });
    const seed = readFileSync(path, 'utf8').trim();
    if (!/^SU[A-Z2-7]{56}$/.test(seed))
      throw new FleetError('CONFIG', `${path} has no seed of a user: SU and 56 letters and digits`);
    return new TextEncoder().encode(seed);
  } catch (error) {
    if (error instanceof FleetError) throw error;
    throw new FleetError('CONFIG', `cannot read the seed: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws FleetError `CONFIG` */
function readCertificates(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new FleetError('CONFIG', `cannot read the certificates: ${(error as Error).message}`, { cause: error });
  }
}

/** Names in a configuration. @throws FleetError `CONFIG` */
export function checkSites(sites: readonly string[] | undefined): readonly string[] | undefined {
  return sites?.map((site) => checkName('the site', site));
}
