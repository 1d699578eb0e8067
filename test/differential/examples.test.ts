// The programs of docs/guide.md do what the guide says, on a real table.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Namespace } from '../support/namespace.js';
import { type NewFlow, newFlow, TCP } from '../support/netlink.js';
import { toOutcome } from '../support/outcome.js';
import { AS_NOBODY, PROJECT, requirePrerequisites, SELF_TEST } from '../support/project.js';

const PROGRAMS = ['stale-udp', 'nat-log', 'top-talkers', 'prometheus', 'web-page'];
const program = (name: string) => join(PROJECT, 'examples', `${name}.mjs`);
const udp = (src: string, sport: number, more: Partial<NewFlow> = {}): NewFlow => ({
  proto: 17,
  original: { src, dst: '198.51.100.1', sport, dport: 5060 },
  timeout: 1000,
  ...more,
});

before(requirePrerequisites);
suite('examples', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let namespace: Namespace;
  before(async () => {
    namespace = await Namespace.create('examples');
    await namespace.sysctl({
      'net.netfilter.nf_conntrack_events': 1,
      'net.netfilter.nf_conntrack_acct': 1,
      'net.netfilter.nf_conntrack_timestamp': 1,
    });
  });
  after(() => namespace.close());
  const run = async (name: string, ...words: string[]) => {
    const outcome = toOutcome(await namespace.run([process.execPath, program(name), ...words]));
    assert.equal(outcome.status, '0', outcome.stderr);
    return outcome.stdout;
  };
  /** Starts a server, asks it with curl-like code of Node.js, and ends it. */
  const ask = async (name: string, port: number, path: string) =>
    toOutcome(
      await namespace.run([
        'sh',
        '-c',
        `ip link set lo up; "$1" "$2" ${port} > /dev/null & trap 'kill $!' EXIT; "$1" -e '
          const ask = (left) => fetch(process.argv[1]).then(async (answer) => console.log(answer.status, await answer.text()),
            (error) => left > 0 ? setTimeout(ask, 100, left - 1) : console.log(String(error.cause)));
          ask(100);' "http://127.0.0.1:${port}${path}"`,
        'sh',
        process.execPath,
        program(name),
      ]),
    ).stdout;

  test('the guide has the programs as they are', () => {
    const guide = readFileSync(join(PROJECT, 'docs', 'guide.md'), 'utf8');
    for (const name of PROGRAMS)
      assert.ok(
        guide.includes(`\`\`\`js\n${readFileSync(program(name), 'utf8')}\`\`\``),
        `docs/guide.md lacks examples/${name}.mjs`,
      );
  });

  test('stale UDP flows', async () => {
    await namespace.netlink([
      newFlow(udp('192.0.2.1', 1, { destinationNat: { address: '192.0.2.10' } })),
      newFlow(udp('192.0.2.1', 2)),
      newFlow({ ...udp('192.0.2.1', 3, { destinationNat: { address: '192.0.2.10' } }), proto: 6, tcpState: TCP.ESTABLISHED }),
    ]);
    assert.equal(await run('stale-udp', '192.0.2.10', '5060'), '1 stale flows, 1 deleted, 0 already gone\n');
    assert.equal((await namespace.must(['conntrack', '-C'])).trim(), '2');
    await namespace.must(['conntrack', '-F']);
  });

  test('stale UDP flows of nothing', async () => {
    for (const words of [[], ['192.0.2.10'], ['192.0.2.10', 'sip']]) {
      const { status, stderr } = toOutcome(await namespace.run([process.execPath, program('stale-udp'), ...words]));
      assert.deepEqual([status, stderr], ['2', 'usage: node stale-udp.mjs ADDRESS PORT\n']);
    }
  });

  test('NAT log', async () => {
    await namespace.netlink([
      newFlow(udp('192.0.2.1', 4, { sourceNat: { address: '203.0.113.5' } })),
      newFlow(udp('192.0.2.2', 5)),
    ]);
    const [log] = await Promise.all([run('nat-log', '3'), namespace.must(['sh', '-c', 'sleep 1.5; conntrack -F 2>&1'])]);
    assert.match(log, /^udp 192\.0\.2\.1:4 as 203\.0\.113\.5:4 to 198\.51\.100\.1:5060 \d+ s 0 bytes\n$/);
  });

  test('top talkers', async () => {
    await namespace.netlink([newFlow(udp('192.0.2.1', 6)), newFlow(udp('192.0.2.1', 7)), newFlow(udp('192.0.2.2', 8))]);
    assert.deepEqual((await run('top-talkers')).trimEnd().split('\n').sort(), [
      `${'192.0.2.1'.padEnd(40)} 0`,
      `${'192.0.2.2'.padEnd(40)} 0`,
    ]);
  });

  test('what cannot be is told in a line or two, without a stack', async () => {
    const tell = async (...argv: string[]) => toOutcome(await namespace.run(argv));
    for (const [name, ...words] of [
      ['stale-udp', '192.0.2.10', 'sip'],
      ['nat-log', 'soon'],
      ['top-talkers', 'all'],
      ['prometheus', 'http'],
      ['web-page', '70000'],
    ] as const) {
      const { status, stderr } = await tell(process.execPath, program(name), ...words);
      assert.equal(status, '2', name);
      assert.match(stderr, new RegExp(`^usage: node ${name}\\.mjs.*\n$`));
    }
    for (const [name, ...words] of [['stale-udp', '192.0.2.10', '5060'], ['nat-log'], ['top-talkers'], ['prometheus']] as const) {
      const { status, stderr } = await tell(...AS_NOBODY, process.execPath, program(name), ...words);
      assert.equal(status, '1', name);
      assert.match(stderr, /^.*\n {2}hint: .*CAP_NET_ADMIN.*\n$/, name);
    }
    const wrong = await tell(process.execPath, program('stale-udp'), 'nowhere', '5060');
    assert.equal(wrong.status, '1');
    assert.match(wrong.stderr, /^.*nowhere.*\n$/);
  });

  test('the NAT log ends when nobody reads it', async () => {
    const flow = newFlow(udp('192.0.2.9', 9, { sourceNat: { address: '203.0.113.9' } }));
    const line = 'node=$1; { "$node" "$2" 30; echo "status $?" >&2; } | true';
    const ending = namespace.run(['sh', '-c', line, 'sh', process.execPath, program('nat-log')]);
    const churn = async (): Promise<void> => {
      await namespace.netlink([flow]);
      await namespace.must(['conntrack', '-D', '-s', '192.0.2.9']);
      const done = await Promise.race([ending.then(() => true), sleep(200).then(() => false)]);
      if (!done) await churn();
    };
    await churn();
    assert.equal((await ending).stderr.toString(), 'status 1\n');
  });

  test('Prometheus', async () => {
    const answer = await ask('prometheus', 9478, '/metrics');
    assert.match(answer, /^200 /);
    assert.match(answer, /^conntrack_flows\{protocol="udp"\} [3-9]$/m);
    assert.match(answer, /^conntrack_entries_limit \d+$/m);
  });

  test('web page', async () => {
    const answer = await ask('web-page', 8080, '/192.0.2.1');
    assert.match(answer, /^200 <!doctype html>/);
    assert.equal(answer.match(/<td>198\.51\.100\.1<\/td><td>5060<\/td>/g)?.length, 2);
    assert.match(await ask('web-page', 8080, '/nonsense'), /^400 /);
  });
});
