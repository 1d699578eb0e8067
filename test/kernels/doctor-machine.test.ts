// The doctor where settings of the whole machine are ours: in a guest (scripts/test-kernels.mjs), which has its kernel for itself. Limits of
// all network namespaces are lowered, modules unloaded, and what `--fixes` prints for the host is run there. On a machine that others use,
// everything here is skipped.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { after, before, suite, test } from 'node:test';
import { diagnose } from '../../src/doctor/diagnose.js';
import { fixesScript } from '../../src/doctor/diagnosis-text.js';
import type { Diagnosis, Finding } from '../../src/doctor/finding.js';
import { Conntrack, type NewFlow } from '../../src/index.js';
import { Namespace } from '../support/namespace.js';
import { UNDER_TEST } from '../support/project.js';
import { CLIENT, joinByRouter, SERVER } from '../support/traffic.js';

const IN_GUEST = process.env['CONNTRACK_GUEST'] === '1';
const NETFILTER = '/proc/sys/net/netfilter/nf_conntrack_';
const [MAJOR = 0, MINOR = 0] = release().split('.').map(Number);
const isSince = (major: number, minor: number) => MAJOR > major || (MAJOR === major && MINOR >= minor);

const read = (path: string) => readFileSync(path, 'utf8').trim();
const write = (path: string, value: number | string) => writeFileSync(path, `${value}\n`);

