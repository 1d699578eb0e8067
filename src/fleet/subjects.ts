// Every subject of a fleet: who says what to whom. Permissions (roles.ts) are made of these.

import { randomBytes } from 'node:crypto';
import { FleetError } from './fleet-error.js';

/** What every subject begins with; the number is the version of the protocol. */
export const PREFIX = 'ct.v1';
export const PROTOCOL_VERSION = '1';

/** Stands for every site, or every host of a site. No name is equal to it. */
export const EVERY = '_';

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
/** Characters that no name has: what users give may have others. */
const QID = /^[0-9A-Za-z]{22}$/;

/** Whether a text can name a site, a host, a user or a collector: it becomes a part of subjects. */
export function isName(text: unknown): text is string {
  return typeof text === 'string' && NAME.test(text);
}

/** @throws FleetError `CONFIG` */
export function checkName(what: string, text: string): string {
  if (isName(text)) return text;
  throw new FleetError('CONFIG', `${what} ${JSON.stringify(text)} is no name for a fleet`, {
    hint: 'lower-case letters, digits, - and _, at most 63, the first a letter or a digit',
  });
}

/** The name that a host has by itself; `undefined` if it cannot be one. */
export function hostNameOf(hostname: string): string | undefined {
  const name = hostname.toLowerCase().split('.')[0]!;
  return isName(name) ? name : undefined;
}

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 22 letters and digits, which nobody can guess. */
export function queryId(): string {
  return Array.from(randomBytes(22), (byte) => LETTERS[byte % LETTERS.length]).join('');
}

/** Whether a text can be the number of a query. */
export function isQueryId(text: string): boolean {
  return QID.test(text);
}

export const subjects = {
  /** Queries, from users to agents. `site` and `host` may be EVERY; `op` may be `*`. */
  query: (site: string, host: string, op: string) => `${PREFIX}.q.${site}.${host}.${op}`,
  /** Changes, from operators to one agent. */
  change: (site: string, host: string, op: string) => `${PREFIX}.c.${site}.${host}.${op}`,
  /** Questions about the past, to collectors. */
  history: (collector: string, op: string) => `${PREFIX}.h.${collector}.${op}`,
  /** Where answers go: `who` is appended by who answers. */
  reply: (user: string, qid: string) => `${PREFIX}.r.${user}.${qid}`,
  answer: (reply: string, who: string) => `${reply}.${who}`,
  /** Credits and the end of a query, from users to who answers. */
  flow: (who: string, qid: string) => `${PREFIX}.f.${who}.${qid}`,
  /** Records; `shard` is shardOf(host), or `*`. */
  record: (shard: string, site: string, host: string) => `${PREFIX}.rec.${shard}.${site}.${host}`,
  audit: (site: string, host: string) => `${PREFIX}.audit.${site}.${host}`,
} as const;

/** The bucket with what each host says of itself. */
export const HOSTS_BUCKET = 'ct_hosts';

/** The stream with every change that was asked for, and what became of it. */
export const AUDIT_STREAM = 'CT_AUDIT';

/** The stream with what hosts record. */
export const RECORD_STREAM = 'CT_REC';

/** The bucket with what each collector says of itself. */
export const COLLECTORS_BUCKET = 'ct_collectors';

/** The JetStream domain of the servers that keep the fleet, where sites have servers of their own: those have the site's name. */
export const HUB_DOMAIN = 'hub';

/** Parts of records, so that several collectors can share them. */
export const SHARDS = 64;

/** The shard of a host, two digits: FNV-1a (32 bits) of its name. */
export function shardOf(host: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < host.length; i++) hash = Math.imul(hash ^ host.charCodeAt(i), 0x01000193);
  return `${(hash >>> 0) % SHARDS}`.padStart(2, '0');
}

/** The query of a reply subject. @returns `undefined` if it is none: then it is not answered */
export function readReply(reply: string | undefined): { readonly user: string; readonly qid: string } | undefined {
  const parts = reply?.split('.') ?? [];
  const [user, qid] = parts.slice(-2);
  if (parts.length !== 5 || reply !== subjects.reply(user!, qid!) || !isName(user) || !isQueryId(qid!)) return undefined;
  return { user, qid: qid! };
}

/** Whether a name is meant by a pattern, in which `*` stands for any letters. */
export function namePattern(pattern: string): (host: string) => boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return (host) => host === pattern;
  const [first, last] = [parts[0]!, parts.at(-1)!];
  const middle = parts.slice(1, -1);
  return (host) => {
    if (!host.startsWith(first) || !host.endsWith(last) || host.length < first.length + last.length) return false;
    let at = first.length;
    const end = host.length - last.length;
    for (const part of middle) {
      const found = host.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
