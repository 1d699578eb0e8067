// `conntrack fleet setup` and `fleet auth`: what servers keep of a fleet, and who may do what.

import { UsageError } from '../cli/usage-error.js';
import { CHANGES } from '../fleet/change-request.js';
import { connectBus, makeKeyPair } from '../fleet/nats.js';
import { type FleetRole, type FleetUser, ROLES, renderUsers } from '../fleet/roles.js';
import { prepareServers, prepareSite } from '../fleet/streams.js';
import { checkName, HUB_DOMAIN } from '../fleet/subjects.js';
import { addUser, readUsers, removeUser } from '../fleet/user-file.js';
import { asUsage, serversOf, userOf } from './fleet-servers.js';
import type { WordContext } from './run-word.js';
import type { WordLine } from './word-line.js';
import { listOf, numberOf, sizeOf, textOf } from './word-values.js';

/** Makes what is missing, and says what there is. */
export async function setUp(line: WordLine, operands: readonly string[], context: WordContext): Promise<number> {
  if (operands.length > 0) throw new UsageError('fleet setup takes options only');
  const replicas = numberOf(line, 'replicas', 1, 5, true) ?? 3;
  const records = sizeOf(line, 'records-size');
  const leaf = textOf(line, 'leaf');
  const site = leaf === undefined ? undefined : asUsage(() => checkName('the site', leaf));
  if (site === HUB_DOMAIN) throw new UsageError(`a site with servers of its own cannot be called ${HUB_DOMAIN}`);
  const servers = serversOf(line, context);
  const bus = await connectBus({ ...servers, name: userOf(servers.config), patient: false });
  try {
    if (site !== undefined) {
      const made = await prepareSite(bus, site, numberOf(line, 'replicas', 1, 5, true) ?? 1, records);
      context.out.text(
        made.length > 0 ? `The hub takes in records of ${site}, as soon as they are there.\n` : 'Everything is there.\n',
      );
      return 0;
    }
    const made = await prepareServers(bus, replicas, records);
    const where = replicas === 1 ? 'on one server' : `on ${replicas} servers`;
    context.out.text(made.length > 0 ? `Made ${where}: ${made.join(', ')}.\n` : 'Everything is there.\n');
  } finally {
    await bus.close();
  }
  return 0;
}

/** What prints something about all users. */
const PRINTS = ['render', 'changers'];

/** Folder of users and seeds. */
export const KEYS = '/etc/conntrack/fleet';

export async function manageUsers(
  line: WordLine,
  [verb, name, ...rest]: readonly string[],
  { out }: WordContext,
): Promise<number> {
  const folder = textOf(line, 'keys') ?? KEYS;
  if (rest.length > 0 || verb === undefined || PRINTS.includes(verb) !== (name === undefined))
    throw new UsageError(`fleet auth takes ${ROLES.join(', ')} or remove with a NAME; or ${PRINTS.join(', ')}`);
  return asUsage(() => {
    if (verb === 'render' || verb === 'changers') {
      const meant = readUsers(folder).filter(({ role }) => verb === 'render' || role === 'operator');
      // Servers would let nobody in, and hosts nobody change anything: that is hardly what is wanted.
      if (meant.length === 0)
        throw new UsageError(`no ${verb === 'render' ? 'user' : 'operator'} has a key in ${folder}`, {
          hint: '--keys DIR says where keys are; conntrack fleet auth ROLE NAME makes one',
        });
      out.text(verb === 'render' ? renderUsers(meant) : meant.map(changerLine).join(''));
      return 0;
    }
    if (verb === 'remove') {
      removeUser(folder, name!);
      out.text(`${name} has no key any more. ${NEXT}\n`);
      return 0;
    }
    if (!(ROLES as readonly string[]).includes(verb))
      throw new UsageError(`fleet auth: there is no role ${verb}`, {
        hint: `one of ${ROLES.join(', ')}; or remove, ${PRINTS.join(', ')}`,
      });
    const role = verb as FleetRole;
    const sites = listOf(line, 'site');
    if (role === 'agent' && (sites?.length ?? 0) > 1) throw new UsageError('an agent is at one site');
    if ((role === 'admin' || role === 'collector') && sites) throw new UsageError(`${role} is not bound to sites`);
    const places = role === 'agent' ? { site: sites?.[0] ?? 'default' } : sites ? { sites } : {};
    const path = addUser(folder, { role, name: name!, ...places }, makeKeyPair());
    const where = role === 'agent' ? `host ${name}` : `${name}`;
    out.text(`The seed of ${where} is in ${path}: hand it to nobody else. ${NEXT}\n`);
    return 0;
  });
}

/** Of the file of `conntrack agent --changers`. */
function changerLine({ name, nkey }: FleetUser): string {
  return `${name} ${nkey} ${CHANGES.join(',')}\n`;
}

const NEXT = 'conntrack fleet auth render prints the configuration of the servers, which read it again with SIGHUP.';
