// What is shipped for Prometheus, Grafana and systemd: it knows the metrics and options that there are.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { AGENT_FAMILIES } from '../../src/fleet/agent-metrics.js';
import { COLLECTOR_FAMILIES } from '../../src/fleet/collector-metrics.js';
import { RECORD_FAMILIES } from '../../src/history/record-metrics.js';
import { CUT_FAMILIES } from '../../src/metrics/collect-metrics.js';
import { GROUP_FAMILIES, METER_FAMILIES } from '../../src/metrics/meter-families.js';
import { PROCESS_FAMILIES } from '../../src/metrics/process-metrics.js';
import { sampleName } from '../../src/metrics/write-metrics.js';
import { WEB_FAMILIES } from '../../src/web/web-metrics.js';
import { wordByName } from '../../src/words/words.js';
import { PROJECT, readProjectFile } from '../support/project.js';

const LABELS = new Map<string, readonly string[]>(
  [
    ...METER_FAMILIES,
    ...PROCESS_FAMILIES,
    ...WEB_FAMILIES,
    ...GROUP_FAMILIES,
    ...CUT_FAMILIES,
    ...AGENT_FAMILIES,
    ...COLLECTOR_FAMILIES,
    ...RECORD_FAMILIES,
  ].map((row) => [sampleName(row), [...row.labels, 'instance', 'job']]),
);
/** Of the rules themselves, and of the range that Grafana puts in. */
const METRIC = /\b(?:conntrack|process|nodejs)_\w+/g;

/** Metrics and labels of an expression that there are not, and how many there are. */
function unknownIn(expression: string): { readonly unknown: readonly string[]; readonly known: number } {
  const names = [...expression.matchAll(METRIC)].map(([name]) => name);
  const labels = [...expression.matchAll(/\b((?:conntrack|process|nodejs)_\w+)\{([^}]*)\}/g)].flatMap(([, name, selectors]) =>
    [...selectors!.matchAll(/(\w+)(?:=~|!=|=)/g)]
      .map(([, label]) => label!)
      .filter((label) => !LABELS.get(name!)?.includes(label))
      .map((label) => `${name}{${label}}`),
  );
  return { unknown: [...names.filter((name) => !LABELS.has(name)), ...labels], known: names.length };
}

suite('the dashboard', () => {
  interface Panel {
    readonly title: string;
    readonly targets: readonly { readonly expr: string; readonly refId: string }[];
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  }
  interface Dashboard {
    readonly panels: readonly Panel[];
    readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
  }
  const made = async () => {
    const { dashboard } = (await import(pathToFileURL(`${PROJECT}/scripts/dashboard.mjs`).href)) as {
      dashboard: () => Dashboard;
    };
    return dashboard();
  };

  test('asks for metrics and labels that there are', async () => {
    const { panels, templating } = await made();
    const variables = templating.list.flatMap(({ definition = '' }) => definition);
    const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    assert.ok(expressions.length > 25);
    for (const expression of expressions) assert.ok(unknownIn(expression).known > 0, expression);
    assert.deepEqual(
      [...expressions, ...variables].flatMap((expression) => unknownIn(expression).unknown),
      [],
    );
  });

  test('uses variables that there are', async () => {
    const { panels, templating } = await made();
    const names = new Set([...templating.list.map(({ name }) => name), '__rate_interval']);
    const used = new Set(Array.from(JSON.stringify(panels).matchAll(/\$\{?(\w+)/g), ([, name]) => name!));
    assert.deepEqual(
      [...used].filter((name) => !names.has(name)),
      [],
    );
    assert.equal(used.size, names.size);
  });

  test('has panels that fill each row, and lie nowhere above each other', async () => {
    const { panels } = await made();
    const rows = new Map<number, number>();
    for (const { gridPos } of panels) rows.set(gridPos.y, (rows.get(gridPos.y) ?? 0) + gridPos.w);
    assert.deepEqual(new Set(rows.values()), new Set([24]));
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
  });
});

suite('the alerts', () => {
  const text = readProjectFile('deploy/prometheus/alerts.yml');
  const alerts = Array.from(text.matchAll(/- alert: (\w+)\n +expr: (.*)\n/g), ([, name, expr]) => ({ name: name!, expr: expr! }));

  test('ask for metrics that there are', () => {
    assert.ok(alerts.length >= 5);
    for (const { expr } of alerts) assert.ok(unknownIn(expr).known > 0, expr);
    assert.deepEqual(
      alerts.flatMap(({ expr }) => unknownIn(expr).unknown),
      [],
    );
  });

  test('are all tried, and all in docs/metrics.md', () => {
    const tests = readProjectFile('deploy/prometheus/alerts.test.yml');
    const docs = readProjectFile('docs/metrics.md');
    for (const { name } of alerts) {
      assert.ok(tests.includes(name), name);
      assert.ok(docs.includes(`\`${name}\``), name);
    }
  });
});

test('every metric that docs/metrics.md names is there', () => {
  const names = Array.from(
    readProjectFile('docs/metrics.md').matchAll(/`((?:conntrack|process|nodejs)_[a-z_0-9]+)`/g),
    ([, name]) => name!,
  );
  assert.ok(names.length > 30);
  assert.deepEqual(
    names.filter((name) => !LABELS.has(name)),
    [],
  );
});

suite('the units', () => {
  const files = readdirSync(`${PROJECT}/deploy/systemd`);
  const options = Object.keys(wordByName('serve')!.options);

  test('start the command with options that it has', () => {
    let lines = 0;
    for (const file of files)
      for (const [, words] of readProjectFile(`deploy/systemd/${file}`).matchAll(
        /^ExecStart=\/usr\/local\/bin\/conntrack serve(.*)$/gm,
      )) {
        lines++;
        for (const [, option] of words!.matchAll(/ --([\w-]+)/g)) assert.ok(options.includes(option!), `${file}: --${option}`);
      }
    assert.equal(lines, 3);
  });

  test('are all named in docs/serve.md', () => {
    const docs = readProjectFile('docs/serve.md');
    for (const file of files) assert.ok(docs.includes(file), file);
  });
});
