// An agent of a fleet within this process: on a table and on servers in memory.

import assert from 'node:assert/strict';
import { FleetAgent } from '../../src/fleet/agent.js';
import type { AgentTables } from '../../src/fleet/query-agent.js';
import { Conntrack } from '../../src/index.js';
import type { MemoryTable } from '../../src/testing/index.js';
import type { MemoryServers } from './memory-bus.js';

/** A host with this table; whatever its agent has to tell fails the test. */
export async function startMemoryAgent(
  servers: MemoryServers,
  host: string,
  table: MemoryTable,
  site = 'default',
  past?: AgentTables['past'],
) {
  const conntrack = await Conntrack.open({ transport: table.open });
  const bus = servers.connect();
  const agent = await FleetAgent.start({
    bus,
    host,
    site,
    tables: { conntracks: new Map([['own', conntrack]]), several: false, past },
    version: '0.1.0',
    pid: process.pid,
    makeBucket: true,
    tell: (line) => assert.fail(line),
  });
  return {
    agent,
    bus,
    async [Symbol.asyncDispose]() {
      await agent.stop();
      await conntrack.close();
    },
  };
}
