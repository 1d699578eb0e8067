// Chromium for pictures and measurements: without a window, and with nothing that asks the network for its own sake.

import { spawnSync } from 'node:child_process';
import { chromium } from 'playwright-core';
import { BROWSER, requireCommands } from './tools.mjs';

const FLAGS = ['no-sandbox', 'disable-gpu', 'disable-quic', 'no-first-run', 'disable-background-networking', 'disable-component-update', 'disable-sync']; // biome-ignore format: a list

/** Runs this program again in a network namespace of its own, where its servers meet nobody; in there, goes on. */
export function enterNamespace() {
  if (process.argv.includes('--inside')) {
    spawnSync('ip', ['link', 'set', 'lo', 'up']);
    return;
  }
  requireCommands(['unshare', 'ip', BROWSER]);
  const argv = ['--net', process.execPath, ...process.execArgv, ...process.argv.slice(1), '--inside'];
  const { status } = spawnSync('unshare', argv, { stdio: 'inherit' });
  process.exit(status ?? 1);
}

export function launchChromium() {
  const args = FLAGS.map((flag) => `--${flag}`);
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
}
