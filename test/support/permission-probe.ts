// Run inside a namespace: connects as a user of a fleet, tries to publish to and to listen to subjects, and prints what was refused.
//
//   node permission-probe.js '{ "server": …, "ca": FILE, "seed": FILE, "name": …, "subjects": […] }'

import { readFileSync } from 'node:fs';
import { connectBus } from '../../src/fleet/nats.js';

export interface ProbeRequest {
  readonly server: string;
  readonly ca: string;
  readonly seed: string;
  readonly name: string;
  readonly subjects: readonly string[];
}

/** Subjects that the server refused. */
export interface ProbeResult {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const asked = process.argv[2];
if (asked !== undefined) {
  const { server, ca, seed, name, subjects } = JSON.parse(asked) as ProbeRequest;
  const refused = { publish: new Set<string>(), subscribe: new Set<string>() };
  const bus = await connectBus({
    servers: [server],
    name,
    seed: new TextEncoder().encode(readFileSync(seed, 'utf8').trim()),
    ca: readFileSync(ca, 'utf8'),
    tls: true,
    patient: false,
    tell: (line) => {
      const [, subject] = /Permissions Violation for Subscription to "([^"]+)"/i.exec(line) ?? [];
      if (subject !== undefined) refused.subscribe.add(subject);
    },
  });
  bus.onRefusal((subject) => {
    refused.publish.add(subject);
    return true;
  });
  for (const subject of subjects) {
    bus.subscribe(subject, () => {});
    if (!/[*>]/.test(subject)) bus.publish(subject, new Uint8Array(0));
    await bus.flush();
  }
  // What the server refused came before its answer; the client tells it a turn later.
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.stdout.write(JSON.stringify({ publish: [...refused.publish], subscribe: [...refused.subscribe] }));
  await bus.close();
}
