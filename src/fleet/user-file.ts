// The users of a fleet, with their public keys, in a file of whoever looks after it; and the seeds, each in a file that is handed out.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FleetError } from './fleet-error.js';
import { type FleetUser, ROLES } from './roles.js';
import { checkName, isName } from './subjects.js';

const USERS = 'users.json';
const PUBLIC_KEY = /^U[A-Z2-7]{55}$/;

/** @throws FleetError `CONFIG` */
export function readUsers(folder: string): readonly FleetUser[] {
  const path = join(folder, USERS);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new FleetError('CONFIG', `cannot read the users: ${(error as Error).message}`, { cause: error });
  }
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch (error) {
    throw new FleetError('CONFIG', `${path} is no JSON: ${(error as Error).message}`, { cause: error });
  }
  if (!Array.isArray(told) || !told.every(isUser)) throw new FleetError('CONFIG', `${path} has no list of users`);
  return told;
}

/** Whatever stands there becomes a part of the servers' configuration. */
function isUser(told: unknown): told is FleetUser {
  if (typeof told !== 'object' || told === null) return false;
  const { role, name, site, sites, nkey } = told as Readonly<Record<keyof FleetUser, unknown>>;
  return (
    (ROLES as readonly unknown[]).includes(role) &&
    isName(name) &&
    (site === undefined || isName(site)) &&
    (sites === undefined || (Array.isArray(sites) && sites.length > 0 && sites.every(isName))) &&
    typeof nkey === 'string' &&
    PUBLIC_KEY.test(nkey)
  );
}

/** A new key pair. */
export interface KeyPair {
  readonly seed: string;
  readonly publicKey: string;
}

/** Adds a user. @returns the path of the seed. @throws FleetError `CONFIG` */
export function addUser(folder: string, user: Omit<FleetUser, 'nkey'>, { seed, publicKey }: KeyPair): string {
  checkName(`the ${user.role}`, user.name);
  for (const site of [...(user.site === undefined ? [] : [user.site]), ...(user.sites ?? [])]) checkName('the site', site);
  const users = readUsers(folder);
  const before = users.find(({ name }) => name === user.name);
  // Names are unique among all roles: each has an inbox of its name.
  if (before)
    throw new FleetError('CONFIG', `${user.name} has a key already, as ${before.role}`, {
      hint: `conntrack fleet auth remove ${user.name} takes it away`,
    });
  const path = join(folder, `${user.name}.seed`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(path, `${seed}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw new FleetError('CONFIG', `cannot write the seed: ${(error as Error).message}`, { cause: error });
  }
  writeUsers(folder, [...users, { ...user, nkey: publicKey }]);
  return path;
}

/** @throws FleetError `CONFIG` if there is no such user */
export function removeUser(folder: string, name: string): void {
  const users = readUsers(folder);
  const rest = users.filter((user) => user.name !== name);
  if (rest.length === users.length) throw new FleetError('CONFIG', `nobody named ${JSON.stringify(name)} has a key in ${folder}`);
  writeUsers(folder, rest);
}

function writeUsers(folder: string, users: readonly FleetUser[]): void {
  const path = join(folder, USERS);
  try {
    writeFileSync(`${path}.new`, `${JSON.stringify(users, undefined, 2)}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw new FleetError('CONFIG', `cannot write the users: ${(error as Error).message}`, { cause: error });
  }
}
