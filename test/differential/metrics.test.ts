// Metrics as Prometheus takes them: its own checker over those of a real table, and the server itself, scraping `conntrack serve`.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { Conntrack } from '../../src/index.js';
import { openMeter } from '../../src/meter/index.js';
import { createHandler } from '../../src/web/index.js';
import { requirePrerequisites, SELF_TEST, SLOWNESS, UNDER_TEST } from '../support/project.js';
import { readMetrics } from '../support/read-metrics.js';
import { CLIENT, makeTraffic, type Scene, SERVER } from '../support/traffic.js';

const PORT = 8466;
const PROMETHEUS = 9090;
/** Headers of IPv4 and UDP, which the kernel counts, too. */
const HEADERS = 28;

before(requirePrerequisites);
suite('metrics', { skip: SELF_TEST ? 'the reference has none' : false }, () => {
  let scene: Scene;
  let conntrack: Conntrack;
  before(async () => {
    scene = await makeTraffic({ accounting: true, timestamps: true });
    conntrack = await Conntrack.open({ netns: scene.router.pid });
    await scene.server.ask('udpServe', SERVER, 7001);
  });
  after(async () => {
    await conntrack?.close();
    await scene?.[Symbol.asyncDispose]();
  });

  const send = (count: number, size: number) =>
    scene.client.ask('udpSend', [CLIENT, 41_000], [SERVER, 7001], { count, size, answers: true });

  /** What a handler answers in both formats, after traffic of so many bytes in each direction. */
  async function scrape(): Promise<{ text: string; values: ReadonlyMap<string, number>; bytes: number }> {
    await using meter = await openMeter(conntrack, { interval: 500, share: 1 });
    const metricsTop = ['src', 'service', 'snat', 'helper'].map((by) => ({ by, limit: 10 }));
    const handler = createHandler({ meter, conntracks: conntrack, metricsTop, metricsOnly: true, version: '1' });
    await handler(new Request('http://localhost/metrics')); // the first one opens what is measured from then on
    await send(20, 100);
    let samples = 0;
    for await (const _ of meter) if (++samples === 3) break;
    const ask = async (accept: string) =>
      (await handler(new Request('http://localhost/metrics', { headers: { accept } }))).text() as Promise<string>;
    const [text, open] = [await ask('text/plain'), await ask('application/openmetrics-text')];
    handler.close();
    assert.equal(readMetrics(open, 'openmetrics').size, readMetrics(text, 'text').size);
    return { text, values: readMetrics(text, 'text'), bytes: 20 * (100 + HEADERS) };
  }

  test('of real traffic are what promtool wants them to be, and count every byte', async () => {
    const { text, values, bytes } = await scrape();
    const { status, stdout, stderr } = await scene.router.run(['promtool', 'check', 'metrics'], { input: Buffer.from(text) });
    assert.deepEqual([status, stdout.toString(), stderr.toString()], [0, '', '']);
    for (const direction of ['original', 'reply'])
      assert.equal(values.get(`conntrack_bytes_total{direction="${direction}",protocol="udp"}`), bytes, direction);
    assert.ok(values.get('conntrack_flows_nat{kind="src"}')! > 0);
    assert.ok(values.get('conntrack_flows{protocol="tcp",state="ESTABLISHED"}')! >= 0);
    assert.equal(values.get('conntrack_sysctl{name="acct"}'), 1);
    assert.ok(values.get('conntrack_entries_limit{}')! > 0);
    assert.ok([...values.keys()].some((key) => key.startsWith('conntrack_group_flows{by="service",key="udp 7001"')));
  });

  test('have no bytes while the kernel does not count them', async () => {
    await scene.router.sysctl({ 'net.netfilter.nf_conntrack_acct': 0 });
    await scene.router.must([UNDER_TEST, '-F']);
    try {
      const { values } = await scrape();
      assert.deepEqual(
        [...values.keys()].filter((key) => /^conntrack_(bytes|packets)_total/.test(key)),
        [],
      );
      assert.equal(values.get('conntrack_sysctl{name="acct"}'), 0);
      assert.ok(values.get('conntrack_begun_total{protocol="udp"}')! > 0);
    } finally {
      await scene.router.sysctl({ 'net.netfilter.nf_conntrack_acct': 1 });
    }
  });

  test('a Prometheus scrapes conntrack serve --metrics-only', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'conntrack-prometheus-'));
    const config = join(folder, 'prometheus.yml');
    writeFileSync(
      config,
      `global: { scrape_interval: 1s }\nscrape_configs: [{ job_name: conntrack, static_configs: [{ targets: ['127.0.0.1:${PORT}'] }] }]\n`,
    );
    const { router } = scene;
    const served = await router.start([
      UNDER_TEST,
      'serve',
      '--metrics-only',
      '--metrics-open',
      '--every',
      '1',
      '--metrics-top',
      'src=5',
    ]);
    const prometheus = await router.start(
      [
        'prometheus',
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${PROMETHEUS}`,
      ],
      { timeLimit: 60_000 },
    );
    try {
      const query = async (text: string) => {
        const url = `http://127.0.0.1:${PROMETHEUS}/api/v1/query?query=${encodeURIComponent(text)}`;
        // While it starts, it is unavailable.
        const { stdout } = await router.run(['curl', '-sf', url]);
        const answer = stdout.length === 0 ? undefined : JSON.parse(stdout.toString());
        return (answer?.data?.result ?? []) as {
          readonly metric: Readonly<Record<string, string>>;
          readonly value: [number, string];
        }[];
      };
      const until = Date.now() + 15_000 * SLOWNESS;
      let found = await query('up == 1');
      while (found.length === 0 && Date.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        found = await query('up == 1');
      }
      assert.equal(found.length, 1, 'it was scraped');
      const names = (await query('count by (__name__) ({job="conntrack"})')).map(({ metric }) => metric['__name__']);
      for (const name of [
        'conntrack_entries',
        'conntrack_begun_total',
        'conntrack_info',
        'conntrack_group_flows',
        'process_cpu_seconds_total',
      ])
        assert.ok(names.includes(name), `${name} of ${names}`);
      const [dropped] = await query('conntrack_metrics_series_dropped');
      assert.equal(dropped?.value[1], '0');
      const [duplicates] = await query('scrape_samples_scraped - scrape_samples_post_metric_relabeling');
      assert.equal(duplicates?.value[1], '0');
      // Nothing else is served.
      const { stdout } = await router.run([
        'curl',
        '-s',
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        `http://127.0.0.1:${PORT}/api/v1/status`,
      ]);
      assert.equal(stdout.toString(), '404');
    } finally {
      for (const handle of [prometheus, served]) {
        await router.ask('signal', handle, 'SIGTERM');
        await router.ask('finish', handle);
      }
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
