// The page of `conntrack serve` in Chromium: a private network namespace with its own table, the real server inside, and a browser that
// can reach nothing else. Whatever a page reports against its policy, asks of others, or throws, fails the test.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core';
import { Namespace } from './namespace.js';
import { type NewFlow, newFlow } from './netlink.js';
import { SLOWNESS, UNDER_TEST } from './project.js';

export const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const ORIGIN = 'http://127.0.0.1:8466';
export const TOKEN = 'a-token-of-the-tests-0123456789abcdef';
export const READ_TOKEN = 'another-token-for-reading-0123456789';

/** Of Chromium, as root, without anything that asks the network for its own sake. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Without a rule that needs it, a namespace tracks nothing. */
const RULES = 'table inet track {\n chain output {\n type filter hook output priority 0\n ct state new accept\n }\n}\n';

/** Seconds that a busy machine may take for what is done in a moment. */
const PATIENCE = 30;

export interface ServedOptions {
  /** Of the table when the server starts. */
  readonly flows?: readonly NewFlow[];
  readonly sysctls?: Readonly<Record<string, number>>;
  /** More words for the command line. */
  readonly words?: readonly string[];
}

export class ServedPage implements AsyncDisposable {
  readonly namespace: Namespace;
  readonly #browser: Browser;
  readonly #folder: string;
  readonly #words: readonly string[];
  readonly #contexts: BrowserContext[] = [];
  /** What pages should not have done. */
  readonly faults: string[] = [];
  #server: number | undefined;

  private constructor(namespace: Namespace, browser: Browser, folder: string, words: readonly string[]) {
    this.namespace = namespace;
    this.#browser = browser;
    this.#folder = folder;
    this.#words = words;
  }

