// The doctor on the kernel: each condition is made in private namespaces with rules and real traffic, and found with the right numbers;
// what --fixes prints is run, and the finding is gone; a healthy router with traffic gives none. What needs a machine of its own is in
// test/kernels/doctor-machine.test.ts: limits of all network namespaces, modules, flowtables, and first packets that meet on two processors.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { diagnose } from '../../src/doctor/diagnose.js';
import { fixesScript } from '../../src/doctor/diagnosis-text.js';
import type { Fact, FlowExplanation } from '../../src/doctor/explanation.js';
import type { Diagnosis, Finding } from '../../src/doctor/finding.js';
import { Conntrack, type NewFlow } from '../../src/index.js';
import { sessionOf, trackedFamilies } from '../../src/library/index.js';
import { count } from '../../src/units.js';
import { Namespace } from '../support/namespace.js';
import { AS_NOBODY, EXECUTABLE, PROJECT, requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { alone } from '../support/table-limit.js';
import { CLIENT, joinByRouter, SERVER, tcpSyn } from '../support/traffic.js';

/** Addresses of the router on the side of the server. */
const OUTSIDE = '10.8.0.1';
const SECOND = '10.8.0.5';
/** Nobody has them. */
const NOBODY = '10.8.0.66';
const GONE_TARGET = '10.8.0.67';

const RULES = `
table ip nat {
  chain pre {
    type nat hook prerouting priority dstnat;
    udp dport 7100 dnat to ${GONE_TARGET}
  }
  chain post {
    type nat hook postrouting priority srcnat;
    oifname "south" udp dport 7004 masquerade to :40000-40099
    oifname "south" tcp dport 7005 masquerade to :41000-41000
    oifname "south" masquerade
  }
}
table ip lost { chain post { type nat hook postrouting priority srcnat - 1; oifname "south" udp dport 7003 snat to ${SECOND}; }; }
table ip6 tracking { chain pass { type filter hook forward priority 0; ct state new accept; }; }
`;

/** A folder in which `conntrack` is the command under test, for scripts. */
let bin: string;

before(() => {
  requirePrerequisites();
  bin = mkdtempSync(join(tmpdir(), 'conntrack-doctor-'));
  symlinkSync(UNDER_TEST, join(bin, 'conntrack'));
});
after(() => rmSync(bin, { recursive: true, force: true }));

/** Runs what mends the findings, as somebody would. */
function mend(diagnosis: Diagnosis): void {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const script = fixesScript(diagnosis);
  // Deletions list what they delete.
  const { status, stderr } = spawnSync('sh', ['-e'], {
    input: script,
    stdio: ['pipe', 'ignore', 'pipe'],
    encoding: 'utf8',
    env: { ...env, PATH: `${bin}:${process.env['PATH']}` },
  });
  assert.equal(status, 0, `${script}\n${stderr}`);
}

/** Does something again and again until told to stop. */
async function meanwhile<T>(work: () => Promise<unknown>, until: Promise<T>): Promise<T> {
  let over = false;
  const going = (async () => {
    while (!over) {
      await work();
      await sleep(50);
    }
  })();
  try {
    return await until;
  } finally {
    over = true;
    await going;
  }
}

suite('doctor', { skip: SELF_TEST ? 'what is tested is not in the reference' : false }, () => {
  suite('of a router', () => {
    let client: Namespace;
    let router: Namespace;
    let server: Namespace;
    let conntrack: Conntrack;
    /** The next source port. */
    let port = 20_000;

    before(async () => {
      client = await Namespace.create('client');
      router = await Namespace.create('router');
      server = await Namespace.create('server');
      await joinByRouter(client, router, server);
      await router.must(['ip', 'address', 'add', `${SECOND}/24`, 'dev', 'south']);
      await router.sysctl({
        'net.netfilter.nf_conntrack_acct': 1,
        'net.netfilter.nf_conntrack_timestamp': 1,
        'net.netfilter.nf_conntrack_events': 1,
        'net.netfilter.nf_conntrack_udp_timeout': 600,
      });
      await router.nft(RULES);
      conntrack = await Conntrack.open({ netns: router.pid });
      await server.ask('udpServe', SERVER, 7001);
      for (const silent of [7002, 7003, 7004]) await server.ask('udpServe', SERVER, silent, true);
      await server.ask('tcpServe', SERVER, 80);
      await server.ask('tcpServe', SERVER, 7005);
    });
    after(async () => {
      await conntrack?.close();
      for (const namespace of [client, router, server]) await namespace?.close();
    });

    /** What one check finds, while something goes on. */
    const find = async (id: string, during?: () => Promise<unknown>, sample = 700): Promise<Diagnosis> => {
      const diagnosis = () => diagnose(conntrack, { only: [id], sample });
      if (!during) return diagnosis();
      // A slow machine may get nothing done within a sample.
      const look = async () => {
        let found = await diagnosis();
        for (let n = 0; n < 10 && found.findings.length === 0; n++) found = await diagnosis();
        return found;
      };
      return meanwhile(during, look());
    };
    const one = ({ findings }: Diagnosis): Finding => {
      assert.equal(findings.length, 1, JSON.stringify(findings));
      return findings[0]!;
    };
    const send = (to: number, from: number, count: number, answers: boolean, address = SERVER) =>
      client.ask('udpSend', [CLIENT, from], [address, to], { count, size: 40, answers });
    const empty = () => conntrack.flush();

    test('nothing is wrong with traffic that is answered', async () => {
      const connection = await client.ask('tcpConnect', [CLIENT, 30_001], [SERVER, 80]);
      const talk = async () => {
        await client.ask('tcpSay', connection, 'hello');
        await send(7001, port++, 5, true);
      };
      await using listener = conntrack.events();
      const diagnosis = await meanwhile(talk, diagnose(conntrack, { sample: 1500, except: ['kernel-knows-less'] }));
      await listener.close();
      await client.ask('tcpClose', connection, 'end');
      assert.deepEqual(diagnosis.findings, []);
      // Without nfnetlink_hook, flows in the table say that it tracks.
      assert.deepEqual(
        diagnosis.unchecked.map(({ id }) => id),
        ['node-too-old', 'slow-start'],
      );
      assert.ok(diagnosis.seconds >= 1.49 && diagnosis.seconds < 6, `${diagnosis.seconds}`);
      assert.ok(await conntrack.count().then(({ entries }) => entries > 3));
    });

    test('settings that are off, one by one, and --fixes', async () => {
      const off = { acct: 'accounting-off', timestamp: 'timestamps-off', events: 'events-off' };
      for (const [name, id] of Object.entries(off)) {
        await router.sysctl({ [`net.netfilter.nf_conntrack_${name}`]: 0 });
        const diagnosis = await find(id);
        assert.equal(
          one(diagnosis).fix[0]?.startsWith(`nsenter -t ${router.pid} -n sysctl -w net.netfilter.nf_conntrack_${name}=1`),
          true,
        );
        mend(diagnosis);
        assert.deepEqual((await find(id)).fine, [id]);
        assert.equal((await router.ask('read', `/proc/sys/net/netfilter/nf_conntrack_${name}`)).trim(), '1');
      }
    });

    test('events for nobody', async (t) => {
      try {
        await router.sysctl({ 'net.netfilter.nf_conntrack_events': 2 });
      } catch (error) {
        if (!(error instanceof Error && error.message.includes('EINVAL'))) throw error;
        return t.skip('this kernel has no such setting: Linux 5.19 has');
      }
      const diagnosis = await find('events-auto');
      one(diagnosis);
      const listener = conntrack.events();
      assert.deepEqual((await find('events-auto')).findings, [], 'somebody listens');
      await listener.close();
      mend(diagnosis);
      assert.deepEqual((await find('events-auto')).findings, []);
      return undefined;
    });

    for (const accounting of [1, 0])
      test(`one-way UDP, ${accounting ? 'with' : 'without'} counters`, async () => {
        await empty();
        await router.sysctl({ 'net.netfilter.nf_conntrack_acct': accounting, 'net.netfilter.nf_conntrack_timestamp': 0 });
        const froms = [port++, port++, port++];
        const during = () => Promise.all(froms.map((from) => send(7002, from, 1, false)));
        const still = port++;
        await send(7002, still, 1, false); // does not go on
        await send(7001, port++, 1, true);
        await during();
        const diagnosis = await find('one-way-udp', during, accounting ? 700 : 2200);
        const finding = one(diagnosis);
        assert.equal(finding.severity, 'warning');
        assert.equal(finding.title, `3 UDP flows go on to ${SERVER}:7002, and nothing ever came back`);
        assert.ok(finding.detail[0]?.startsWith(`one of them from ${CLIENT};`), finding.detail[0]);
        mend(diagnosis);
        assert.equal((await conntrack.count('udp and dst port 7002')).entries, 0);
        assert.equal((await conntrack.count('udp and dst port 7001')).entries, 1);
        assert.deepEqual((await find('one-way-udp')).findings, []);
        await router.sysctl({ 'net.netfilter.nf_conntrack_acct': 1, 'net.netfilter.nf_conntrack_timestamp': 1 });
      });

    test('a sender that goes on: stuck with the rules of then, and one whose counterpart is silent', async () => {
      await empty();
      await router.sysctl({ 'net.netfilter.nf_conntrack_timestamp': 0 });
      const from = port++;
      const during = () => send(7002, from, 1, false);
      await during();
      // From now on somebody would answer.
      await router.nft(
        'table ip later { chain pre { type nat hook prerouting priority dstnat - 1; udp dport 7002 dnat to :7001; }; }',
      );
      const stuck = await find('one-way-udp', during);
      assert.match(one(stuck).fix[0]!, / conntrack -D --filter /);
      const mended = async () => {
        mend(stuck);
        return diagnose(conntrack, { only: ['one-way-udp'], sample: 700 });
      };
      assert.deepEqual((await meanwhile(during, mended())).findings, [], 'it goes on, and is answered');
      await router.must(['nft', 'delete', 'table', 'ip', 'later']);
      await empty();
      await router.sysctl({ 'net.netfilter.nf_conntrack_timestamp': 1 });
      const silent = await find('one-way-udp', during);
      assert.match(
        one(silent).detail[0]!,
        /; it began less than 30 seconds ago: the other end, or the way to it, does not answer$/,
      );
      assert.ok(
        one(silent).fix.every((line) => line.startsWith('#')),
        'to delete it would be in vain',
      );
    });

    test('an address of source NAT that is gone', async () => {
      await empty();
      const alive = port;
      for (let n = 0; n < 4; n++) await send(7003, port++, 1, false);
      await send(7001, port++, 1, true);
      assert.deepEqual((await find('snat-address-gone')).findings, []);
      await router.must(['ip', 'address', 'del', `${SECOND}/24`, 'dev', 'south']);
      try {
        // Packets that go on without an answer do not make it alive.
        const diagnosis = await find('snat-address-gone', () => send(7003, alive, 1, false));
        const finding = one(diagnosis);
        assert.equal(finding.title, `4 flows are still translated to ${SECOND}, which this host no longer has`);
        // An address that is routed here is as good as one of an interface.
        await router.must(['ip', 'route', 'add', 'local', `${SECOND}/32`, 'dev', 'lo']);
        assert.deepEqual((await find('snat-address-gone')).findings, []);
        await router.must(['ip', 'route', 'del', 'local', `${SECOND}/32`, 'dev', 'lo']);
        mend(diagnosis);
        assert.deepEqual((await find('snat-address-gone')).findings, []);
        assert.equal((await conntrack.count()).entries, 1, 'others are left alone');
        // As long as a rule gives the address, flows come back with it; the doctor says so, and once only.
        const during = () => send(7003, port++, 1, false);
        const both = () => diagnose(conntrack, { only: ['snat-address-gone', 'one-way-udp'], sample: 700 });
        await during();
        let again = one(await meanwhile(during, both()));
        for (let n = 0; n < 10 && again.detail.length < 3; n++) again = one(await meanwhile(during, both()));
        assert.equal(again.id, 'snat-address-gone');
        assert.match(again.detail[1]!, /^\d+ of them began during the sample: a rule still gives that address$/);
        assert.match(again.fix[1]!, /^# .*nft list ruleset \| grep -F 10\.8\.0\.5$/);
        await router.must(['nft', 'delete', 'table', 'ip', 'lost']);
        mend({ ...diagnosis, findings: [again] });
        assert.deepEqual((await meanwhile(during, both())).findings, []);
      } finally {
        await router.must(['ip', 'address', 'add', `${SECOND}/24`, 'dev', 'south']);
      }
    });

    test('a target of destination NAT that does not answer', async () => {
      await empty();
      for (let n = 0; n < 3; n++) await send(7100, port++, 1, false, OUTSIDE);
      let diagnosis = await find('dnat-target-gone');
      // The kernel asks for the neighbour three times.
      for (let n = 0; n < 20 && diagnosis.findings.length === 0; n++) diagnosis = await find('dnat-target-gone');
      const finding = one(diagnosis);
      assert.equal(finding.title, `3 flows are translated to ${GONE_TARGET}, which does not answer`);
      assert.equal(finding.detail[0], 'it does not answer on the link (ip neighbour: FAILED)');
      mend(diagnosis);
      assert.deepEqual((await find('dnat-target-gone')).findings, []);
    });

    test('scarce ports of source NAT', async () => {
      await empty();
      for (let n = 0; n < 70; n++) await send(7004, port++, 1, false);
      assert.deepEqual(
        (await find('snat-ports-scarce')).findings.map(({ severity }) => severity).filter((s) => s === 'error'),
        [],
      );
      for (let n = 0; n < 28; n++) await send(7004, port++, 1, false);
      const finding = one(await find('snat-ports-scarce'));
      assert.match(finding.title, new RegExp(`^98 of (9[89]|100) ports of ${OUTSIDE} are in use for ${SERVER}:7004$`));
      assert.match(
        finding.detail[0]!,
        /^the rule seems to give ports 400\d\d to 400\d\d: 100 % of the flows came with another port$/,
      );
      assert.equal(finding.severity, 'error');
    });

    test('connections that nobody answers', async () => {
      await empty();
      for (let n = 0; n < 25; n++) await client.ask('rawSend', 6, CLIENT, NOBODY, tcpSyn(CLIENT, NOBODY, port++, 443));
      const finding = one(await find('unanswered-syns'));
      assert.equal(finding.severity, 'warning');
      assert.equal(finding.title, '25 TCP connections wait for a first answer');
      assert.equal(finding.detail[0], `to ${NOBODY}:443 (25)`);
    });

    test('packets that belong to nothing', async () => {
      await empty();
      // FIN of a connection that nobody knows, with SYN: no TCP.
      const nonsense = tcpSyn(CLIENT, SERVER, port, 80);
      nonsense[13] = 0x03;
      const sum = nonsense.readUInt16BE(16) - 1; // one more bit among what is summed
      nonsense.writeUInt16BE(sum < 0 ? sum + 0xffff : sum, 16);
      const during = async () => {
        for (let n = 0; n < 20; n++) await client.ask('rawSend', 6, CLIENT, SERVER, nonsense);
      };
      const diagnosis = await find('invalid-packets', during);
      const finding = one(diagnosis);
      assert.match(finding.title, /^\d+ packets in \d+ seconds? \([\d.,]+ a second\) belong to no flow and cannot begin one$/);
      mend(diagnosis); // has them logged, which shows what they are and ends none
      assert.equal((await router.ask('read', '/proc/sys/net/netfilter/nf_conntrack_log_invalid')).trim(), '255');
      assert.deepEqual(one(await find('invalid-packets', during)).fix, []);
      await router.sysctl({ 'net.netfilter.nf_conntrack_log_invalid': 0 });
      assert.deepEqual((await find('invalid-packets')).fine, ['invalid-packets']);
    });

    test('connections that find their outside port taken', async () => {
      await empty();
      await client.ask('tcpConnect', [CLIENT, port++], [SERVER, 7005]);
      assert.deepEqual((await find('insert-failed')).findings, []);
      let sent = 0;
      const during = async () => {
        for (let n = 0; n < 5; n++, sent++) await client.ask('rawSend', 6, CLIENT, SERVER, tcpSyn(CLIENT, SERVER, port++, 7005));
      };
      const finding = one(await find('insert-failed', during));
      assert.equal(finding.severity, 'warning');
      const [, failed] =
        /^(\d+) new flows? could not be inserted in \d+ seconds?: packets were dropped$/.exec(finding.title) ?? [];
      assert.ok(Number(failed) > 0 && Number(failed) <= sent, finding.title);
      assert.equal((await conntrack.count('tcp and dst port 7005')).entries, 1);
    });

    test('a listener that loses events', async () => {
      await empty();
      const handle = await router.start([UNDER_TEST, '-E', '-b', '4096']);
      while (!(await router.ask('written', handle)).stderr.toString().includes('receive buffer')) await sleep(50);
      await router.ask('signal', handle, 'SIGSTOP');
      const during = async () => {
        const from = port;
        port += 50;
        for (let n = 0; n < 50; n++) await send(7001, from + n, 1, true);
      };
      const finding = one(await find('listener-loses-events', during, 1500));
      assert.equal(finding.severity, 'warning');
      assert.match(
        finding.title,
        /^\S+ \(process \d+\) lost [\d,]+ messages of events in \d+ seconds?, [\d,]+ since it listens$/,
      );
      const quiet = one(await find('listener-loses-events'));
      assert.equal(quiet.severity, 'info');
      assert.match(quiet.title, /^\S+ \(process \d+\) has lost [\d,]+ messages of events, but none in \d+ seconds?$/);
      await router.ask('signal', handle, 'SIGCONT');
      await router.ask('signal', handle, 'SIGINT');
      await router.ask('finish', handle);
    });

    test('helpers that get nothing, and --fixes', async (t) => {
      await empty();
      await server.ask('tcpServe', SERVER, 21, 'ftp', 30_100);
      const ftp = () => client.ask('tcpConnect', [CLIENT, port++], [SERVER, 21]);
      await ftp();
      await ftp();
      // Who is not answered misses no helper.
      const silent = { src: '10.9.9.9', dst: '192.0.2.9', sport: 1000, dport: 21 };
      await conntrack.create({ protocol: 'tcp', original: silent, state: 'SYN_SENT', timeout: 600 });
      const diagnosis = await find('helpers-unused');
      if (diagnosis.fine.length > 0) return t.skip('this kernel has no helper for FTP');
      assert.equal(one(diagnosis).title, 'nf_conntrack_ftp reads nothing: 2 flows to tcp port 21 and none with the helper ftp');
      mend(diagnosis);
      await empty();
      await ftp();
      assert.equal((await conntrack.count({ helper: 'ftp' })).entries, 1);
      assert.deepEqual((await find('helpers-unused')).findings, []);
      return undefined;
    });

    test('labels that have names and no room, and --fixes', async () => {
      await empty();
      await router.labels('1 known\n');
      await send(7001, port++, 1, true);
      // The file is that of the mount namespace, so the command runs there.
      const doctor = async () => JSON.parse((await runHere('--only', 'labels-without-room', '-o', 'json')).stdout) as Diagnosis;
      const diagnosis = await doctor();
      assert.equal(one(diagnosis).title, 'labels have names, but none of 1 flow has one');
      const label = () => router.run([UNDER_TEST, '-U', '-p', 'udp', '--label-add', 'known']);
      assert.equal((await label()).status, 1, 'there is no room');
      await router.must(['sh', '-e'], { input: Buffer.from(fixesScript(diagnosis)) });
      await empty();
      await send(7001, port++, 1, true);
      assert.equal((await label()).status, 0);
      assert.deepEqual((await doctor()).findings, []);
    });

    test('explanations: a translated flow, one that goes on in vain, both ends here, by id and by ends', async () => {
      await empty();
      const from = port++;
      const explain = async (...args: string[]) => {
        const { status, stdout, stderr } = await router.run([UNDER_TEST, 'explain', ...args, '-o', 'json']);
        return {
          status,
          stderr: stderr.toString(),
          ...(JSON.parse(stdout.toString()) as { explanations: FlowExplanation[]; more: number }),
        };
      };
      const about = ({ facts }: FlowExplanation, what: Fact['about']) =>
        facts.filter((fact) => fact.about === what).map(({ text }) => text);
      const connection = await client.ask('tcpConnect', [CLIENT, from], [SERVER, 80]);
      await client.ask('tcpSay', connection, 'hello');
      const { explanations } = await explain(`tcp ${CLIENT}:${from} > ${SERVER}:80`);
      const [tcp] = explanations;
      assert.deepEqual(tcp!.picture, [
        `${CLIENT}:${from} ──► [ this host: source becomes ${OUTSIDE}:${from} ] ──► ${SERVER}:80`,
        `${CLIENT}:${from} ◄── [ this host: destination becomes ${CLIENT}:${from} ] ◄── ${SERVER}:80`,
      ]);
      assert.match(
        about(tcp!, 'timeout')[0]!,
        /^it ends 5 days after its last packet \(net\.netfilter\.nf_conntrack_tcp_timeout_established = 432000\); 4 days 23 hours left$/,
      );
      assert.match(about(tcp!, 'counters')[0]!, /^\d packets and \d+ B went out, \d packets and \d+ B came back$/);
      assert.deepEqual(about(tcp!, 'process'), [], 'this host is no end of it');
      assert.deepEqual(tcp!.problems, []);
      const again = await explain(String(tcp!.id));
      assert.equal(again.explanations[0]?.title, tcp!.title);

      const lost = port++;
      await send(7002, lost, 1, false);
      const vain = await meanwhile(() => send(7002, lost, 1, false), explain('udp and dst port 7002'));
      assert.deepEqual(
        vain.explanations[0]?.problems.map(({ id }) => id),
        ['one-way-udp'],
      );
      assert.equal(vain.explanations[0]?.picture[1], `${CLIENT}:${lost} ◄── nothing has come back from ${SERVER}:7002`);

      // This host as client and as server.
      await router.ask('udpServe', OUTSIDE, 7200);
      await router.ask('tcpServe', OUTSIDE, 7201);
      const own = await router.ask('tcpConnect', [OUTSIDE, port++], [SERVER, 80]);
      const other = await server.ask('tcpConnect', [SERVER, port++], [OUTSIDE, 7201]);
      await server.ask('udpSend', [SERVER, port++], [OUTSIDE, 7200], { count: 1, size: 1, answers: true });
      for (const [filter, end] of [
        [`src ${OUTSIDE} and dst port 80`, 'the client'],
        ['tcp and dst port 7201', 'the server'],
        ['udp and dst port 7200', 'the server'],
      ] as const) {
        const [one] = (await explain(filter)).explanations;
        const [text] = about(one!, 'process');
        assert.match(text!, new RegExp(`^${end} is this host: it belongs to \\S+ \\(process ${router.agentPid}\\)$`), filter);
      }
      await router.ask('tcpClose', own, 'end');
      await server.ask('tcpClose', other, 'end');
      await client.ask('tcpClose', connection, 'end');
      const some = await explain('tcp or udp', '--limit', '1');
      assert.equal(some.explanations.length, 1);
      assert.ok(some.more >= 3, `${some.more}`);
      const none = await explain('id 1 and mark 77');
      assert.deepEqual([none.status, none.explanations, none.stderr], [1, [], 'conntrack: explain: no flow matches\n']);
    });

    test('a slow start, and what --fixes says of it', async () => {
      const look = '"$0" doctor --only slow-start --sample 500ms';
      const script = `${look} --fixes >"$1"; cat "$1"; . "$1"; ${look}`;
      const fixes = join(mkdtempSync(`${tmpdir()}/conntrack-fixes-`), 'fixes');
      try {
        const { status, stdout } = await router.run([
          'env',
          'NODE_EXTRA_CA_CERTS=/dev/null',
          'sh',
          '-c',
          script,
          UNDER_TEST,
          fixes,
        ]);
        assert.equal(status, 0);
        assert.match(
          stdout.toString(),
          /slow-start: NODE_EXTRA_CA_CERTS is set[^\n]*\nunset NODE_EXTRA_CA_CERTS [^\n]*\n fine +1 check found nothing/,
        );
      } finally {
        rmSync(dirname(fixes), { recursive: true });
      }
    });

    test('the command: text, exit statuses, --fixes, --list, mistakes', async () => {
      await empty();
      await send(7001, port++, 1, true);
      const fine = await runHere('--only', 'accounting-off,clashes');
      assert.equal(fine.stdout, ' fine     2 checks found nothing (clashes and accounting-off)\n');
      assert.equal(fine.status, 0);
      await router.sysctl({ 'net.netfilter.nf_conntrack_acct': 0, 'net.netfilter.nf_conntrack_events': 0 });
      assert.equal((await runHere('--only', 'accounting-off')).status, 0, 'info is no alarm');
      const found = await runHere('--only', 'accounting-off', '--only', 'events-off', '--sample', '500ms');
      assert.equal(found.status, 1);
      assert.equal(
        found.stdout,
        ` warning  events-off           the kernel sends no events of flows
          conntrack -E is silent, and short flows are missing in records
          fix: sysctl -w net.netfilter.nf_conntrack_events=1
               # counts for flows that begin afterwards
 info     accounting-off       flows have no packet and byte counters
          conntrack top shows no rates, and records have no bytes
          fix: sysctl -w net.netfilter.nf_conntrack_acct=1
               # counts for flows that begin afterwards
 fine     nothing else was checked
`,
      );
      const script = await runHere('--only', 'accounting-off,events-off', '--fixes');
      await router.must(['sh', '-e'], { input: Buffer.from(script.stdout) });
      assert.equal((await runHere('--only', 'accounting-off,events-off')).status, 0);
      for (const [args, message] of [
        [['--only', 'accounting-of'], /--only: there is no check 'accounting-of'; did you mean accounting-off\?/],
        [['--sample', '0.1'], /--sample must be a number of seconds/],
        [['tcp'], /one word too many/],
        [['--fixes', '-o', 'json'], /--fixes is a script/],
      ] as const) {
        const { status, stderr } = await runHere(...args);
        assert.match(stderr, message);
        assert.equal(status, 2);
      }
    });

    const doctor = [UNDER_TEST, 'doctor', '--sample', '500ms', '-o', 'json'];
    const diagnosisOf = ({ stdout }: { readonly stdout: Buffer }) => JSON.parse(stdout.toString()) as Diagnosis;

    test('without /proc', { skip: EXECUTABLE ? 'Bun ends with an abort where there is no /proc' : false }, async () => {
      const noProc = await router.run(['unshare', '--mount', 'sh', '-c', 'umount -l /proc && exec "$@"', 'sh', ...doctor]);
      const blind = diagnosisOf(noProc);
      assert.equal(noProc.status, 3, noProc.stderr.toString());
      assert.ok(
        blind.unchecked.some(
          ({ id, reason }) => id === 'accounting-off' && reason === '/proc/sys/net/netfilter: it is not there',
        ),
      );
      assert.ok(blind.fine.includes('table-full') && blind.fine.includes('snat-address-gone'));
    });

    test('without privilege, in a user namespace', async () => {
      const nobody = await router.run([...AS_NOBODY, ...doctor]);
      assert.equal(nobody.status, 1);
      const { findings, unchecked } = diagnosisOf(nobody);
      assert.deepEqual(
        findings.map(({ id, severity }) => [id, severity]),
        [['no-privilege', 'error']],
      );
      assert.ok(unchecked.length > 20);
      const contained = await router.run(['unshare', '--user', '--map-root-user', '--net', ...doctor]);
      const { findings: inside } = diagnosisOf(contained);
      assert.deepEqual(
        inside.filter(({ id }) => ['no-privilege', 'receive-buffer-limited'].includes(id)).map(({ id }) => id),
        ['receive-buffer-limited'],
      );
      // In the user namespace alone, the network namespace is that of another owner.
      const foreign = diagnosisOf(await router.run(['unshare', '--user', '--map-root-user', ...doctor]));
      assert.equal(foreign.findings[0]?.id, 'no-privilege');
      assert.match(foreign.findings[0]!.detail[1]!, /user namespace/);
    });

    const runHere = async (...args: string[]) => {
      const { status, stdout, stderr } = await router.run([
        UNDER_TEST,
        'doctor',
        ...(args.includes('--sample') ? [] : ['--sample', '500ms']),
        ...args,
      ]);
      return { status, stdout: stdout.toString(), stderr: stderr.toString() };
    };
  });

  suite('of a table', () => {
    let namespace: Namespace;
    let conntrack: Conntrack;
    before(async () => {
      namespace = await Namespace.create('table');
      conntrack = await Conntrack.open({ netns: namespace.pid });
    });
    after(async () => {
      await conntrack?.close();
      await namespace?.close();
    });

    test('nothing is tracked without a rule, and --fixes', async () => {
      await using other = await Namespace.create('peer');
      const input = Buffer.from(
        `link add east type veth peer name eth0 netns ${other.pid}\naddress add 10.9.0.1/24 dev east\nlink set east up\n`,
      );
      await namespace.must(['ip', '-batch', '-'], { input });
      await other.must(['ip', 'address', 'add', '10.9.0.2/24', 'dev', 'eth0']);
      await other.must(['ip', 'link', 'set', 'eth0', 'up']);
      await other.ask('udpServe', '10.9.0.2', 7001);
      let port = 30_000;
      const talk = () =>
        namespace.ask('udpSend', ['10.9.0.1', port++], ['10.9.0.2', 7001], { count: 3, size: 10, answers: true });
      const find = () => meanwhile(talk, diagnose(conntrack, { only: ['nothing-tracked'], sample: 700 }));
      const diagnosis = await find();
      // Where the kernel lists its hooks (nfnetlink_hook), they say so; elsewhere, packets that leave no trace.
      const { ipv4 } = await trackedFamilies(sessionOf(conntrack).table);
      const how = ipv4 === undefined ? /^nothing is tracked: \d+ packets went by/ : /^nothing is tracked: the table stays empty$/;
      assert.match(diagnosis.findings[0]?.title ?? '', how);
      assert.equal(diagnosis.findings[0]?.severity, 'warning');
      mend(diagnosis);
      assert.deepEqual((await find()).fine, ['nothing-tracked']);
      assert.ok((await conntrack.count()).entries > 0);
    });

    const slow = SLOWNESS > 1 ? 'it takes minutes here; doctor-machine.test.ts lowers the limit instead' : false;
    test('many flows: a nearly full table, a scan, connections idle for days; and then drops', { skip: slow }, async () => {
      await alone(async () => {
        const { maxEntries = 0 } = await conntrack.count();
        assert.ok(maxEntries >= 32_768, `${maxEntries}`);
        const most = Math.floor(0.824 * maxEntries);
        const idle = Math.floor(0.28 * most);
        await conntrack.flush();
        const flows = function* (): Generator<NewFlow> {
          for (let n = 0; n < most; n++) {
            const isIdle = n < idle;
            const scan = !isIdle && n < idle + 4000;
            const original = {
              src: scan ? '10.1.9.200' : `10.2.${(n >> 8) & 0xff}.${n & 0xff}`,
              dst: `198.18.${(n >> 14) & 0xff}.1`,
              sport: 1024 + (n & 0x3fff),
              dport: 443,
            };
            if (scan) yield { protocol: 'udp', original, timeout: 600 };
            else
              yield {
                protocol: 'tcp',
                original,
                state: 'ESTABLISHED',
                timeout: isIdle ? 200_000 : 430_000,
                status: ['SEEN_REPLY', 'ASSURED'],
              };
          }
        };
        const { created } = await conntrack.createMany(flows());
        assert.equal(created, most);
        const only = ['table-nearly-full', 'table-full', 'scan', 'established-for-days', 'drops-in-the-past'];
        const { findings } = await diagnose(conntrack, { only, sample: 500 });
        assert.deepEqual(
          findings.map(({ severity, title }) => [severity, title]),
          [
            ['warning', `${count(most)} of ${count(maxEntries)} entries (82 %)`],
            ['warning', `${count(idle)} TCP connections, 28 % of the table, have been idle for more than a day`],
            ['warning', '10.1.9.200 has 4,000 flows, 100 % of them unanswered'],
          ],
        );
        assert.match(
          findings[0]!.fix[0]!,
          new RegExp(`^sysctl -w net\\.netfilter\\.nf_conntrack_max=${2 * maxEntries} {2}# .*on the host`),
        );
        const rest = function* (): Generator<NewFlow> {
          for (let n = 0; n < maxEntries - most; n++)
            yield {
              protocol: 'udp',
              original: { src: `10.3.${n >> 14}.2`, dst: '198.51.100.9', sport: 1024 + (n & 0x3fff), dport: 53 },
              timeout: 600,
              status: ['SEEN_REPLY', 'ASSURED'],
            };
        };
        await conntrack.createMany(rest());
        // New connections now find no room.
        let port = 40_000;
        const knock = () =>
          namespace
            .ask('udpSend', ['127.0.0.1', port++], ['127.0.0.1', 9], { count: 1, size: 1, answers: false })
            .catch(() => {});
        const full = await meanwhile(knock, diagnose(conntrack, { only, sample: 700 }));
        const [worst] = full.findings;
        assert.equal(worst?.id, 'table-full');
        assert.match(worst.title, new RegExp(`^the table is full: [\\d,]+ of ${count(maxEntries)} entries$`));
        assert.match(
          worst.detail[0]!,
          /^in \d+ seconds?, (\d+ new connections were dropped|\d+ flows? (was|were) removed early)/,
        );
        // What mends the scan, and the connections.
        mend({ ...full, findings: full.findings.filter(({ id }) => ['scan', 'established-for-days'].includes(id)) });
        assert.equal((await conntrack.count('src 10.1.9.200')).entries, 0);
        const after = await diagnose(conntrack, { only, sample: 500 });
        assert.deepEqual(
          after.findings.map(({ id, severity }) => [id, severity]),
          [['drops-in-the-past', 'info']],
        );
        await conntrack.flush();
      });
    });
  });

  test('all network namespaces at once', () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(PROJECT, 'bin/conntrack'), 'doctor', '--netns', 'all', '-o', 'json', '--sample', '500ms'],
      {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] },
      },
    );
    const { findings, fine } = JSON.parse(stdout) as Diagnosis;
    assert.ok(Array.isArray(findings) && fine.length > 5, stderr);
    assert.ok([0, 1, 3].includes(status ?? -1), stderr);
  });
});
