// Deletions from the page, which delete flows of a real table.

import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import type { Page } from 'playwright-core';
import { newFlow } from '../support/netlink.js';
import { rows, ServedPage, udpFlows, until } from '../support/served-page.js';

let served: ServedPage;

before(async () => {
  served = await ServedPage.start('pagedel', {
    flows: [...udpFlows(150, '10.9.0.1', 4433), ...udpFlows(5, '10.9.0.2', 4434), ...udpFlows(3, '10.9.0.3', 4435)],
  });
});
afterEach(() => served.closePages());
after(() => served[Symbol.asyncDispose]());

const count = async (source: string) => (await served.listed('-s', source)).length;
const dialog = (page: Page) => page.getByRole('dialog');
const remove = (page: Page) => dialog(page).getByRole('button', { name: 'Delete', exact: true });
const message = (page: Page) => page.locator('.message').textContent();

suite('the page deletes', () => {
  test('one flow from its details, and says what came back', async () => {
    const page = await served.opened('filter=src+10.9.0.3&sort=sport');
    await rows(page).first().click();
    await page.getByRole('complementary').getByRole('button', { name: 'Delete…' }).click();
    await dialog(page).getByText('Delete this flow?').waitFor();
    assert.match((await dialog(page).textContent()) ?? '', /udp 10\.9\.0\.3:10000 → 198\.51\.100\.1:4435/);
    await remove(page).click();
    await until('the result', async () => /^Deleted 1/.test((await message(page)) ?? ''));
    assert.equal(await count('10.9.0.3'), 2);
    await served.namespace.netlink([newFlow(udpFlows(1, '10.9.0.3', 4435)[0]!)]);
    await until('what came back', async () => /1 came back within 5 s/.test((await message(page)) ?? ''));
  });

  test('those that are selected, and no others', async () => {
    const page = await served.opened('filter=src+10.9.0.2&sort=sport');
    await rows(page).nth(4).waitFor();
    for (const port of [10_001, 10_003])
      await rows(page)
        .filter({ hasText: `10.9.0.2:${port}` })
        .locator('.box')
        .click();
    await page.locator('footer').getByRole('button', { name: 'Delete…' }).click();
    await dialog(page).getByText('Delete 2 flows?').waitFor();
    await remove(page).click();
    await until('the result', async () => /^Deleted 2/.test((await message(page)) ?? ''));
    const left = (await served.listed('-s', '10.9.0.2')).map((line) => /sport=(\d+)/.exec(line)?.[1]).sort();
    assert.deepEqual(left, ['10000', '10002', '10004']);
  });

  test('nothing when Escape or Cancel is pressed', async () => {
    const page = await served.opened('filter=src+10.9.0.2');
    for (const leave of [() => page.keyboard.press('Escape'), () => page.keyboard.press('Enter')]) {
      await page.locator('footer').getByRole('button', { name: 'Delete…' }).click();
      await dialog(page).getByText('Delete 3 flows?').waitFor();
      await leave();
      await until('no dialog', async () => (await dialog(page).count()) === 0);
    }
    assert.equal(await count('10.9.0.2'), 3);
  });

  test('many only when their number is typed', async () => {
    const page = await served.opened('filter=src+10.9.0.1');
    await page.locator('footer').getByRole('button', { name: 'Delete…' }).click();
    await dialog(page).getByText('Delete 150 flows?').waitFor();
    assert.ok(await remove(page).isDisabled());
    const field = dialog(page).getByRole('textbox');
    await field.fill('15');
    assert.ok(await remove(page).isDisabled());
    await field.fill('150');
    await remove(page).click();
    await until('the result', async () => /^Deleted 150/.test((await message(page)) ?? ''));
    assert.equal(await count('10.9.0.1'), 0);
    await page.getByText('No flow matches').waitFor();
  });
});
