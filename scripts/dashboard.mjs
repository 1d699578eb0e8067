// The Grafana dashboard of the metrics, from a row for each panel: title, what it asks, unit. scripts/build.mjs writes it to
// dist/grafana/conntrack.json. Grafana 10 and later.

const HERE = 'instance=~"$instance", netns=~"$netns"';
const RATE = '[$__rate_interval]';
/** Metric with the selection of the page, and further labels. */
const of = (metric, labels = '') => `${metric}{${HERE}${labels && `, ${labels}`}}`;
const rate = (metric, labels) => `rate(${of(metric, labels)}${RATE})`;

/** Panels of a row have the same height; `width` is of 24. */
const ROWS = [
  {
    height: 4,
    panels: [
      {
        title: 'Table in use',
        kind: 'gauge',
        unit: 'percentunit',
        max: 1,
        thresholds: [
          [0, 'green'],
          [0.8, 'orange'],
          [0.95, 'red'],
        ],
        asks: [[`max(${of('conntrack_entries')} / ${of('conntrack_entries_limit')})`, 'in use']],
      },
      {
        title: 'Full in',
        help: 'If the table goes on growing as in the last minutes; empty unless it grows.',
        unit: 's',
        asks: [[`min(${of('conntrack_entries_full_seconds')})`, 'full in']],
      },
      { title: 'Flows', unit: 'short', asks: [[`sum(${of('conntrack_flows')})`, 'flows']] },
      { title: 'New flows', unit: 'cps', asks: [[`sum(${rate('conntrack_begun_total')})`, 'new']] },
      {
        title: 'Without an answer',
        help: 'High shares are what scans look like.',
        unit: 'percentunit',
        thresholds: [
          [0, 'green'],
          [0.5, 'orange'],
        ],
        asks: [[`sum(${of('conntrack_flows_unreplied')}) / sum(${of('conntrack_flows')})`, 'unreplied']],
      },
      {
        title: 'Dropped in the last hour',
        help: 'Packets of new flows, and entries that made room for others: the table was full.',
        unit: 'short',
        thresholds: [
          [0, 'green'],
          [1, 'red'],
        ],
        asks: [
          [
            `sum(increase(${of('conntrack_stat_drop_total')}[1h])) + sum(increase(${of('conntrack_stat_early_drop_total')}[1h]))`,
            'dropped',
          ],
        ],
      },
    ],
  },
  {
    height: 8,
    panels: [
      {
        title: 'Entries',
        kind: 'timeseries',
        unit: 'short',
        asks: [
          [`sum by (instance, netns) (${of('conntrack_entries')})`, '{{instance}} {{netns}}'],
          [`sum by (instance, netns) (${of('conntrack_entries_limit')})`, 'limit {{instance}} {{netns}}'],
        ],
      },
      {
        title: 'Traffic',
        help: 'Original is the direction of the first packet. Needs net.netfilter.nf_conntrack_acct=1.',
        kind: 'timeseries',
        unit: 'bps',
        asks: [[`8 * sum by (direction) (${rate('conntrack_bytes_total')})`, '{{direction}}']],
      },
    ],
  },
  {
    height: 8,
    panels: [
      {
        title: 'New flows by protocol',
        kind: 'timeseries',
        unit: 'cps',
        asks: [[`sum by (protocol) (${rate('conntrack_begun_total')})`, '{{protocol}}']],
      },
      {
        title: 'Ended flows by protocol',
        kind: 'timeseries',
        unit: 'cps',
        asks: [[`sum by (protocol) (${rate('conntrack_ended_total')})`, '{{protocol}}']],
      },
      {
        title: 'Packets',
        kind: 'timeseries',
        unit: 'pps',
        asks: [[`sum by (direction) (${rate('conntrack_packets_total')})`, '{{direction}}']],
      },
    ],
  },
  {
    height: 8,
    panels: [
      {
        title: 'Flows by protocol',
        kind: 'timeseries',
        stacked: true,
        unit: 'short',
        asks: [[`sum by (protocol) (${of('conntrack_flows')})`, '{{protocol}}']],
      },
      {
        title: 'TCP by state',
        kind: 'timeseries',
        stacked: true,
        unit: 'short',
        asks: [[`sum by (state) (${of('conntrack_flows', 'protocol="tcp"')}) > 0`, '{{state}}']],
      },
      {
        title: 'Flows of a kind',
        kind: 'timeseries',
        unit: 'short',
        asks: [
          [`sum(${of('conntrack_flows_unreplied')})`, 'unreplied'],
          [`sum(${of('conntrack_flows_assured')})`, 'assured'],
          [`sum(${of('conntrack_flows_offloaded')})`, 'offloaded'],
          [`sum by (kind) (${of('conntrack_flows_nat')})`, '{{kind}} NAT'],
        ],
      },
    ],
  },
  {
    height: 9,
    panels: [
      {
        title: 'Groups with most flows',
        help: 'Needs --metrics-top, such as --metrics-top src=20.',
        kind: 'timeseries',
        unit: 'short',
        asks: [['conntrack_group_flows{instance=~"$instance", by=~"$by", key!="other"}', '{{key}}']],
      },
      {
        title: 'Groups with most traffic',
        help: 'Both directions. Needs --metrics-top.',
        kind: 'timeseries',
        unit: 'bps',
        asks: [
          ['8 * sum by (by, key) (conntrack_group_bytes_per_second{instance=~"$instance", by=~"$by", key!="other"})', '{{key}}'],
        ],
      },
    ],
  },
  {
    height: 7,
    panels: [
      {
        title: 'What went wrong',
        kind: 'timeseries',
        unit: 'cps',
        asks: [
          [`sum(${rate('conntrack_stat_drop_total')})`, 'drop'],
          [`sum(${rate('conntrack_stat_early_drop_total')})`, 'early drop'],
          [`sum(${rate('conntrack_stat_insert_failed_total')})`, 'insert failed'],
          [`sum(${rate('conntrack_stat_invalid_total')})`, 'invalid'],
          [`sum(${rate('conntrack_stat_error_total')})`, 'error'],
          [`sum(${rate('conntrack_stat_chaintoolong_total')})`, 'chain too long'],
        ],
      },
      {
        title: 'Events',
        kind: 'timeseries',
        unit: 'cps',
        asks: [
          [`sum by (type) (${rate('conntrack_events_total')})`, '{{type}}'],
          [`sum(${rate('conntrack_events_lost_total')})`, 'lost (times)'],
        ],
      },
      {
        title: 'What this costs',
        kind: 'timeseries',
        unit: 'percentunit',
        asks: [
          [
            `rate(process_cpu_seconds_total{instance=~"$instance"}${RATE}) and on (instance) conntrack_info`,
            'processor {{instance}}',
          ],
          [`sum by (instance) (${rate('conntrack_sweep_cpu_seconds_total')})`, 'of it lists {{instance}}'],
        ],
      },
      {
        title: 'Memory',
        kind: 'timeseries',
        unit: 'bytes',
        asks: [['process_resident_memory_bytes{instance=~"$instance"} and on (instance) conntrack_info', '{{instance}}']],
      },
    ],
  },
];

