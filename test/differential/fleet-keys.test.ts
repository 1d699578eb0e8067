// A fleet with TLS and keys: what `fleet auth` renders is what real servers enforce, cell by cell.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { shardOf, subjects } from '../../src/fleet/subjects.js';
import { RunningAgent } from '../support/fleet-agent.js';
import { Namespace } from '../support/namespace.js';
import { NATS_PORT, NatsServer } from '../support/nats-server.js';
import { newFlow } from '../support/netlink.js';
import type { ProbeRequest, ProbeResult } from '../support/permission-probe.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { until } from '../support/watchers.js';

const PROBE = fileURLToPath(new URL('../support/permission-probe.js', import.meta.url));
const QID = '0123456789abcdefABCDEF';
const KV = 'KV_ct_hosts';
const AUDIT = 'CT_AUDIT';
const RECORDS = 'CT_REC';
const COLLECTORS = 'KV_ct_collectors';

/** Who may publish, and who may listen; everybody else is refused. */
const CELLS: readonly (readonly [subject: string, publish: string, subscribe: string])[] = [
  // Queries.
  ['ct.v1.q._._.list', 'alice carol', 'fw1 fw2'],
  ['ct.v1.q.ams._.list', 'alice bob carol dave', 'fw1'],
  ['ct.v1.q.ams.fw1.list', 'alice bob carol dave', 'fw1'],
  ['ct.v1.q.ams.fw3.list', 'alice bob carol dave', ''],
  ['ct.v1.q.lon._.list', 'alice carol', 'fw2'],
  ['ct.v1.q.lon.fw2.count', 'alice carol', 'fw2'],
  ['ct.v1.q.>', '', ''],
  // Answers: under one's own name, to their own askers.
  [`ct.v1.r.alice.${QID}.fw1`, 'fw1', 'alice'],
  [`ct.v1.r.alice.${QID}.fw2`, 'fw2', 'alice'],
  [`ct.v1.r.bob.${QID}.fw1`, 'fw1', 'bob'],
  [`ct.v1.r.bob.${QID}`, '', 'bob'],
  [`ct.v1.r.carol.${QID}.fw1`, 'fw1', 'carol'],
  ['ct.v1.r.>', '', ''],
  // Credits.
  [`ct.v1.f.fw1.${QID}`, 'alice bob carol dave', 'fw1'],
  [`ct.v1.f.fw2.${QID}`, 'alice bob carol dave', 'fw2'],
  ['ct.v1.f.>', '', ''],
  // Changes: of operators, to one host.
  ['ct.v1.c.ams.fw1.plan', 'carol dave', 'fw1'],
  ['ct.v1.c.ams.fw2.apply', 'carol dave', ''],
  ['ct.v1.c.lon.fw2.apply', 'carol', 'fw2'],
  ['ct.v1.c.ams._.apply', 'carol dave', ''],
  ['ct.v1.c.>', '', ''],
  // What became of them, which no host writes for another, and no viewer reads.
  ['ct.v1.audit.ams.fw1', 'fw1', ''],
  ['ct.v1.audit.lon.fw2', 'fw2', ''],
  ['ct.v1.audit.ams.fw2', '', ''],
  [`$JS.API.STREAM.INFO.${AUDIT}`, 'carol dave', ''],
  [`$JS.API.CONSUMER.CREATE.${AUDIT}.x`, 'carol dave', ''],
  [`$JS.API.CONSUMER.INFO.${AUDIT}.x`, 'carol dave', ''],
  [`$JS.API.CONSUMER.DELETE.${AUDIT}.x`, 'carol dave', ''],
  [`$JS.API.CONSUMER.MSG.NEXT.${AUDIT}.x`, 'carol dave', ''],
  [`$JS.API.STREAM.UPDATE.${AUDIT}`, '', ''],
  [`$JS.API.STREAM.DELETE.${AUDIT}`, '', ''],
  [`$JS.API.STREAM.PURGE.${AUDIT}`, '', ''],
  [`$JS.API.STREAM.MSG.DELETE.${AUDIT}`, '', ''],
  [`$JS.API.STREAM.MSG.GET.${AUDIT}`, '', ''],
  // Records: those of oneself.
  [subjects.record(shardOf('fw1'), 'ams', 'fw1'), 'fw1', ''],
  [subjects.record(shardOf('fw2'), 'lon', 'fw2'), 'fw2', ''],
  [subjects.record(shardOf('fw1'), 'lon', 'fw1'), '', ''],
  [subjects.record(shardOf('fw2'), 'ams', 'fw1'), '', ''],
  ['ct.v1.rec.>', '', ''],
  ...['STREAM.INFO', 'CONSUMER.INFO', 'CONSUMER.DELETE', 'CONSUMER.MSG.NEXT'].map(
    (what) => [`$JS.API.${what}.${RECORDS}${what === 'STREAM.INFO' ? '' : '.x'}`, 'c1', ''] as const,
  ),
  [`$JS.API.CONSUMER.CREATE.${RECORDS}.x`, 'c1', ''],
  // Collectors: asked by who may ask all sites, and answering under their own names.
  ['ct.v1.h.c1.whohad', 'alice carol', 'c1'],
  ['ct.v1.h.c2.whohad', 'alice carol', ''],
  ['ct.v1.h.>', '', ''],
  [`ct.v1.r.alice.${QID}.c1`, 'c1', 'alice'],
  [`ct.v1.f.c1.${QID}`, 'alice bob carol dave', 'c1'],
  ['$KV.ct_collectors.c1', 'c1', ''],
  ['$KV.ct_collectors.c2', '', ''],
  [`$JS.API.DIRECT.GET.${COLLECTORS}.$KV.ct_collectors.c1`, 'c1', ''],
  [`$JS.API.CONSUMER.CREATE.${COLLECTORS}.x`, 'alice carol', ''],
  ['$JS.API.STREAM.CREATE.CT_REC', '', ''],
  ['$JS.API.STREAM.DELETE.CT_REC', '', ''],
  ['$JS.API.STREAM.PURGE.CT_REC', '', ''],
  // The inventory.
  ['$KV.ct_hosts.fw1', 'fw1', ''],
  ['$KV.ct_hosts.fw2', 'fw2', ''],
  [`$JS.API.DIRECT.GET.${KV}.$KV.ct_hosts.fw1`, 'fw1', ''],
  [`$JS.API.DIRECT.GET.${KV}.$KV.ct_hosts.fw2`, 'fw2', ''],
  // The same, through the server of a site.
  ['$JS.hub.API.$KV.ct_hosts.fw1', 'fw1', ''],
  ['$JS.hub.API.$KV.ct_hosts.fw2', 'fw2', ''],
  [`$JS.hub.API.DIRECT.GET.${KV}.$KV.ct_hosts.fw1`, 'fw1', ''],
  [`$JS.hub.API.DIRECT.GET.${KV}.$KV.ct_hosts.fw2`, 'fw2', ''],
  [`$JS.hub.API.STREAM.DELETE.${KV}`, '', ''],
  [`$JS.API.CONSUMER.CREATE.${KV}.x.$KV.ct_hosts.>`, '', ''],
  [`$JS.API.CONSUMER.CREATE.${KV}.x`, 'alice bob carol dave', ''],
  [`$JS.API.CONSUMER.INFO.${KV}.x`, 'alice bob carol dave', ''],
  [`$JS.API.CONSUMER.DELETE.${KV}.x`, 'alice bob carol dave', ''],
  [`$JS.API.CONSUMER.MSG.NEXT.${KV}.x`, 'alice bob carol dave', ''],
  [`$JS.API.CONSUMER.CREATE.OTHER.x`, '', ''],
  [`$JS.API.STREAM.INFO.${KV}`, 'alice bob carol dave', ''],
  [`$JS.API.STREAM.CREATE.${KV}`, '', ''],
  [`$JS.API.STREAM.DELETE.${KV}`, '', ''],
  [`$JS.API.STREAM.PURGE.${KV}`, '', ''],
  [`$JS.API.STREAM.MSG.DELETE.${KV}`, '', ''],
  [`$JS.API.STREAM.MSG.GET.${KV}`, '', ''],
  ['$JS.API.INFO', '', ''],
  ['$SYS.REQ.SERVER.PING', '', ''],
  // Inboxes.
  ['_INBOX_fw1.x', '', 'fw1'],
  ['_INBOX_fw2.x', '', 'fw2'],
  ['_INBOX_alice.x', '', 'alice'],
  ['_INBOX_bob.x', '', 'bob'],
  ['_INBOX_carol.x', '', 'carol'],
  ['_INBOX_c1.x', '', 'c1'],
  ['_INBOX.x', '', ''],
  ['>', '', ''],
];
const USERS = ['fw1', 'fw2', 'alice', 'bob', 'carol', 'dave', 'c1'];

