// Metrics: what each family says of a table, both formats, and that neither traffic nor names make them many or malformed.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { ValueError } from '../../src/errors.js';
import { AGENT_FAMILIES } from '../../src/fleet/agent-metrics.js';
import { COLLECTOR_FAMILIES } from '../../src/fleet/collector-metrics.js';
import { RECORD_FAMILIES } from '../../src/history/record-metrics.js';
import { CUT_FAMILIES, MOST_SERIES } from '../../src/metrics/collect-metrics.js';
import { chooseFormat, collectMetrics, type MetricFamily, TopGroups, writeMetrics } from '../../src/metrics/index.js';
import { GROUP_FAMILIES, METER_FAMILIES } from '../../src/metrics/meter-families.js';
import { type FamilyRow, readFamilies } from '../../src/metrics/metric-family.js';
import { PROCESS_FAMILIES } from '../../src/metrics/process-metrics.js';
import { sampleName } from '../../src/metrics/write-metrics.js';
import { MemoryTable } from '../../src/testing/memory-table.js';
import { WEB_FAMILIES } from '../../src/web/web-metrics.js';
import { MemoryMeter } from '../support/memory-meter.js';
import { page, tableRows } from '../support/pages.js';
import { readMetrics } from '../support/read-metrics.js';
import { type Asked, WebTester } from '../support/web-tester.js';

/** All that `GET /metrics` can have. */
const ROWS: readonly FamilyRow<never>[] = [
  ...METER_FAMILIES,
  ...PROCESS_FAMILIES,
  ...WEB_FAMILIES,
  ...GROUP_FAMILIES,
  ...CUT_FAMILIES,
];

const flow = (n: number, protocol: 'tcp' | 'udp' = 'udp') => ({
  protocol,
  original: { src: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, dst: '192.0.2.1', sport: 1000, dport: 53 },
});