const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
const variable = (name, label, query) => ({
  name,
  label,
  type: 'query',
  datasource: DATASOURCE,
  query: { query, refId: name },
  definition: query,
  refresh: 2,
  sort: 1,
  multi: true,
  includeAll: true,
  // Also where there is no such label.
  allValue: '.*',
  current: { text: 'All', value: '$__all' },
});

/** The dashboard, as Grafana imports it. */
export function dashboard() {
  let y = 0;
  let id = 0;
  const panels = ROWS.flatMap(({ height, panels: row }) => {
    const width = 24 / row.length;
    const made = row.map((panel, n) => ({
      id: ++id,
      ...panelOf(panel),
      gridPos: { x: n * width, y, w: width, h: height },
    }));
    y += height;
    return made;
  });
  return {
    uid: 'conntrack',
    title: 'Connection tracking',
    description: 'Metrics of conntrack serve',
    tags: ['conntrack', 'netfilter'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {} },
        variable('instance', 'Instance', 'label_values(conntrack_entries, instance)'),
        variable('netns', 'Namespace', 'label_values(conntrack_entries{instance=~"$instance"}, netns)'),
        variable('by', 'Groups', 'label_values(conntrack_group_flows{instance=~"$instance"}, by)'),
      ],
    },
    annotations: { list: [] },
    panels,
  };
}

function panelOf({ title, help, kind = 'stat', unit, max, thresholds = [[0, 'green']], stacked = false, asks }) {
  const isGraph = kind === 'timeseries';
  const steps = thresholds.map(([value, color], n) => ({ color, value: n === 0 ? null : value }));
  return {
    title,
    ...(help === undefined ? {} : { description: help }),
    type: kind,
    datasource: DATASOURCE,
    targets: asks.map(([expr, legendFormat], n) => ({
      refId: String.fromCharCode(65 + n),
      datasource: DATASOURCE,
      expr,
      legendFormat,
      ...(isGraph ? { range: true } : { instant: true }),
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(max === undefined ? {} : { max }),
        color: { mode: isGraph ? 'palette-classic' : 'thresholds' },
        thresholds: { mode: 'absolute', steps },
        ...(isGraph
          ? {
              custom: {
                lineWidth: 1,
                fillOpacity: stacked ? 40 : 10,
                showPoints: 'never',
                stacking: { mode: stacked ? 'normal' : 'none', group: 'A' },
              },
            }
          : {}),
      },
      overrides: [],
    },
    options: isGraph
      ? { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } }
      : { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false } },
  };
}