suite('doctor on a machine of its own', {
  skip: IN_GUEST ? false : 'limits of the whole machine are set here: only in a guest',
}, () => {
  let namespace: Namespace;
  let conntrack: Conntrack;
  before(async () => {
    namespace = await Namespace.create('alone');
    await namespace.nft('table inet track { chain seen { type filter hook output priority 0; ct state new counter; }; }');
    conntrack = await Conntrack.open({ netns: namespace.pid });
  });
  after(async () => {
    await conntrack?.close();
    await namespace?.close();
  });

  const find = (only: string[]): Promise<Diagnosis> => diagnose(conntrack, { only, sample: 500 });
  /** Looks while something goes on, until it shows: an emulated machine may get nothing done within a sample. */
  const seek = async (only: string[], during: () => Promise<unknown>, shows: (found: Diagnosis) => boolean, tries = 20) => {
    let over = false;
    const going = (async () => {
      while (!over) await during();
    })();
    let diagnosis = await find(only);
    for (let n = 0; n < tries && !shows(diagnosis); n++) diagnosis = await find(only);
    over = true;
    await going;
    return diagnosis;
  };
  const clashes = async () => (await conntrack.statistics()).reduce((sum, cpu) => sum + Number(cpu.clashResolve ?? 0), 0);
  const isSomething = ({ findings }: Diagnosis) => findings.length > 0;
  const one = ({ findings }: Diagnosis): Finding => {
    assert.equal(findings.length, 1, JSON.stringify(findings));
    return findings[0]!;
  };
  const mend = (diagnosis: Diagnosis) => {
    const { status, stderr } = spawnSync('sh', ['-e'], { input: fixesScript(diagnosis), encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  /** UDP flows, answered, of many sources: `count` of them from the one numbered `first`. */
  function* flows(first: number, count: number): Generator<NewFlow> {
    for (let n = first; n < first + count; n++)
      yield {
        protocol: 'udp',
        original: { src: `10.3.${n >> 14}.2`, dst: '198.51.100.9', sport: 1024 + (n & 0x3fff), dport: 53 },
        timeout: 600,
        status: ['SEEN_REPLY', 'ASSURED'],
      };
  }
  function* scan(count: number): Generator<NewFlow> {
    for (let n = 0; n < count; n++)
      yield { protocol: 'udp', original: { src: '10.1.9.200', dst: '198.51.100.9', sport: 1024 + n, dport: 9 }, timeout: 600 };
  }
  function* idle(count: number): Generator<NewFlow> {
    for (let n = 0; n < count; n++)
      yield {
        protocol: 'tcp',
        original: { src: '10.5.0.1', dst: '198.51.100.9', sport: 1024 + n, dport: 443 },
        state: 'ESTABLISHED',
        timeout: 200_000,
        status: ['SEEN_REPLY', 'ASSURED'],
      };
  }
  /** Sets limits meanwhile. */
  const withSettings = async (settings: Record<string, number>, work: () => Promise<void>) => {
    const before = Object.keys(settings).map((name) => [name, read(NETFILTER + name)] as const);
    try {
      for (const [name, value] of Object.entries(settings)) write(NETFILTER + name, value);
      await work();
    } finally {
      for (const [name, value] of before) write(NETFILTER + name, value);
      await conntrack.flush();
    }
  };

  test('a full table, and the limit that --fixes raises', () =>
    withSettings({ max: 2000 }, async () => {
      let port = 20_000;
      const knock = () =>
        namespace.ask('udpSend', ['127.0.0.1', port++], ['127.0.0.1', 9], { count: 1, size: 1, answers: false }).catch(() => {});
      await conntrack.createMany(scan(1050));
      await conntrack.createMany(idle(600));
      const nearly = await find(['table-full', 'table-nearly-full', 'scan', 'established-for-days']);
      assert.deepEqual(
        nearly.findings.map(({ title }) => title),
        [
          '1,650 of 2,000 entries (83 %)',
          '600 TCP connections, 36 % of the table, have been idle for more than a day',
          '10.1.9.200 has 1,050 flows, 100 % of them unanswered',
        ],
      );
      await conntrack.createMany(flows(0, 350));
      const full = await seek(['table-full', 'table-nearly-full'], knock, ({ findings }) =>
        /dropped|removed early/.test(findings[0]?.detail[0] ?? ''),
      );
      assert.match(one(full).title, /^the table is full: [12],\d\d\d of 2,000 entries$/);
      assert.match(
        one(full).detail[0]!,
        /^in \d+ seconds?, (\d+ new connections were dropped|\d+ flows? (was|were) removed early)/,
      );
      assert.match(one(full).fix[0]!, /^sysctl -w net\.netfilter\.nf_conntrack_max=4000 {2}# .*; on the host/);
      mend(full);
      assert.equal(read(`${NETFILTER}max`), '4000');
      const past = await find(['table-full', 'table-nearly-full', 'drops-in-the-past']);
      assert.deepEqual([one(past).id, one(past).severity], ['drops-in-the-past', 'info']);
    }));

  test('few buckets, and more of them by --fixes', () =>
    // A page holds 512 of them: there cannot be fewer.
    withSettings({ buckets: 512 }, async () => {
      await conntrack.createMany(flows(0, 2100));
      const diagnosis = await find(['few-buckets']);
      // Those of namespaces that have just ended count as well: the kernel frees them a little later.
      const told = /^([\d,]+) entries in 512 buckets: ([\d.]+) in each on average$/.exec(one(diagnosis).title);
      const entries = Number(told?.[1]?.replaceAll(',', ''));
      assert.ok(entries >= 2100, one(diagnosis).title);
      assert.equal(told?.[2], (entries / 512).toFixed(1));
      const wanted = 2 ** Math.ceil(Math.log2(entries));
      assert.ok(
        one(diagnosis).fix[0]!.startsWith(`sysctl -w net.netfilter.nf_conntrack_buckets=${wanted} `),
        one(diagnosis).fix[0],
      );
      mend(diagnosis);
      assert.equal(read(`${NETFILTER}buckets`), `${wanted}`);
      assert.deepEqual((await find(['few-buckets'])).fine, ['few-buckets']);
    }));

  const short = isSince(5, 16) ? false : 'this kernel lets chains grow: Linux 5.16 limits them';
  test('chains that are too long, and more buckets by --fixes', { skip: short }, () =>
    withSettings({ buckets: 512 }, async () => {
      // Each flow is in two chains; the kernel gives up at 50 to 80 entries in one.
      const many = await conntrack.createMany(flows(0, 13_000));
      assert.ok(many.failed > 0, JSON.stringify(many));
      let next = 13_000;
      const more = () => {
        next += 50;
        return conntrack.createMany(flows(next, 50));
      };
      const diagnosis = await seek(['chains-too-long'], more, isSomething);
      assert.equal(one(diagnosis).severity, 'error');
      assert.match(one(diagnosis).title, /^[\d,]+ new flows? (was|were) dropped in \d seconds?: their chain is too long$/);
      mend(diagnosis);
      assert.deepEqual(
        (await seek(['chains-too-long'], more, () => true)).findings.filter(({ severity }) => severity === 'error'),
        [],
      );
    }),
  );

  test('expectations without room, and room by --fixes', () =>
    withSettings({ expect_max: 20 }, async () => {
      for (let n = 0; n < 18; n++) {
        const master = { src: `10.4.0.${n + 1}`, dst: '198.51.100.9', protonum: 6, sport: 40_000, dport: 21 };
        await conntrack.create({ protocol: 'tcp', original: master, state: 'ESTABLISHED', timeout: 600, helper: 'ftp' });
        await conntrack.expectations.create({
          master,
          tuple: { src: master.dst, dst: master.src, protonum: 6, sport: 0, dport: 50_000 },
          mask: { src: '255.255.255.255', dst: '255.255.255.255', protonum: 6, sport: 0, dport: 65_535 },
          timeout: 600,
        });
      }
      const diagnosis = await find(['expectations-full']);
      assert.equal(one(diagnosis).title, 'helpers expect 18 connections, of 20 that are possible');
      assert.equal(one(diagnosis).detail[0], 'ftp expects 18 of them');
      mend(diagnosis);
      assert.deepEqual((await find(['expectations-full'])).fine, ['expectations-full']);
    }));

  test('a container whose receive buffer is limited, and --fixes on the host', async () => {
    const path = '/proc/sys/net/core/rmem_max';
    const before = read(path);
    const contained = async () => {
      const argv = ['unshare', '--user', '--map-root-user', '--net', UNDER_TEST, 'doctor'];
      const options = ['--only', 'receive-buffer-limited', '--sample', '500ms', '-o', 'json'];
      return JSON.parse((await namespace.run([...argv, ...options], { timeLimit: 120_000 })).stdout.toString()) as Diagnosis;
    };
    try {
      const diagnosis = await contained();
      assert.match(one(diagnosis).fix[0]!, /^sysctl -w net\.core\.rmem_max=16777216 /);
      mend(diagnosis);
      assert.deepEqual((await contained()).fine, ['receive-buffer-limited']);
    } finally {
      write(path, before);
    }
  });

  test('first packets of one flow at the same time, which the kernel sorts out', async () => {
    await namespace.nft('table ip slow { chain out { type filter hook output priority 0; udp dport 7050 queue num 0; }; }');
    let port = 10_000;
    const clash = async () => {
      await namespace.ask('udpClash', ['127.0.0.1', port], ['127.0.0.1', 7050], 3);
      port += 3;
    };
    assert.deepEqual((await find(['clashes'])).fine, ['clashes']);
    const before = await clashes();
    const diagnosis = await seek(['clashes'], clash, isSomething);
    assert.equal(one(diagnosis).severity, 'info');
    const [, found] = /^([\d,]+) clash(?:es)? of new flows in \d+ seconds?, all resolved$/.exec(one(diagnosis).title) ?? [];
    assert.ok(Number(found?.replace(',', '')) <= (await clashes()) - before, one(diagnosis).title);
    await namespace.must(['nft', 'delete', 'table', 'ip', 'slow']);
  });

  test('offloaded flows without counters, and with them', async () => {
    const client = await Namespace.create('client');
    const server = await Namespace.create('server');
    const router = await Namespace.create('router');
    try {
      await joinByRouter(client, router, server);
      await server.ask('tcpServe', SERVER, 80);
      await router.sysctl({ 'net.netfilter.nf_conntrack_acct': 1 });
      await using table = await Conntrack.open({ netns: router.pid });
      const rules = (counter: string) => `
        table inet fast {
          flowtable f { hook ingress priority 0; devices = { north, south }; ${counter} }
          chain forward { type filter hook forward priority 0; ip protocol tcp flow add @f; }
        }`;
      let port = 40_000;
      const look = async () => {
        const connection = await client.ask('tcpConnect', [CLIENT, port++], [SERVER, 80]);
        for (let n = 0; n < 3; n++) await client.ask('tcpSay', connection, 'hello');
        let over = false;
        const going = (async () => {
          while (!over) await client.ask('tcpSay', connection, 'hello');
        })();
        const diagnosis = await diagnose(table, { only: ['offload-without-counters'], sample: 500 });
        over = true;
        await going;
        return diagnosis;
      };
      await router.nft(rules(''));
      const finding = one(await look());
      assert.deepEqual(
        [finding.severity, finding.title, finding.detail[0]],
        ['info', '1 offloaded flow has counters that stand still', 'of 1 offloaded flow; what they carry is told nowhere'],
      );
      await router.must(['nft', 'delete', 'table', 'inet', 'fast']);
      await table.flush();
      await router.nft(rules('counter;'));
      assert.deepEqual((await look()).fine, ['offload-without-counters']);
    } finally {
      for (const one of [client, router, server]) await one.close();
    }
  });

  // Last: nothing of the table works meanwhile.
  test('a machine without netlink for connection tracking', async () => {
    const path = '/proc/sys/kernel/modprobe';
    const before = read(path);
    const doctor = async () => {
      const { status, stdout } = await namespace.run([UNDER_TEST, 'doctor', '--sample', '500ms', '-o', 'json'], {
        timeLimit: 120_000,
      });
      return { status, ...(JSON.parse(stdout.toString()) as Diagnosis) };
    };
    await conntrack.close();
    try {
      write(path, '/bin/false');
      assert.equal(spawnSync('rmmod', ['nf_conntrack_netlink']).status, 0);
      const { status, findings, unchecked, fine } = await doctor();
      assert.equal(status, 1);
      assert.deepEqual(
        findings.map(({ id, severity }) => [id, severity]),
        [['no-conntrack', 'error']],
      );
      assert.ok(unchecked.length > 20);
      assert.deepEqual(fine, ['no-privilege']);
    } finally {
      write(path, before);
    }
    assert.ok(!(await doctor()).findings.some(({ id }) => id === 'no-conntrack'), 'the kernel loads it again');
  });
});
