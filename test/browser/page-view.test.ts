// What the page shows, and how it is used, with mouse and keyboard.

import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { FLOWS } from '../support/population.js';
import { column, rows, ServedPage, udpFlows, until } from '../support/served-page.js';

const MANY = 1500;
/** Flows of as many sources. */
const SOURCES = Array.from({ length: 40 }, (_, n) => udpFlows(1, `10.8.0.${n + 1}`, 4434)[0]!);
/** Flows that a test ends. */
const ENDING = [1, 2, 3, 4].map((host) => udpFlows(1, `10.7.0.${host}`, 4436)[0]!);
let served: ServedPage;

before(async () => {
  served = await ServedPage.start('pageview', { flows: [...FLOWS, ...udpFlows(MANY, '10.9.0.1', 4433), ...SOURCES, ...ENDING] });
});
afterEach(() => served.closePages());
after(() => served[Symbol.asyncDispose]());

const input = (page: Page) => page.getByRole('combobox', { name: 'Filter', exact: true });
const matched = (page: Page) => page.locator('.matched b').textContent();

async function filterBy(page: Page, text: string): Promise<void> {
  await input(page).fill(text);
  await input(page).press('Enter');
}

suite('the page', () => {
  test('shows all flows of the table, how full it is, and keeps the token out of its address', async () => {
    const page = await served.opened();
    const { total } = (await served.api('flows?limit=0')) as { total: number };
    assert.ok(total >= MANY + FLOWS.length);
    await until('the number of flows', async () => Number((await matched(page))?.replace(',', '')) >= MANY + FLOWS.length);
    assert.equal(await page.getByRole('meter').getAttribute('aria-valuemax'), '262144');
    assert.doesNotMatch(page.url(), /token/);
    assert.match(await page.evaluate("sessionStorage.getItem('conntrack-token')"), /a-token/);
    assert.match(await page.title(), /^conntrack · /);
    await page.reload();
    await rows(page).first().waitFor();
  });

  test('has traffic: rates of flows, of groups and in the chart', async () => {
    const { namespace } = served;
    await namespace.ask('udpServe', '127.0.0.9', 5009);
    const page = await served.open('filter=udp+and+dst+port+5009&by=service');
    let isOver = false;
    const talking = (async () => {
      while (!isOver) {
        await namespace.ask('udpSend', ['127.0.0.8', 5008], ['127.0.0.9', 5009], { count: 200, size: 1000, answers: true });
        await delay(20);
      }
    })();
    try {
      await until('a rate', async () => (await column(page, 'original')).some((text) => /\d[kM]$/.test(text)));
      await until('a rate of the group', async () =>
        /udp 5009.*\d[kM]/.test((await page.locator('.groups tbody').textContent()) ?? ''),
      );
      await until('a line', async () => ((await page.locator('.area .in path').last().getAttribute('d')) ?? '').includes('L'));
      assert.match((await page.locator('.line-chart').getAttribute('aria-label')) ?? '', /^rate: → now [\d.]+[kM]?/);
    } finally {
      isOver = true;
      await talking;
    }
    await page.getByRole('button', { name: 'table', exact: true }).click();
    assert.ok((await page.getByRole('region', { name: 'History as a table' }).locator('tbody tr').count()) > 10);
  });

  test('sorts by a click on a title, and the other way round', async () => {
    const page = await served.opened('filter=udp+and+dst+port+4434');
    await page.getByRole('button', { name: 'SOURCE' }).click();
    await until('ascending', async () => (await column(page, 'source'))[0] === '10.8.0.1:10000');
    assert.equal(await page.getByRole('columnheader', { name: 'SOURCE' }).getAttribute('aria-sort'), 'ascending');
    const sorted = await column(page, 'source');
    assert.deepEqual(
      sorted.slice(0, 5),
      [1, 2, 3, 4, 5].map((n) => `10.8.0.${n}:10000`),
    );
    await page.getByRole('button', { name: 'SOURCE' }).click();
    await until('descending', async () => (await column(page, 'source'))[0] === '10.8.0.40:10000');
    assert.equal(await page.getByRole('columnheader', { name: 'SOURCE' }).getAttribute('aria-sort'), 'descending');
    await until('the address', async () => /sort=src&reverse=1/.test(page.url()));
  });

  test('scrolls to the last of many rows with a small document', async () => {
    const page = await served.opened('filter=udp+and+dst+port+4433&sort=sport');
    await page.locator('.grid').evaluate((grid) => {
      grid.scrollTop = grid.scrollHeight;
    });
    await until(
      'the last row',
      async () => (await column(page, 'source')).includes(`10.9.0.1:${10_000 + MANY - 1}`),
      10,
      async () =>
        `${await page.locator('.grid').evaluate((grid) => `${grid.scrollTop} of ${grid.scrollHeight}`)} ${await column(page, 'source')}`,
    );
    assert.ok((await page.locator('*').count()) < 1500);
    assert.equal(await page.locator('.grid').getAttribute('aria-rowcount'), String(MANY + 1));
  });

  test('says where a filter is wrong, completes its words, and has it in the address', async () => {
    const page = await served.opened();
    await input(page).fill('tcp and dst prt 80');
    await until('a mark', async () => (await page.locator('.mirror mark').textContent()) === 'prt');
    assert.equal(await input(page).getAttribute('aria-invalid'), 'true');
    assert.match((await page.getByRole('alert').textContent()) ?? '', /prt/);
    await input(page).fill('tcp and dst por');
    await page.locator('#filter-words').getByRole('option').first().waitFor();
    await input(page).press('Tab');
    await until('the word', async () => /^tcp and dst port/.test(await input(page).inputValue()));
    await filterBy(page, 'tcp and dst port 443');
    await until('fewer', async () => Number(await matched(page)) === 2);
    await until('the address', async () => /#filter=tcp\+and\+dst\+port\+443/.test(page.url()));
    await page.goBack();
    await until('all', async () => Number((await matched(page))?.replace(',', '')) > MANY);
    await page.goForward();
    await until('fewer again', async () => Number(await matched(page)) === 2);
  });

  test('shows in another tab what its address says', async () => {
    const page = await served.opened('filter=src+10.9.0.1&by=dst/24,64&sort=dst&reverse=1&chart=flows&range=7200&groups=flows');
    await until('the filter', async () => (await matched(page)) === '1,500');
    assert.equal(await input(page).inputValue(), 'src 10.9.0.1');
    await until('groups', async () => ((await page.locator('.groups tbody').textContent()) ?? '').includes('198.51.100.0/24'));
    assert.equal(await page.getByRole('button', { name: '2 h' }).getAttribute('aria-pressed'), 'true');
    assert.equal(await page.getByRole('columnheader', { name: 'DESTINATION' }).getAttribute('aria-sort'), 'descending');
  });

  test('says that a filter of the address is wrong', async () => {
    const page = await served.open('filter=nonsense+and+more');
    await until('an alert', async () => /nonsense/.test((await page.getByRole('alert').textContent()) ?? ''));
  });

  test('narrows down to a group by a click', async () => {
    const page = await served.opened('by=service&groups=flows&filter=udp');
    await page.getByRole('button', { name: 'udp 4433' }).click();
    await until('the flows of the group', async () => (await matched(page)) === '1,500');
    assert.match(await input(page).inputValue(), /udp.* and \(?.*4433/);
  });

  test('is used without a mouse', async () => {
    const page = await served.opened('filter=udp+and+dst+port+4433&sort=sport');
    const press = (key: string) => page.keyboard.press(key);
    const current = () => page.locator('.row.cursor .cell.source').textContent();
    await press('ArrowDown');
    await until('the first row', async () => (await current()) === '10.9.0.1:10000');
    await press('j');
    await press('PageDown');
    await until('a later row', async () => Number((await current())?.split(':')[1]) > 10_005);
    await press('Home');
    await until('the first row again', async () => (await current()) === '10.9.0.1:10000');
    await press('Enter');
    await page.getByRole('complementary', { name: 'Details of the flow' }).getByText('10.9.0.1:10000').first().waitFor();
    await press('Escape');
    await until('no details', async () => (await page.locator('.drawer').count()) === 0);
    await press('t');
    await press('j');
    await press('t');
    await until('two', async () => /^2 selected/.test((await page.locator('.chosen').textContent()) ?? ''));
    await press('x');
    await until('Cancel', async () => (await page.locator('dialog button:focus').textContent()) === 'Cancel');
    await press('Enter');
    await until('no dialog', async () => (await page.locator('dialog').count()) === 0);
    await press('T');
    await press('r');
    await until('reversed', async () => (await column(page, 'source'))[0] === `10.9.0.1:${10_000 + MANY - 1}`);
    await press(' ');
    await until('paused', async () => /^paused/.test((await page.locator('.link').textContent()) ?? ''));
    await press(' ');
    await press('5');
    await until('the address', async () => /by=service/.test(page.url()));
    await press('s');
    await press('b');
    await until('the address', async () => /sort=bytes/.test(page.url()));
    await press('g');
    await press('d');
    await until('the address', async () => /by=dst/.test(page.url()));
    await press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await press('Escape');
    await press('/');
    await until('the filter', async () => (await page.locator(':focus').getAttribute('id')) === 'filter');
  });

  test('shows the ways of a flow through NAT, and explains it', async () => {
    const page = await served.opened('filter=src+port+7004+and+udp');
    await rows(page).first().click();
    const drawer = page.getByRole('complementary');
    await drawer.getByText('source becomes 203.0.113.5:1').waitFor();
    await drawer.getByText('destination becomes 203.0.113.9:2').waitFor();
    await drawer.getByText('SRC_NAT: this host translates its source').waitFor();
    await drawer.getByText('net.netfilter.nf_conntrack_udp_timeout').waitFor();
    await drawer.locator('.findings').getByText('203.0.113.5').first().waitFor();
    await drawer.getByText('JSON', { exact: true }).click();
    assert.match((await drawer.locator('pre').textContent()) ?? '', /"protocol": "udp"/);
  });

  test('has columns to choose, and the choice in its address', async () => {
    const page = await served.opened();
    await page.getByText('Columns', { exact: true }).click();
    await page.getByRole('checkbox', { name: 'mark' }).check();
    await page.getByRole('columnheader', { name: 'MARK' }).waitFor();
    await until('the address', async () => /columns=[\w%]*mark/.test(page.url()));
  });

  test('shows the same as command lines', async () => {
    const page = await served.opened('filter=udp+and+dst+port+4433');
    await page.getByRole('button', { name: 'As command' }).click();
    const line = page.getByText('conntrack -L --filter ');
    const [, filter] = /--filter '(.*)'$/.exec((await line.textContent()) ?? '') ?? [];
    assert.equal((await served.listed('--filter', filter!)).length, MANY);
  });

  test('strikes flows through that have ended, and lets the order stand', async () => {
    const page = await served.opened('filter=udp+and+dst+port+4436&sort=src');
    const [ended, matched] = [page.locator('.row.ended'), page.locator('.matched b')];
    const remove = (host: number) => served.run('-D', '-p', 'udp', '-s', `10.7.0.${host}`);
    await until('all', async () => (await matched.textContent()) === '4');
    // Two samples may be over before one looks.
    await page.evaluate(`new MutationObserver(() => {
      for (const row of document.querySelectorAll('.row.ended')) window.wasStruck = row.textContent;
    }).observe(document.querySelector('.layer'), { subtree: true, attributes: true })`);
    await remove(2);
    await until('fewer', async () => (await matched.textContent()) === '3');
    await until('a row that was struck through', async () => /10\.7\.0\.2/.test((await page.evaluate('window.wasStruck')) ?? ''));
    await until('no longer', async () => (await ended.count()) === 0);
    await page.keyboard.press('o');
    await until('held', async () => /order stands/.test((await page.locator('.message').textContent()) ?? ''));
    await remove(3);
    // On a busy machine the one before may be among them: it had not gone yet when the order was held.
    await until('struck through', async () => /10\.7\.0\.3/.test((await ended.allTextContents()).join()));
    await page.keyboard.press('o');
    await until('gone', async () => (await ended.count()) === 0 && (await matched.textContent()) === '2');
    await page.keyboard.press('e');
    await until('the address', async () => /ended=off/.test(page.url()));
    await page.keyboard.press('a');
    await until('the address', async () => /rates=rate/.test(page.url()));
    await page.keyboard.press('i');
    await page.getByRole('dialog', { name: 'What conntrack doctor finds' }).getByText('a list takes').waitFor();
  });

  test('shows who had most in a minute of the past, by a click in the chart, and goes back to now', async () => {
    const page = await served.opened('range=86400');
    const past = page.locator('.past');
    await until('a chart', async () => (await page.locator('.times span').count()) > 0);
    await page.locator('.area').click({ position: { x: 40, y: 40 } });
    await page.getByText('nothing is remembered of that minute').waitFor();
    assert.match(page.url(), /at=\d+/);
    await page.getByRole('button', { name: 'Now', exact: true }).click();
    await until('now', async () => (await past.count()) === 0 && !/at=/.test(page.url()));
    const group = { key: '10.8.0.77', filter: 'src 10.8.0.77', flows: 12, unreplied: 0 };
    const answer = { by: 'src', minute: 0, from: 'memory', matched: 20, groups: [group], count: 1 };
    await page.route('**/groups?at=*', (route) => route.fulfill({ json: answer }));
    await page.locator('.area').click({ position: { x: 80, y: 40 } });
    await page.locator('.groups').getByRole('button', { name: '10.8.0.77' }).waitFor();
    assert.match((await past.textContent()) ?? '', /^\d.*\d\d:\d\d ?all flows, at its end ?Now$/);
    assert.equal(await page.locator('.area .marked').count(), 1);
    await page.keyboard.press('0');
    await until('now', async () => (await past.count()) === 0);
  });

  test('stands still while it is paused', async () => {
    const page = await served.open('filter=udp+and+dst+port+4477');
    await until('nothing', async () => (await matched(page)) === '0');
    await page.getByRole('button', { name: 'Pause' }).click();
    await served.namespace.ask('udpServe', '127.0.0.9', 4477, true);
    await served.namespace.ask('udpSend', ['127.0.0.8', 4478], ['127.0.0.9', 4477], { count: 1, size: 10, answers: false });
    await delay(2500);
    assert.equal(await matched(page), '0');
    await page.getByRole('button', { name: 'Go on' }).click();
    await until('the new flow', async () => (await matched(page)) === '1');
  });

  test('fits a telephone: rows are cards, and nothing is wider than the screen', async () => {
    const page = await served.opened('', { viewport: { width: 320, height: 700 } });
    assert.equal(await page.locator('.grid.cards').count(), 1);
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320);
    await page.getByRole('combobox', { name: 'Sort by' }).selectOption('src');
    await until('sorted', async () => /sort=src/.test(page.url()));
  });

  test('does not move while its numbers change', async () => {
    const page = await served.opened();
    await delay(1500);
    const places = () =>
      page
        .locator(
          'header > *, .gauge-line > *, .panel-head > *, .readout > *, .flows-head > *, [role=columnheader], footer > *, .grid, .panel',
        )
        .evaluateAll((all) => all.map((one) => `${one.className} ${JSON.stringify(one.getBoundingClientRect())}`));
    const before = await places();
    for (let n = 0; n < 20; n++) {
      await delay(200);
      assert.deepEqual(await places(), before);
    }
  });
});