before(requirePrerequisites);
suite('a fleet with keys', { skip: SELF_TEST ? 'the reference has no fleets' : false, timeout: 300_000 * SLOWNESS }, () => {
  let folder: string;
  let keys: string;
  let ca: string;
  let space: Namespace;
  let server: NatsServer;

  const seedOf = (name: string) => join(keys, `${name}.seed`);
  const run = async (...words: string[]) => {
    const { status, stdout, stderr } = await space.run([UNDER_TEST, 'fleet', ...words], { timeLimit: 60_000 });
    return { status, out: stdout.toString(), err: stderr.toString() };
  };
  const auth = async (...words: string[]) => run('auth', ...words, '--keys', keys);
  const as = (name: string, ...words: string[]) => run(...words, '--nats', 'tls://localhost', '--ca', ca, '--seed', seedOf(name));
  const config = async () =>
    [
      `listen: "127.0.0.1:${NATS_PORT}"`,
      'jetstream { store_dir: "$DIR/js" }',
      `tls { cert_file: "${folder}/server.pem", key_file: "${folder}/server.key" }`,
      (await auth('render')).out,
    ].join('\n');

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conntrack-fleet-keys-'));
    keys = join(folder, 'keys');
    ca = join(folder, 'ca.pem');
    const openssl = (...words: string[]) => execFileSync('openssl', words, { cwd: folder, stdio: 'ignore' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=fleet test');
    openssl(
      ...[
        'req',
        '-x509',
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        ...key,
        '-keyout',
        'server.key',
        '-out',
        'server.pem',
        '-days',
        '2',
      ],
      ...['-subj', '/CN=server', '-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE'],
    );
    space = await Namespace.create('keys');
    for (const words of [
      ['admin', 'root'],
      ['agent', 'fw1', '--site', 'ams'],
      ['agent', 'fw2', '--site', 'lon'],
      ['viewer', 'alice'],
      ['viewer', 'bob', '--site', 'ams'],
      ['operator', 'carol'],
      ['operator', 'dave', '--site', 'ams'],
      ['collector', 'c1'],
    ])
      assert.equal((await auth(...words)).status, 0, words.join(' '));
    server = await NatsServer.start(space, { config: await config() });
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await space?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('keys are files that nobody else can read, and names have one key', async () => {
    assert.equal((statSync(seedOf('fw1')).mode & 0o777).toString(8), '600');
    assert.match(readFileSync(seedOf('fw1'), 'utf8'), /^SU[A-Z2-7]{56}\n$/);
    const twice = await auth('viewer', 'fw1');
    assert.equal(twice.status, 2);
    assert.match(twice.err, /fw1 has a key already, as agent\n/);
    for (const name of ['Fw1', 'fw.1', '_', 'a b', '../x']) assert.equal((await auth('agent', name)).status, 2, name);
    assert.ok(!(await auth('render')).out.includes(readFileSync(seedOf('fw1'), 'utf8').trim()));
  });

  test('setup makes the inventory, once; a server of its own keeps one replica', async () => {
    assert.equal((await as('alice', 'setup', '--replicas', '1')).status, 1);
    const three = await as('root', 'setup');
    assert.equal(three.status, 1);
    assert.match(three.err, /cannot keep 3 replicas: .*\n {2}hint: .*--replicas 1/);
    assert.deepEqual(await as('root', 'setup', '--replicas', '1'), {
      status: 0,
      out: 'Made on one server: ct_hosts, ct_collectors, CT_AUDIT, CT_REC.\n',
      err: '',
    });
    assert.equal((await as('root', 'setup', '--replicas', '1')).out, 'Everything is there.\n');
  });

  test('every cell of the table of permissions is as it is rendered, allowed and refused', async () => {
    const all = CELLS.map(([subject]) => subject);
    for (const name of USERS) {
      const request: ProbeRequest = { server: 'tls://localhost:4222', ca, seed: seedOf(name), name, subjects: all };
      const { publish, subscribe } = JSON.parse(
        await space.must([process.execPath, PROBE, JSON.stringify(request)]),
      ) as ProbeResult;
      const refused = (column: 1 | 2) =>
        CELLS.filter((cell) => !cell[column].split(' ').includes(name)).map(([subject]) => subject);
      assert.deepEqual(
        publish.toSorted(),
        refused(1)
          .filter((subject) => !/[*>]/.test(subject))
          .toSorted(),
        `${name} publishes`,
      );
      assert.deepEqual(subscribe.toSorted(), refused(2).toSorted(), `${name} listens`);
    }
  });

  test('agents answer those who may ask, and are thrown out with their key', async () => {
    await space.netlink([
      newFlow({ proto: 17, original: { src: '192.0.2.1', dst: '192.0.2.2', sport: 1, dport: 53 }, timeout: 1000 }),
    ]);
    const words = (name: string, site: string) => [
      '--nats',
      'tls://localhost',
      '--ca',
      ca,
      '--seed',
      seedOf(name),
      '--name',
      name,
      '--site',
      site,
    ];
    await using first = await RunningAgent.start(space, words('fw1', 'ams'));
    await using _second = await RunningAgent.start(space, words('fw2', 'lon'));
    const all = JSON.parse((await as('alice', 'count', '-o', 'json')).out);
    assert.deepEqual([all.complete, Object.keys(all.hosts)], [true, ['fw1', 'fw2']]);
    const listed = await as('alice', 'list', 'udp and dst port 53', '--sort', 'host');
    assert.match(listed.out, /^host=fw1 udp .*\nhost=fw2 udp .*\n$/);
    // Who may ask some sites only says so in the configuration.
    const sites = JSON.stringify({ servers: ['tls://localhost'], ca, seed: seedOf('bob'), sites: ['ams'] });
    const file = join(folder, 'bob.json');
    await space.ask('write', file, sites);
    const some = await run('count', '-o', 'json', '--config', file);
    assert.deepEqual(Object.keys(JSON.parse(some.out).hosts), ['fw1']);
    assert.equal(some.status, 0, some.err);

    assert.equal((await auth('remove', 'fw1')).status, 0);
    await server.reload(await config());
    await first.says(/is lost/);
    const without = await as('alice', 'count', '--wait', '0.5s', '--on', 'fw1');
    assert.equal(without.status, 3);
    assert.match(without.err, /no answer from fw1/);
  });

  test('operators change what hosts let them, and read what became of it; viewers do neither', async () => {
    const changers = join(folder, 'changers');
    const lines = (await auth('changers')).out;
    assert.match(lines, /^carol U[A-Z2-7]{55} delete,update\ndave U/);
    await space.ask('write', changers, lines);
    const words = ['--nats', 'tls://localhost', '--ca', ca, '--seed', seedOf('fw2'), '--name', 'fw2', '--site', 'lon'];
    await using _agent = await RunningAgent.start(space, [...words, '--allow', 'delete', '--changers', changers]);
    const deletion = ['delete', 'udp and dst port 53', '--yes', '--max', '5', '--on', 'fw2'];
    const viewer = await as('alice', ...deletion, '--wait', '1s');
    assert.equal(viewer.status, 3);
    assert.match(viewer.err, /^conntrack: fw2: this key may change nothing\n {2}hint: that of an operator may/);
    assert.equal((await as('dave', ...deletion, '--wait', '1s')).status, 3); // not at his site
    const operator = await as('carol', ...deletion);
    assert.deepEqual([operator.status, operator.err], [0, '']);
    assert.match(operator.out, /\nfw2 {2}1 deleted\n$/);
    const update = await as('carol', 'update', 'udp', '--set', 'mark=1', '--yes', '--max', '5', '--on', 'fw2');
    assert.equal(update.status, 3); // the host does not allow that
    const log = await as('carol', 'log', '--keys', keys);
    assert.match(log.out, /fw2 {2}carol: delete 'udp and dst port 53', at most 5: 1 deleted \(signed\)\n$/);
    assert.equal((await as('alice', 'log', '--keys', keys)).status, 1);
  });

  test('a key is good for one name and site', async () => {
    for (const [name, site] of [
      ['fw2', 'ams'],
      ['fw9', 'lon'],
    ] as const) {
      const words = ['--nats', 'tls://localhost', '--ca', ca, '--seed', seedOf('fw2'), '--name', name, '--site', site];
      const { status, stderr } = await space.run([UNDER_TEST, 'agent', ...words, '--take-over'], { timeLimit: 60_000 });
      assert.equal(status, 1, name);
      assert.match(stderr.toString(), /Permissions Violation for .*\n {2}hint: a key is good for the name, role and site/);
    }
    const other = await as('alice', 'count', '--user', 'bob');
    assert.equal(other.status, 1);
    assert.match(other.err, /hint: a key is good for the name/);
  });

  test('without a key, with one of nobody, with a file that others can read, and without the authority nobody connects', async () => {
    const without = await run('hosts', '--nats', 'tls://localhost', '--ca', ca);
    assert.equal(without.status, 1);
    assert.match(without.err, /Authorization Violation'?\)\n {2}hint: the servers want a key/i);
    const removed = await as('fw1', 'hosts');
    assert.equal(removed.status, 1);
    chmodSync(seedOf('bob'), 0o644);
    const open = await as('bob', 'hosts');
    assert.equal(open.status, 2);
    assert.match(open.err, /others may read the seed .*\n {2}hint: chmod 600 /);
    const stranger = await run('hosts', '--nats', 'tls://localhost', '--seed', seedOf('alice'));
    assert.equal(stranger.status, 1);
    assert.match(stranger.err, /certificate.*\n {2}hint: --ca FILE/);
    assert.match((await run('hosts', '--nats', 'tls://127.0.0.1')).err, /TLS needs the name of the server/);
  });

  test('an agent whose key comes back is back', async () => {
    const seed = seedOf('fw1');
    rmSync(seed);
    assert.equal((await auth('agent', 'fw1', '--site', 'ams')).status, 0);
    const agent = ['--nats', 'tls://localhost', '--ca', ca, '--seed', seed, '--name', 'fw1', '--site', 'ams', '--take-over'];
    // It starts before the servers know it, and waits.
    const handle = await space.start([UNDER_TEST, 'agent', ...agent], { timeLimit: 120_000 });
    await until('it says that it waits', async () =>
      /cannot connect to .*Authorization Violation.*; it goes on trying \(the servers do not know this key/i.test(
        (await space.ask('written', handle)).stderr.toString(),
      ),
    );
    await server.reload(await config());
    await until('it answers', async () => /fw1 answers at/.test((await space.ask('written', handle)).stderr.toString()), 30_000);
    await space.ask('signal', handle, 'SIGTERM');
    assert.equal((await space.ask('finish', handle)).status, 0);
  });
});