  static async start(name: string, { flows = [], sysctls = {}, words = [] }: ServedOptions = {}): Promise<ServedPage> {
    const namespace = await Namespace.create(name);
    const folder = mkdtempSync(join(tmpdir(), `conntrack-page-${name}-`));
    try {
      await namespace.sysctl({
        'net.netfilter.nf_conntrack_acct': 1,
        'net.netfilter.nf_conntrack_timestamp': 1,
        'net.netfilter.nf_conntrack_events': 1,
        ...sysctls,
      });
      await namespace.nft(RULES);
      await namespace.netlink(flows.map(newFlow));
      for (const [file, token] of Object.entries({ token: TOKEN, read: READ_TOKEN }))
        writeFileSync(join(folder, file), token, { mode: 0o600 });
      const wrapper = join(folder, 'chromium');
      writeFileSync(wrapper, `#!/bin/sh\nexec nsenter --net=/proc/${namespace.pid}/ns/net ${CHROMIUM} "$@"\n`);
      chmodSync(wrapper, 0o755);
      const browser = await chromium.launch({ executablePath: wrapper, args: FLAGS, timeout: 30_000 * SLOWNESS });
      const served = new ServedPage(namespace, browser, folder, words);
      await served.startServer();
      return served;
    } catch (error) {
      await namespace.close();
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async startServer(): Promise<void> {
    const files = ['--token-file', join(this.#folder, 'token'), '--read-token-file', join(this.#folder, 'read')];
    // With its argument before it, the command is a process of its own.
    const argv = [process.execPath, UNDER_TEST, 'serve', '--allow-changes', ...files, '--every', '1', ...this.#words];
    this.#server = await this.namespace.start(['env', ...argv], { timeLimit: 300_000 });
    await this.#waitForServer();
  }

  async stopServer(): Promise<void> {
    if (this.#server === undefined) return;
    await this.namespace.ask('signal', this.#server, 'SIGTERM');
    await this.namespace.ask('finish', this.#server);
    this.#server = undefined;
  }

  async #waitForServer(): Promise<void> {
    const until = Date.now() + 20_000 * SLOWNESS;
    for (;;) {
      const { stderr } = await this.namespace.ask('written', this.#server!);
      if (stderr.toString().includes(ORIGIN)) return;
      assert.ok(Date.now() < until, `the server does not start: ${stderr}`);
      await delay(50);
    }
  }

  /** A page in a context of its own, whose faults are noted. */
  async open(hash = '', options: BrowserContextOptions = {}, token: string | undefined = TOKEN): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: 'light', ...options });
    this.#contexts.push(context);
    await context.addInitScript(
      "document.addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI))",
    );
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.text().startsWith('policy: ') || /Content Security Policy|Trusted/.test(message.text()))
        this.faults.push(message.text());
    });
    page.on('pageerror', (error) => this.faults.push(`${error.stack ?? error}`));
    page.on('dialog', (dialog) => {
      this.faults.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (origin !== ORIGIN) this.faults.push(`asked ${request.url()}`);
    });
    page.setDefaultTimeout(PATIENCE * 1000 * SLOWNESS);
    const parts = [...(token === undefined ? [] : [`token=${token}`]), ...(hash === '' ? [] : [hash])];
    await page.goto(`${ORIGIN}/${parts.length === 0 ? '' : `#${parts.join('&')}`}`);
    return page;
  }

  /** A page that shows flows. */
  async opened(hash?: string, options?: BrowserContextOptions, token?: string): Promise<Page> {
    const page = await this.open(hash, options, token);
    await rows(page).first().waitFor();
    return page;
  }

  /** After a test: what nobody looks at would take its part of the processors. */
  async closePages(): Promise<void> {
    for (const context of this.#contexts.splice(0)) await context.close();
  }

  /** Asks the server as a program does. */
  async api(path: string): Promise<unknown> {
    const script = `fetch('${ORIGIN}/api/v1/${path}', { headers: { Authorization: 'Bearer ${TOKEN}' } }).then(async (r) => console.log(await r.text()))`;
    return JSON.parse(await this.namespace.must(['env', process.execPath, '-e', script]));
  }

  /** Runs the command. */
  async run(...words: readonly string[]): Promise<void> {
    await this.namespace.must(['env', process.execPath, UNDER_TEST, ...words]);
  }

  /** Lines of the table that match, by the command. */
  async listed(...words: readonly string[]): Promise<string[]> {
    const output = await this.namespace.must(['env', process.execPath, UNDER_TEST, '-L', ...words]);
    return output.split('\n').filter((line) => line !== '');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await this.namespace.close();
    rmSync(this.#folder, { recursive: true, force: true });
    assert.deepEqual(this.faults, []);
  }
}

/** Rows with a flow. */
export function rows(page: Page): Locator {
  return page.locator('.layer > .row:not(.none, .loading)');
}

/** The texts of a column, from the upper row on. */
export async function column(page: Page, name: string): Promise<string[]> {
  const cells = rows(page).locator(`.cell.${name}`);
  const places = await cells.evaluateAll((all) =>
    all.map((cell) => ({ top: cell.getBoundingClientRect().top, text: cell.textContent ?? '' })),
  );
  return places.sort((a, b) => a.top - b.top).map(({ text }) => text);
}

/** Waits until something is so. `instead`: what is so if it does not come. */
export async function until(
  what: string,
  holds: () => Promise<boolean>,
  seconds = PATIENCE,
  instead: () => Promise<string> = async () => '',
): Promise<void> {
  const end = Date.now() + seconds * 1000 * SLOWNESS;
  while (!(await holds())) {
    if (Date.now() > end) assert.fail(`${what}, after ${seconds} s: ${await instead()}`);
    await delay(50);
  }
}

/** So many UDP flows of one source to one port, each with a reply. */
export function udpFlows(count: number, source: string, port: number): NewFlow[] {
  return Array.from({ length: count }, (_, n) => ({
    proto: 17,
    original: { src: source, dst: `198.51.100.${1 + (n % 250)}`, sport: 10_000 + n, dport: port },
    timeout: 3000,
    status: 0xa, // SEEN_REPLY, CONFIRMED
  }));
}
