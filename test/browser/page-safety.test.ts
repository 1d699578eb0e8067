// The page against hostile texts, wrong tokens, servers that go and come, and for those who cannot see it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { FLOWS } from '../support/population.js';
import { READ_TOKEN, rows, ServedPage, until } from '../support/served-page.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '"><script>alert(2)</script>',
  "javascript:alert(3)//'",
  '{{constructor.constructor("alert(4)")()}}',
];
let served: ServedPage;

before(async () => {
  served = await ServedPage.start('pagesafe', { flows: FLOWS });
});
afterEach(() => served.closePages());
after(() => served[Symbol.asyncDispose]());

async function assertAccessible(page: Page, where: string): Promise<void> {
  await page.evaluate(AXE);
  const violations = (await page.evaluate(
    'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, nodes[0].html.slice(0, 200), nodes[0].failureSummary]))',
  )) as unknown[];
  assert.deepEqual(violations, [], where);
}

/** No element came of a text. */
async function assertHarmless(page: Page): Promise<void> {
  assert.equal(await page.locator('img, iframe, object, embed, script:not([src^="assets/"])').count(), 0);
  assert.equal(await page.locator('a[href^="javascript:"]').count(), 0);
}

suite('the page', () => {
  for (const colorScheme of ['light', 'dark'] as const)
    for (const [width, height] of [
      [1440, 900],
      [390, 844],
    ] as const)
      test(`is accessible: ${colorScheme}, ${width} wide`, async () => {
        const page = await served.opened('', { colorScheme, viewport: { width, height } });
        await assertAccessible(page, 'flows');
        await rows(page).nth(2).click();
        await page.locator('.words-of-flow').waitFor();
        await assertAccessible(page, 'details');
        await page.keyboard.press('Escape');
        await page.locator('.bell').click();
        await page.locator('dialog .findings li').first().waitFor();
        await assertAccessible(page, 'findings');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Delete…' }).last().click();
        await page.locator('dialog .largest li').first().waitFor();
        await assertAccessible(page, 'deletion');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Help' }).click();
        await page.locator('dialog').waitFor();
        await assertAccessible(page, 'help');
      });

  test('shows names from outside as text, wherever they stand', async () => {
    const page = await served.open('by=helper');
    const answers = new Map<string, Promise<unknown>>();
    await page.route('**/api/v1/**', async (route) => {
      const url = route.request().url();
      if (url.endsWith('/stream')) return route.continue();
      const path = url.slice(url.indexOf('/api/v1/') + '/api/v1/'.length);
      const answer = answers.get(path) ?? served.api(path);
      answers.set(path, answer);
      const json = (await answer) as Record<string, unknown>;
      const name = HOSTILE.join(' ');
      const spoil = (value: unknown): unknown => {
        if (Array.isArray(value)) return value.map(spoil);
        if (value === null || typeof value !== 'object') return value;
        return Object.fromEntries([
          ...Object.entries(value).map(([key, inner]) => [key, spoil(inner)]),
          ...('original' in value && 'reply' in value && 'protocol' in value
            ? [
                ['helper', name],
                ['state', name],
                ['labels', HOSTILE],
                ['status', HOSTILE],
              ]
            : []),
          ...('counters' in value ? [['netns', name]] : []),
        ]);
      };
      const spoiled = spoil(json) as Record<string, unknown>;
      if ('host' in spoiled)
        Object.assign(spoiled, { host: name, scope: name, notices: [{ code: 'SLOW', text: name, remedy: name, netns: name }] });
      const finding = { id: 'x', severity: 'error', title: name, detail: HOSTILE, fix: HOSTILE, netns: name };
      if ('findings' in spoiled) spoiled['findings'] = [finding];
      if ('facts' in spoiled)
        Object.assign(spoiled, { problems: [finding], facts: HOSTILE.map((text) => ({ about: 'status', text })) });
      if ('groups' in spoiled) spoiled['groups'] = HOSTILE.map((key) => ({ key, filter: key, flows: 3, unreplied: 1 }));
      return route.fulfill({ json: spoiled });
    });
    await page.reload();
    await rows(page).first().waitFor();
    await page.getByText('Columns', { exact: true }).click();
    for (const name of ['netns', 'helper', 'labels']) await page.getByRole('checkbox', { name }).check();
    await page.getByText('Columns', { exact: true }).click();
    await until('the helper', async () =>
      ((await page.locator('.cell.helper').first().textContent()) ?? '').includes(HOSTILE[0]!),
    );
    await rows(page).first().click();
    await page.locator('.words-of-flow').getByText(HOSTILE[0]!).first().waitFor();
    await page.locator('.drawer .findings').getByText(HOSTILE[0]!).first().waitFor();
    await page.locator('.bell').click();
    await page.locator('dialog .findings').getByText(HOSTILE[0]!).first().waitFor();
    await assertHarmless(page);
    await page.keyboard.press('Escape');
    await page
      .getByText(`${HOSTILE.join(' ')}: ${HOSTILE.join(' ')}`)
      .first()
      .waitFor();
    assert.equal(await page.locator('.groups tbody tr').count(), HOSTILE.length);
    await assertHarmless(page);
    await page.unrouteAll({ behavior: 'ignoreErrors' });
  });

  test('shows a filter and an address as text, whatever they are', async () => {
    const page = await served.opened();
    const input = page.getByRole('combobox', { name: 'Filter', exact: true });
    for (const text of HOSTILE) {
      await input.fill(text);
      await until('an alert', async () => ((await page.getByRole('alert').textContent()) ?? '') !== '');
      await input.press('Enter');
      await assertHarmless(page);
    }
    const hostile = HOSTILE.map(encodeURIComponent).join('+');
    const parts = ['filter', 'by', 'sort', 'chart', 'range', 'flow', 'columns', 'unit'].map((part) => `${part}=${hostile}`);
    const other = await served.open(parts.join('&'));
    await other.locator('.link.live').waitFor();
    await delay(500);
    await assertHarmless(other);
  });

  test('asks for a token, refuses a wrong one, and keeps the right one', async () => {
    const page = await served.open('filter=udp', {}, 'wrong-token-wrong-token-wrong');
    await page.getByLabel('Token').fill('another-wrong-one-another-wrong');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByLabel('Token').waitFor();
    await delay(1100); // ten wrong ones in a second would be too many
    await page.getByLabel('Token').fill(READ_TOKEN);
    await page.getByRole('button', { name: 'Open' }).click();
    await rows(page).first().waitFor();
    assert.match(page.url(), /#filter=udp$/);
  });

  test('offers no deletion to those who may only read', async () => {
    const page = await served.opened('', {}, READ_TOKEN);
    await page.getByText('read-only').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Delete…' }).count(), 0);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('x');
    await until('a word', async () => /only read/.test((await page.locator('.message').textContent()) ?? ''));
    assert.equal(await page.locator('dialog').count(), 0);
  });

  test('lets go of its stream when nobody sees it, and takes it up again', async () => {
    const page = await served.opened();
    await page.locator('.link.live').waitFor();
    let opened = 0;
    let ended = 0;
    page.on('request', (request) => {
      if (request.url().endsWith('/stream')) opened++;
    });
    page.on('requestfailed', (request) => {
      if (request.url().endsWith('/stream')) ended++;
    });
    const see = (state: string) =>
      page.evaluate(
        `Object.defineProperty(document, 'visibilityState', { configurable: true, value: '${state}' }); document.dispatchEvent(new Event('visibilitychange'))`,
      );
    await see('hidden');
    await until('the end of the stream', async () => ended === 1);
    await delay(500);
    assert.equal(opened, 0);
    const last = page.waitForRequest((request) => request.url().endsWith('/stream'));
    await see('visible');
    assert.match((await (await last).allHeaders())['last-event-id'] ?? '', /^[0-9a-f]+-\d+$/);
    await page.locator('.link.live').waitFor();
  });

  test('comes back when its server does', async () => {
    const page = await served.opened();
    await page.locator('.link.live').waitFor();
    await served.stopServer();
    await page.getByText('reconnecting').waitFor();
    await served.startServer();
    await page.locator('.link.live').waitFor();
    await until('flows', async () => (await rows(page).count()) > 10);
  });
});