/** Metrics of a meter as lines of the older format, without the descriptions. */
async function linesOf(memory: MemoryMeter, top?: TopGroups): Promise<string[]> {
  const text = writeMetrics(await collectMetrics(memory.meter, { top, version: '1.2.3' }), 'text');
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

suite('what a table with some traffic says', () => {
  const LINES = `
conntrack_info{version="1.2.3"} 1
conntrack_entries 4
conntrack_entries_limit 1000
conntrack_stat_found_total 0
conntrack_stat_invalid_total 0
conntrack_stat_insert_total 0
conntrack_stat_insert_failed_total 0
conntrack_stat_drop_total 0
conntrack_stat_early_drop_total 0
conntrack_stat_error_total 0
conntrack_stat_search_restart_total 0
conntrack_stat_clash_resolve_total 0
conntrack_stat_chaintoolong_total 0
conntrack_flows{protocol="tcp",state="NONE"} 0
conntrack_flows{protocol="tcp",state="SYN_SENT"} 1
conntrack_flows{protocol="tcp",state="SYN_RECV"} 0
conntrack_flows{protocol="tcp",state="ESTABLISHED"} 1
conntrack_flows{protocol="tcp",state="FIN_WAIT"} 0
conntrack_flows{protocol="tcp",state="CLOSE_WAIT"} 0
conntrack_flows{protocol="tcp",state="LAST_ACK"} 0
conntrack_flows{protocol="tcp",state="TIME_WAIT"} 0
conntrack_flows{protocol="tcp",state="CLOSE"} 0
conntrack_flows{protocol="tcp",state="SYN_SENT2"} 0
conntrack_flows{protocol="udp",state="-"} 1
conntrack_flows{protocol="icmp",state="-"} 0
conntrack_flows{protocol="icmpv6",state="-"} 0
conntrack_flows{protocol="gre",state="-"} 1
conntrack_flows_unreplied 3
conntrack_flows_assured 1
conntrack_flows_offloaded 0
conntrack_flows_nat{kind="src"} 1
conntrack_flows_nat{kind="dst"} 0
conntrack_begun_total{protocol="tcp"} 2
conntrack_begun_total{protocol="udp"} 1
conntrack_begun_total{protocol="icmp"} 0
conntrack_begun_total{protocol="icmpv6"} 0
conntrack_begun_total{protocol="gre"} 1
conntrack_ended_total{protocol="tcp"} 0
conntrack_ended_total{protocol="udp"} 1
conntrack_ended_total{protocol="icmp"} 0
conntrack_ended_total{protocol="icmpv6"} 0
conntrack_ended_total{protocol="gre"} 0
conntrack_ended_unseen_total 0
conntrack_bytes_total{protocol="tcp",direction="original"} 1500
conntrack_bytes_total{protocol="tcp",direction="reply"} 900
conntrack_bytes_total{protocol="udp",direction="original"} 70
conntrack_bytes_total{protocol="udp",direction="reply"} 0
conntrack_bytes_total{protocol="icmp",direction="original"} 0
conntrack_bytes_total{protocol="icmp",direction="reply"} 0
conntrack_bytes_total{protocol="icmpv6",direction="original"} 0
conntrack_bytes_total{protocol="icmpv6",direction="reply"} 0
conntrack_bytes_total{protocol="gre",direction="original"} 0
conntrack_bytes_total{protocol="gre",direction="reply"} 0
conntrack_packets_total{protocol="tcp",direction="original"} 3
conntrack_packets_total{protocol="tcp",direction="reply"} 2
conntrack_packets_total{protocol="udp",direction="original"} 1
conntrack_packets_total{protocol="udp",direction="reply"} 0
conntrack_packets_total{protocol="icmp",direction="original"} 0
conntrack_packets_total{protocol="icmp",direction="reply"} 0
conntrack_packets_total{protocol="icmpv6",direction="original"} 0
conntrack_packets_total{protocol="icmpv6",direction="reply"} 0
conntrack_packets_total{protocol="gre",direction="original"} 0
conntrack_packets_total{protocol="gre",direction="reply"} 0
conntrack_events_total{type="new"} 4
conntrack_events_total{type="update"} 1
conntrack_events_total{type="destroy"} 1
conntrack_events_lost_total 0
conntrack_resyncs_total 0
conntrack_sweeps_total 1
conntrack_sweep_cpu_seconds_total T
conntrack_sweep_interval_seconds 2147483.647
conntrack_group_flows{by="src",key="10.0.0.2"} 1
conntrack_group_flows{by="src",key="other"} 3
conntrack_group_bytes_per_second{by="src",key="10.0.0.2",direction="original"} 142
conntrack_group_bytes_per_second{by="src",key="10.0.0.2",direction="reply"} 85.2
conntrack_group_bytes_per_second{by="src",key="other",direction="original"} 6.7
conntrack_group_bytes_per_second{by="src",key="other",direction="reply"} 0
conntrack_metrics_series_dropped 0
`;

  test('in the older format', async () => {
    const table = new MemoryTable({ accounting: true, maxEntries: 1000, flows: [flow(0)] });
    await using memory = await MemoryMeter.over([table]);
    table.add({ ...flow(1, 'tcp'), state: 'SYN_SENT', status: [] });
    const busy = table.add({
      protocol: 'tcp',
      original: { src: '10.0.0.2', dst: '192.0.2.1', sport: 1, dport: 2, packets: 1, bytes: 100 },
      reply: { src: '192.0.2.1', dst: '198.51.100.1', sport: 2, dport: 1 },
      state: 'SYN_SENT',
      status: ['SRC_NAT'],
    });
    table.change(busy, { state: 'ESTABLISHED', status: ['SEEN_REPLY', 'ASSURED'] });
    table.change(busy, { original: { packets: 3, bytes: 1500 }, reply: { packets: 2, bytes: 900 } });
    table.add({ ...flow(3), status: [], original: { ...flow(3).original, packets: 1, bytes: 70 } });
    table.add({ protocol: 'gre', status: [], original: { src: '10.0.0.9', dst: '192.0.2.1' } });
    table.expire(table.flows[0]!);
    await memory.list();
    const top = new TopGroups([{ by: 'src', limit: 1 }]);
    const lines = (await linesOf(memory, top)).map((line) => line.replace(/(cpu_seconds_total) .*/, '$1 T'));
    assert.deepEqual(lines, LINES.trim().split('\n'));
  });

  test('in OpenMetrics, which describes families instead of samples', async () => {
    await using memory = await MemoryMeter.over([new MemoryTable({ accounting: true, maxEntries: 10 })]);
    const text = writeMetrics(await collectMetrics(memory.meter, { version: '"1"' }), 'openmetrics');
    for (const lines of [
      '# HELP conntrack Version of this program.\n# TYPE conntrack info\nconntrack_info{version="\\"1\\""} 1\n',
      '# TYPE conntrack_entries gauge\nconntrack_entries 0\n',
      '# TYPE conntrack_bytes counter\n# UNIT conntrack_bytes bytes\nconntrack_bytes_total{protocol="tcp",direction="original"} 0\n',
    ])
      assert.ok(text.includes(lines), lines);
    assert.ok(text.endsWith('\nconntrack_metrics_series_dropped 0\n# EOF\n'));
  });

  test('when the table will be full, once it grows', async () => {
    const table = new MemoryTable({ maxEntries: 1000 });
    await using memory = await MemoryMeter.over([table]);
    for (let n = 0; n < 200; n++) {
      table.add(flow(n));
      await memory.list(5000);
    }
    const [line] = (await linesOf(memory)).filter((text) => text.startsWith('conntrack_entries_full_seconds'));
    const seconds = Number(line?.split(' ')[1]);
    assert.ok(seconds > 3000 && seconds < 5000, line);
  });
});

suite('several namespaces', () => {
  const total = (lines: readonly string[], start: string) =>
    lines.filter((line) => line.startsWith(start)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);

  test('each has its own metrics', async () => {
    const tables = [new MemoryTable({ flows: [flow(1), flow(2)] }), new MemoryTable({ flows: [flow(1, 'tcp')] })];
    await using memory = await MemoryMeter.over(tables);
    const lines = await linesOf(memory);
    for (const line of [
      'conntrack_entries{netns="0"} 2',
      'conntrack_entries{netns="1"} 1',
      'conntrack_flows{netns="0",protocol="udp",state="-"} 2',
      'conntrack_begun_total{netns="1",protocol="tcp"} 0',
      'conntrack_sweeps_total{netns="1"} 0',
    ])
      assert.ok(lines.includes(line), line);
    assert.deepEqual(
      lines.filter((line) => /netns="0",protocol="tcp"/.test(line)),
      [],
    );
  });

  test('those beyond 64 are one, and nothing is lost from sums', async () => {
    const tables = Array.from({ length: 70 }, (_, n) => new MemoryTable({ maxEntries: 100, flows: [flow(n)] }));
    await using memory = await MemoryMeter.over(tables);
    const families = await collectMetrics(memory.meter);
    const lines = writeMetrics(families, 'text').split('\n');
    assert.equal(lines.filter((line) => line.startsWith('conntrack_entries{')).length, 65);
    assert.ok(lines.includes('conntrack_entries{netns="other"} 6'));
    assert.ok(lines.includes('conntrack_entries_limit{netns="other"} 600'));
    assert.equal(total(lines, 'conntrack_entries{'), 70);
    const series = families.reduce((sum, { samples }) => sum + samples.length, 0);
    assert.equal(series, MOST_SERIES);
    assert.ok(total(lines, 'conntrack_metrics_series_dropped') > 100);
  });
});

suite('the largest groups', () => {
  const keys = (lines: readonly string[]) =>
    lines.flatMap((line) => /^conntrack_group_flows\{by="src",key="([^"]*)"\}/.exec(line)?.[1] ?? []);

  test('20,000 hosts are no more series than a hundred', async () => {
    const table = new MemoryTable({ flows: Array.from({ length: 20_000 }, (_, n) => flow(n)) });
    await using memory = await MemoryMeter.over([table]);
    const top = new TopGroups(['src', 'dst', 'pair', 'service'].map((by) => ({ by, limit: 100 })));
    const families = await collectMetrics(memory.meter, { top });
    const counts = new Map(families.map(({ name, samples }) => [name, samples]));
    assert.ok(families.reduce((sum, { samples }) => sum + samples.length, 0) <= MOST_SERIES);
    const bySource = counts.get('conntrack_group_flows')!.filter(({ labels }) => labels['by'] === 'src');
    assert.equal(bySource.length, 101);
    assert.equal(
      bySource.reduce((sum, { value }) => sum + value, 0),
      20_000,
    );
  });

  test('half of them have most flows, half most traffic', async () => {
    const of = (host: number, count: number, bytes: number) =>
      Array.from({ length: count }, (_, n) => ({
        protocol: 'udp' as const,
        original: { src: `10.0.0.${host}`, dst: '192.0.2.1', sport: 1000 + n, dport: 53, packets: bytes > 0 ? 1 : 0, bytes },
      }));
    const table = new MemoryTable({ accounting: true });
    await using memory = await MemoryMeter.over([table]);
    for (const one of [...of(1, 10, 0), ...of(2, 5, 0), ...of(3, 1, 9000), ...of(4, 1, 5000), ...of(5, 2, 0)]) table.add(one);
    await memory.list();
    const lines = await linesOf(memory, new TopGroups([{ by: 'src', limit: 4 }]));
    assert.deepEqual(keys(lines).sort(), ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', 'other']);
  });

  test('one that falls behind keeps its series for five minutes, as long as it is there', async () => {
    let now = 0;
    const table = new MemoryTable({ flows: [flow(1), flow(2)] });
    await using memory = await MemoryMeter.over([table]);
    const top = new TopGroups([{ by: 'src', limit: 1 }], () => now);
    const shown = async () => {
      await memory.list();
      return keys(await linesOf(memory, top));
    };
    assert.deepEqual(await shown(), ['10.0.0.1', 'other']);
    table.add({ ...flow(2), original: { ...flow(2).original, sport: 7 } });
    assert.deepEqual(await shown(), ['10.0.0.1', '10.0.0.2', 'other']);
    now += 299_000;
    assert.deepEqual(await shown(), ['10.0.0.1', '10.0.0.2', 'other']);
    now += 2000;
    assert.deepEqual(await shown(), ['10.0.0.2', 'other']);
    table.add({ ...flow(3), original: { ...flow(3).original, sport: 7 } });
    for (const port of [8, 9]) table.add({ ...flow(3), original: { ...flow(3).original, sport: port } });
    assert.deepEqual(await shown(), ['10.0.0.2', '10.0.0.3', 'other']);
    for (const one of table.flows) if (one.original.src === '10.0.0.2') table.expire(one);
    assert.deepEqual(await shown(), ['10.0.0.3', 'other']);
  });

  test('never more than twice as many, however they change', async () => {
    const table = new MemoryTable();
    await using memory = await MemoryMeter.over([table]);
    const top = new TopGroups([{ by: 'src', limit: 3 }], () => 0);
    for (let n = 1; n <= 20; n++) {
      for (let port = 0; port < n; port++) table.add({ ...flow(n), original: { ...flow(n).original, sport: port } });
      await memory.list();
      const shown = keys(await linesOf(memory, top));
      assert.ok(shown.length <= 7 && shown.includes(`10.0.0.${n}`), `${n}: ${shown}`);
    }
  });

  test('where the meter has no room for a grouping, its groups are cut, and that is told', async () => {
    await using memory = await MemoryMeter.over([new MemoryTable({ flows: [flow(1)] })]);
    for (const by of ['dst', 'pair', 'service', 'protocol', 'state', 'family'] as const) await memory.meter.groups({ by });
    const lines = await linesOf(memory, new TopGroups([{ by: 'src', limit: 7 }]));
    assert.deepEqual(keys(lines), []);
    assert.ok(lines.includes('conntrack_metrics_series_dropped 7'));
  });

  test('what cannot be is refused', () => {
    for (const groupings of [
      [{ by: 'nothing', limit: 1 }],
      [{ by: 'src', limit: 0 }],
      [{ by: 'src', limit: 101 }],
      [{ by: 'src', limit: 1.5 }],
      [
        { by: 'src', limit: 1 },
        { by: 'src', limit: 2 },
      ],
      Array.from({ length: 5 }, (_, n) => ({ by: `src/${n + 8}`, limit: 1 })),
    ])
      assert.throws(() => new TopGroups(groupings), ValueError, JSON.stringify(groupings));
  });
});

suite('the formats', () => {
  const family = (labels: Readonly<Record<string, string>>, value = 1): MetricFamily => ({
    name: 'x',
    type: 'gauge',
    help: 'About "x"\n\\.',
    samples: [{ labels, value }],
  });

  test('escape what must be', () => {
    const families = [family({ a: 'q"b\\n\n', b: '' })];
    assert.equal(writeMetrics(families, 'text'), '# HELP x About "x"\\n\\\\.\n# TYPE x gauge\nx{a="q\\"b\\\\n\\n",b=""} 1\n');
    assert.equal(
      writeMetrics(families, 'openmetrics'),
      '# HELP x About \\"x\\"\\n\\\\.\n# TYPE x gauge\nx{a="q\\"b\\\\n\\n",b=""} 1\n# EOF\n',
    );
  });

  test('have every number', () => {
    for (const [value, text] of [
      [0, '0'],
      [-1.5, '-1.5'],
      [1e21, '1e+21'],
      [2 ** 53, '9007199254740992'],
      [5e-324, '5e-324'],
      [Number.NaN, 'NaN'],
      [Number.POSITIVE_INFINITY, '+Inf'],
      [Number.NEGATIVE_INFINITY, '-Inf'],
    ] as const)
      assert.ok(writeMetrics([family({}, value)], 'openmetrics').includes(`\nx ${text}\n`), text);
  });

  test('have no names that Prometheus does not', () => {
    for (const name of ['', '1x', 'a-b', 'a b', 'é', 'a\nb'])
      assert.throws(() => writeMetrics([{ ...family({}), name }], 'text'), ValueError);
    for (const name of ['', '1x', 'a-b', 'a:b', 'a"'])
      assert.throws(() => writeMetrics([family({ [name]: '' })], 'text'), ValueError);
    assert.throws(() => writeMetrics([{ ...family({}), unit: 'bytes' }], 'text'), ValueError);
  });

  test('whatever a label says, it is read as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { maxLength: 5 }), (texts) => {
        const samples = [...new Set(texts)].map((text, value) => ({ labels: { a: text }, value }));
        const expected = new Map(samples.map(({ labels, value }) => [`x{a=${JSON.stringify(labels.a)}}`, value]));
        for (const format of ['text', 'openmetrics'] as const)
          assert.deepEqual(readMetrics(writeMetrics([{ ...family({}), samples }], format), format), expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('labels from outside are harmless, short, and never the same twice', () => {
    const row: FamilyRow<readonly string[]> = {
      name: 'x',
      type: 'counter',
      help: '.',
      labels: ['a'],
      read: (texts, add) => {
        for (const text of texts) add(1, text);
      },
    };
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\ud800', '\udfff', '\u202e', '\0', '\x1b]52;', 'a\nb', '"} 1\nx{a="', '�'),
      fc.string({ minLength: 190, maxLength: 300, unit: 'binary' }),
    );
    fc.assert(
      fc.property(fc.array(hostile, { maxLength: 20 }), (texts) => {
        const families = readFamilies([row], texts);
        const bytes = Buffer.from(writeMetrics(families, 'openmetrics'));
        const read = readMetrics(bytes.toString(), 'openmetrics');
        assert.equal(
          [...read.values()].reduce((sum, value) => sum + value, 0),
          texts.length,
        );
        for (const { labels } of families.flatMap(({ samples }) => samples)) {
          assert.ok(labels['a']!.length <= 200);
          // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
          assert.doesNotMatch(labels['a']!, /[\x00-\x1f\x7f-\x9f\u202a-\u202e\ufffe\uffff]/);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('are chosen by what the other end accepts', () => {
    const prometheus =
      'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,' +
      'text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
    for (const [accept, format] of [
      [prometheus, 'openmetrics'],
      [null, 'text'],
      ['', 'text'],
      ['*/*', 'text'],
      ['text/html,application/xhtml+xml,*/*;q=0.8', 'text'],
      ['application/openmetrics-text', 'openmetrics'],
      ['Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', 'openmetrics'],
      ['application/openmetrics-text; version=0.0.1', 'text'],
      ['application/openmetrics-text; version=2.0.0', 'text'],
      ['application/openmetrics-text;q=0, text/plain', 'text'],
      ['application/openmetrics-text;q=x', 'text'],
      ['application/openmetrics-text;q=0.3, text/plain;q=0.5', 'text'],
    ] as const)
      assert.equal(chooseFormat(accept), format, String(accept));
  });
});

suite('GET /metrics', () => {
  const OPEN = { accept: 'application/openmetrics-text; version=1.0.0' };
  const byHeader = ({ headers }: { headers: { get(name: string): string | null } }) =>
    (headers.get('x-role') ?? undefined) as 'read' | 'change' | undefined;

  test('has every family, and the same in both formats', async () => {
    const table = new MemoryTable({ accounting: true, maxEntries: 1000 });
    await using tester = await WebTester.start({ tables: [table], metricsTop: [{ by: 'src', limit: 5 }] });
    for (let n = 0; n < 200; n++) {
      table.add(flow(n));
      await tester.memory.list(5000);
    }
    await tester.ask('/metrics');
    await new Promise((resolve) => setTimeout(resolve, 100)); // the event loop is measured from the first scrape on
    const asked: readonly Asked[] = [{}, { headers: OPEN }];
    const [text, open] = [await tester.ask('/metrics', asked[0]), await tester.ask('/metrics', asked[1])];
    assert.equal(text.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(open.headers.get('content-type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8');
    const names = (read: ReadonlyMap<string, number>) => new Set([...read.keys()].map((key) => key.replace(/\{.*/, '')));
    const inText = names(readMetrics(text.text, 'text'));
    assert.deepEqual(names(readMetrics(open.text, 'openmetrics')), inText);
    const known = ROWS.map(sampleName);
    // A table in memory has no sysctls.
    assert.deepEqual([...inText].sort(), known.filter((name) => name !== 'conntrack_sysctl').sort());
  });

  test('counts what is asked and deleted, with few labels', async () => {
    const table = new MemoryTable({ flows: [flow(1), flow(2)] });
    await using tester = await WebTester.start({ tables: [table], allowChanges: true, authorize: byHeader });
    const headers = { 'x-role': 'change' };
    const { json } = await tester.ask('/api/v1/flows', { headers });
    for (const { key } of json.flows) await tester.ask(`/api/v1/flows/${key}`, { method: 'DELETE', headers });
    for (const path of ['/a', '/b', '/metrics/x']) await tester.ask(path);
    await tester.ask('/metrics');
    await tester.ask('/healthz', { method: 'HEAD' });
    await tester.ask('/healthz', { method: 'PROPFIND' });
    const stream = await tester.stream('/api/v1/stream', { headers });
    const lines = (await tester.ask('/metrics', { headers })).text.split('\n');
    await stream.cancel();
    assert.deepEqual(
      lines.filter((line) => /^conntrack_(http|deleted)/.test(line)),
      [
        'conntrack_deleted_total{role="change"} 2',
        'conntrack_http_requests_total{route="/api/v1/flows",method="GET",class="2xx"} 1',
        'conntrack_http_requests_total{route="/api/v1/flows/:key",method="DELETE",class="2xx"} 2',
        'conntrack_http_requests_total{route="other",method="GET",class="4xx"} 3',
        'conntrack_http_requests_total{route="/metrics",method="GET",class="4xx"} 1',
        'conntrack_http_requests_total{route="/healthz",method="HEAD",class="2xx"} 1',
        'conntrack_http_requests_total{route="other",method="other",class="4xx"} 1',
        'conntrack_http_requests_total{route="/api/v1/stream",method="GET",class="2xx"} 1',
        'conntrack_http_streams 1',
      ],
    );
  });

  test('needs a token, unless it is open', async () => {
    for (const metricsOnly of [false, true]) {
      await using closed = await WebTester.start({ authorize: byHeader, metricsOnly });
      assert.equal(await closed.refusal('/metrics'), '401 TOKEN');
      assert.equal((await closed.ask('/metrics', { headers: { 'x-role': 'read' } })).status, 200);
      await using open = await WebTester.start({ authorize: byHeader, metricsOnly, metricsOpen: true });
      assert.equal((await open.ask('/metrics')).status, 200);
      assert.equal((await open.ask('/api/v1/status')).status, metricsOnly ? 404 : 401);
    }
  });

  test('answers nobody else', async () => {
    await using tester = await WebTester.start();
    assert.equal(await tester.refusal('/metrics', { headers: { accept: 'text/html' } }), '406 TYPE');
    assert.equal(await tester.refusal('/metrics?x=1'), '400 VALUE');
    assert.equal(await tester.refusal('/metrics', { headers: { 'sec-fetch-site': 'cross-site' } }), '403 ORIGIN');
    const { text, status } = await tester.ask('/metrics', { method: 'HEAD' });
    assert.deepEqual([status, text], [200, '']);
  });

  test('says so when the meter has ended', async () => {
    await using tester = await WebTester.start({ metricsTop: [{ by: 'src', limit: 1 }] });
    tester.memory.meter.close();
    const { status } = await tester.ask('/metrics');
    assert.ok(status >= 500, String(status));
  });
});

test('docs/metrics.md has every family, as its row says', () => {
  const all = tableRows(page('docs/metrics.md').text).map((cells) => cells.map((cell) => cell.replaceAll('`', '')));
  const written = all.filter((cells) => cells.length === 4);
  const rows = [...ROWS, ...AGENT_FAMILIES, ...COLLECTOR_FAMILIES, ...RECORD_FAMILIES].map((row) => [
    sampleName(row),
    row.type,
    row.labels.join(', '),
    row.help,
  ]);
  assert.deepEqual(written, rows);
});
