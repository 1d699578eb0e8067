// startAgent: an agent of a fleet within a program.

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
// Who else runs as this host is told by it; nothing of the process is changed.
import { pid } from 'node:process';
import { Conntrack } from '../library/index.js';
import { FleetAgent, type FleetAgentStatus } from './agent.js';
import { LOCAL_AUDIT, streamAudit } from './audit.js';
import type { ChangeKind } from './change-request.js';
import { ChangersFile } from './changers.js';
import { type FleetOptions, fleetConfig } from './connect-fleet.js';
import { connecting } from './fleet-config.js';
import { FleetError } from './fleet-error.js';
import { connectBus } from './nats.js';
import { checkName, hostNameOf } from './subjects.js';

/** How an agent of a program runs. */
export interface AgentOptions extends Omit<FleetOptions, 'user' | 'sites'> {
  /** The name of this host in the fleet. Default: its host name, up to the first dot. */
  readonly name?: string | undefined;
  /** Default `default`. */
  readonly site?: string | undefined;
  /** The table that it answers about. Default: it opens that of this network namespace, and closes it. */
  readonly conntrack?: Conntrack | undefined;
  /** What may be changed; needs `changers`. Default: nothing. */
  readonly allow?: readonly ChangeKind[] | undefined;
  /** Path of the file with the keys of those who may. */
  readonly changers?: string | undefined;
  /** Where changes are written down. Default `stream`. */
  readonly audit?: 'stream' | 'local' | undefined;
  /** Take the name from an agent that seems to be alive elsewhere. Default false. */
  readonly takeOver?: boolean | undefined;
}

/** An agent that runs. */
export interface RunningAgent {
  readonly name: string;
  readonly status: FleetAgentStatus;
  /** Rejects when it cannot go on: with `NAME_TAKEN`, if another agent has its name. */
  readonly failed: Promise<never>;
  /** Says good-bye, lets questions end, and closes the connection. Idempotent. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Answers questions of a fleet about a table, from now on. Waits for a server as long as it takes.
 * @throws FleetError `CONFIG`, `NAME_TAKEN`, `NOT_SET_UP`, `UNAUTHORISED`; what `Conntrack.open` throws
 */
export async function startAgent(options: AgentOptions = {}): Promise<RunningAgent> {
  const {
    insecure = false,
    site = 'default',
    allow = [],
    changers,
    audit = 'stream',
    takeOver = false,
    tell = () => {},
  } = options;
  const name = checkName('the host', options.name ?? hostNameOf(hostname()) ?? hostname());
  checkName('the site', site);
  if (allow.length > 0 && changers === undefined)
    throw new FleetError('CONFIG', 'allow needs changers: the file with the keys of those who may change something');
  const file = changers === undefined ? undefined : new ChangersFile(changers);
  if (file) void file.all; // it is there, and can be read
  const servers = connecting(fleetConfig(options), { insecure });
  const conntrack = options.conntrack ?? (await Conntrack.open());
  const closeTable = async () => {
    if (!options.conntrack) await conntrack.close();
  };
  try {
    await conntrack.count(); // without the right to it there is nothing to answer
    const bus = await connectBus({ ...servers, name, patient: true, tell });
    try {
      const agent = await FleetAgent.start({
        bus,
        host: name,
        site,
        tables: { conntracks: new Map([['own', conntrack]]), several: false },
        version: packageVersion(),
        pid,
        takeOver,
        makeBucket: servers.open,
        ...(file && allow.length > 0
          ? {
              changes: {
                allow,
                changers: () => file.all,
                audit: audit === 'local' ? LOCAL_AUDIT : streamAudit(bus, site, name),
              },
            }
          : {}),
        tell,
      });
      let stopped: Promise<void> | undefined;
      const stop = () => {
        stopped ??= agent.stop().then(async () => {
          await bus.close();
          await closeTable();
        });
        return stopped;
      };
      return {
        name,
        get status() {
          return agent.status;
        },
        failed: agent.failed,
        stop,
        [Symbol.asyncDispose]: stop,
      };
    } catch (error) {
      await bus.close();
      throw error;
    }
  } catch (error) {
    await closeTable();
    throw error;
  }
}

/** The version of this package. */
function packageVersion(): string {
  try {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      readonly version?: unknown;
    };
    return typeof version === 'string' ? version : 'unknown';
  } catch {
    return 'unknown'; // bundled into a program of its own
  }
}
