// A site over a thin line: its server keeps records until the hub has them, whatever is cut or killed; questions pass as they are.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RunningAgent, RunningCollector } from '../support/fleet-agent.js';
import { Namespace } from '../support/namespace.js';
import { NatsServer } from '../support/nats-server.js';
import { newFlow } from '../support/netlink.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { numbersIn } from '../support/record-numbers.js';
import { until } from '../support/watchers.js';

const [HUB, SITE] = ['127.0.0.1', '127.0.0.2'];
/** As docs/fleet.md has them, without keys. */
const CONFIG = {
  hub: `listen: "${HUB}:4222"
jetstream { store_dir: "$DIR/js", domain: hub }
leafnodes { listen: "${HUB}:7422" }
`,
  site: `server_name: ams
listen: "${SITE}:4222"
jetstream { store_dir: "$DIR/js", domain: ams }
leafnodes { remotes: [ {
  urls: ["nats-leaf://${HUB}:7422"]
  deny_exports: ["ct.v1.rec.>"]
  deny_imports: ["ct.v1.rec.>"]
} ] }
`,
};

before(requirePrerequisites);
suite('a site with servers of its own', {
  skip: SELF_TEST ? 'the reference has no fleets' : false,
  timeout: 300_000 * SLOWNESS,
}, () => {
  test('nothing of its records is lost or doubled, and it answers through the hub', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'conntrack-fleet-site-'));
    await using space = await Namespace.create('site');
    const run = async (...words: string[]) => {
      const { status, stdout, stderr } = await space.run([UNDER_TEST, ...words], { timeLimit: 60_000 });
      return { status, out: stdout.toString(), err: stderr.toString() };
    };
    const [record, copies] = [join(folder, 'record'), join(folder, 'copies')];
    let recorder: number | undefined;
    try {
      await using hub = await NatsServer.start(space, { config: CONFIG.hub, address: HUB });
      await using site = await NatsServer.start(space, { config: CONFIG.site, address: SITE });
      assert.equal((await run('fleet', 'setup', '--replicas', '1')).status, 0);
      const setUp = await run('fleet', 'setup', '--leaf', 'ams');
      assert.deepEqual(
        [setUp.status, setUp.out],
        [0, 'The hub takes in records of ams, as soon as they are there.\n'],
        setUp.err,
      );
      assert.equal((await run('fleet', 'setup', '--leaf', 'ams')).out, 'Everything is there.\n');

      recorder = await space.start([UNDER_TEST, 'record', '--keep', '1d', '--sync', '0.2s', '--dir', record, 'port', '53'], {
        timeLimit: 600_000,
      });
      const isThere = async () => (await run('record', 'status', '--dir', record)).status === 0;
      await until('the recorder runs', isThere, 30_000 * SLOWNESS);
      let made = 0;
      const makeFlows = async (count: number) => {
        await space.netlink(
          Array.from({ length: count }, () => {
            const n = made++;
            const original = { src: `192.0.2.${n & 0xff}`, dst: '198.51.100.7', sport: 1024 + n, dport: 53 };
            return newFlow({ proto: 17, original, timeout: 100_000 });
          }),
        );
        assert.equal((await run('-D', '-p', 'udp', '--dport', '53')).status, 0);
      };
      const place = ['--nats', `nats://${SITE}`, '--site', 'ams', '--name', 'fw1'];
      await using _agent = await RunningAgent.start(space, [...place, '--history', record, '--ship', '--flush', '0.2s']);
      await using _collector = await RunningCollector.start(space, ['--name', 'c1', '--keep', 'forever', '--dir', copies]);
      const copy = () => join(copies, 'fw1', readdirSync(join(copies, 'fw1'))[0]!);
      const isCollected = async () => readdirSync(copies).includes('fw1') && numbersIn(copy()).length >= made;
      await makeFlows(50);
      await until('records come through the site', isCollected, 60_000 * SLOWNESS);

      // The line swallows everything for a while; the site goes on taking records.
      await space.must(['nft', 'add', 'table', 'inet', 'cut']);
      await space.must(['nft', 'add chain inet cut input { type filter hook input priority 0; }']);
      for (const port of ['dport', 'sport']) await space.must(['nft', `add rule inet cut input tcp ${port} 7422 drop`]);
      await makeFlows(70);
      await sleep(3000);
      assert.equal(numbersIn(copy()).length, 50);
      await space.must(['nft', 'delete', 'table', 'inet', 'cut']);
      await makeFlows(30);
      for (const server of [site, hub]) {
        await server.kill();
        await makeFlows(40);
        await server.start();
        await makeFlows(10);
      }
      await until('everything is in the copy', isCollected, 120_000 * SLOWNESS);
      const all = Array.from({ length: made }, (_, n) => n + 1);
      assert.deepEqual(numbersIn(record), all);
      assert.deepEqual(numbersIn(copy()), all);

      await until(
        'the host answers',
        async () => (await run('fleet', 'count', 'port 4222', '--on', 'fw1')).status === 0,
        60_000 * SLOWNESS,
      );
      const { findings } = JSON.parse((await run('fleet', 'doctor', '-o', 'json')).out) as { findings: { id: string }[] };
      assert.ok(!findings.some(({ id }) => id === 'site-cut-off'));
    } finally {
      if (recorder !== undefined) {
        await space.ask('signal', recorder, 'SIGTERM');
        await space.ask('finish', recorder);
      }
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
