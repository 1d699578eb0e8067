// What the page says of the health of the table, and of one namespace.

import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import { FLOWS } from '../support/population.js';
import { rows, ServedPage, until } from '../support/served-page.js';

let served: ServedPage;

before(async () => {
  served = await ServedPage.start('pagedoctor', { flows: FLOWS, sysctls: { 'net.netfilter.nf_conntrack_acct': 0 } });
});
afterEach(() => served.closePages());
after(() => served[Symbol.asyncDispose]());

suite('the bell', () => {
  test('counts what is wrong, and opens a list with what mends it', async () => {
    const page = await served.opened();
    const bell = page.locator('.bell');
    await until('an answer', async () => /^\d+ problems? found$/.test((await bell.getAttribute('aria-label')) ?? ''));
    const { findings } = (await served.api('doctor')) as {
      findings: { id: string; severity: string; title: string; fix: string[] }[];
    };
    const wrong = findings.filter(({ severity }) => severity !== 'info');
    assert.equal(await bell.getAttribute('aria-label'), `${wrong.length} problem${wrong.length === 1 ? '' : 's'} found`);
    await bell.click();
    const dialog = page.getByRole('dialog', { name: 'What conntrack doctor finds' });
    const off = findings.find(({ id }) => id === 'accounting-off')!;
    await dialog.getByText(off.title).waitFor();
    assert.equal(await dialog.locator('.findings > li').count(), findings.length);
    const remedy = dialog.locator('.remedy', { hasText: 'sysctl -w net.netfilter.nf_conntrack_acct=1' });
    // The server itself cannot write it any more, which is not what matters.
    assert.doesNotMatch((await remedy.textContent()) ?? '', /on the host/);
    await remedy.getByRole('button', { name: 'Copy' }).click();
    await until('a message', async () =>
      /Copied: sysctl -w net\.netfilter\.nf_conntrack_acct=1/.test((await page.locator('.message').textContent()) ?? ''),
    );
    await page.keyboard.press('Escape');
    await until('no dialog', async () => (await page.locator('dialog').count()) === 0);
  });
});

suite('one namespace', () => {
  const choice = 'Network namespace';

  test('is in the address, and can be left again', async () => {
    const page = await served.opened('netns=own');
    const select = page.getByRole('combobox', { name: choice, exact: true });
    assert.equal(await select.inputValue(), 'own');
    await page.getByRole('button', { name: 'As command' }).click();
    await page.getByText("conntrack -L --netns 'own'").waitFor();
    await page.keyboard.press('Escape');
    await select.selectOption('');
    await until('the address', async () => !page.url().includes('netns'));
    await rows(page).first().waitFor();
  });

  test('that has gone is told', async () => {
    const page = await served.open('netns=gone');
    await until('a message', async () => /no such network namespace/.test((await page.locator('.message').textContent()) ?? ''));
    await page.getByRole('combobox', { name: choice, exact: true }).selectOption('');
    await rows(page).first().waitFor();
  });
});
