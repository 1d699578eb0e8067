// Who may do what: a row for each role, from which the servers' configuration is made. The tests try every cell.

import {
  AUDIT_STREAM,
  COLLECTORS_BUCKET,
  EVERY,
  HOSTS_BUCKET,
  HUB_DOMAIN,
  PREFIX,
  RECORD_STREAM,
  shardOf,
  subjects,
} from './subjects.js';

/** What somebody may be. */
export const ROLES = ['agent', 'viewer', 'operator', 'collector', 'admin'] as const;
export type FleetRole = (typeof ROLES)[number];

/** Somebody with a key. */
export interface FleetUser {
  readonly role: FleetRole;
  /** Of an agent: of its host. */
  readonly name: string;
  /** Of an agent. */
  readonly site?: string | undefined;
  /** Of a viewer or an operator: the only sites to ask. */
  readonly sites?: readonly string[] | undefined;
  /** The public key. */
  readonly nkey: string;
}

/** Subjects that somebody may publish to, and listen to. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const STREAM = `KV_${HOSTS_BUCKET}`;
const DEFAULT_SITE = 'default';

export function permissionsOf({ role, name, site = DEFAULT_SITE, sites }: Omit<FleetUser, 'nkey'>): Permissions {
  const inbox = `_INBOX_${name}.>`;
  switch (role) {
    case 'agent':
      return {
        publish: [
          // Answers under its own name only: nobody can forge those of others.
          subjects.answer(subjects.reply('*', '*'), name),
          subjects.audit(site, name),
          subjects.record(shardOf(name), site, name),
          `$KV.${HOSTS_BUCKET}.${name}`,
          `$JS.API.DIRECT.GET.${STREAM}.$KV.${HOSTS_BUCKET}.${name}`,
          // The same, from the server of a site.
          `$JS.${HUB_DOMAIN}.API.$KV.${HOSTS_BUCKET}.${name}`,
          `$JS.${HUB_DOMAIN}.API.DIRECT.GET.${STREAM}.$KV.${HOSTS_BUCKET}.${name}`,
        ],
        subscribe: [
          subjects.query(EVERY, EVERY, '*'),
          subjects.query(site, EVERY, '*'),
          subjects.query(site, name, '*'),
          subjects.change(site, name, '*'),
          subjects.flow(name, '*'),
          inbox,
        ],
      };
    case 'viewer':
      return {
        publish: [...toSites('q', sites), ...toCollectors(sites), subjects.flow('*', '*'), ...readingOf(STREAM)],
        subscribe: [subjects.reply(name, '>'), inbox],
      };
    case 'operator':
      return {
        publish: [
          ...toSites('q', sites),
          ...toSites('c', sites),
          ...toCollectors(sites),
          subjects.flow('*', '*'),
          ...readingOf(STREAM),
          ...readingOf(AUDIT_STREAM),
        ],
        subscribe: [subjects.reply(name, '>'), inbox],
      };
    case 'collector':
      return {
        publish: [
          subjects.answer(subjects.reply('*', '*'), name),
          `$KV.${COLLECTORS_BUCKET}.${name}`,
          `$JS.API.DIRECT.GET.KV_${COLLECTORS_BUCKET}.$KV.${COLLECTORS_BUCKET}.${name}`,
          ...readingOf(RECORD_STREAM),
        ],
        subscribe: [subjects.history(name, '*'), subjects.flow(name, '*'), inbox],
      };
    case 'admin':
      return { publish: ['>'], subscribe: ['>'] };
  }
}

/** Subjects of one kind, of every site or of these. */
function toSites(kind: 'q' | 'c', sites: readonly string[] | undefined): readonly string[] {
  return sites ? sites.map((site) => `${PREFIX}.${kind}.${site}.>`) : [`${PREFIX}.${kind}.>`];
}

/** Collectors answer for all sites: whoever may ask some only asks their hosts. */
function toCollectors(sites: readonly string[] | undefined): readonly string[] {
  return sites ? [] : [subjects.history('*', '*'), ...readingOf(`KV_${COLLECTORS_BUCKET}`)];
}

/** What reading a stream or a bucket takes. */
function readingOf(stream: string): readonly string[] {
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    ...['CREATE', 'INFO', 'DELETE', 'MSG.NEXT'].map((what) => `$JS.API.CONSUMER.${what}.${stream}.>`),
  ];
}

/** The servers' configuration: every user with a key, and what each may do. */
export function renderUsers(users: readonly FleetUser[]): string {
  const lines = users.flatMap((user) => {
    const { publish, subscribe } = permissionsOf(user);
    const list = (subjects: readonly string[]) => `[${subjects.map((subject) => JSON.stringify(subject)).join(', ')}]`;
    return [
      `    # ${user.role} ${user.name}${placeOf(user)}`,
      `    { nkey: ${user.nkey}, permissions: {`,
      `      publish: ${list(publish)}`,
      `      subscribe: ${list(subscribe)}`,
      '    } }',
    ];
  });
  return ['authorization {', '  users = [', ...lines, '  ]', '}', ''].join('\n');
}

function placeOf({ role, site = DEFAULT_SITE, sites }: FleetUser): string {
  if (role === 'agent') return `, site ${site}`;
  return sites ? `, only ${sites.join(', ')}` : '';
}
