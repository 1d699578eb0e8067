// The measured table: how it is made and loaded, and how to check that both tools see the same.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../fresh.mjs';

export const OURS = `${root}/bin/conntrack`;
export const REFERENCE = process.env.CONNTRACK_REFERENCE ?? 'conntrack';

/** Addresses of exactly one entry each. */
export const ONE_V4 = '198.18.0.7';
export const ONE_V6 = '2001:db8:ffff::7';

/** Ours as a command line for `spawnSync`. */
export function ours(args) {
  return [process.execPath, [OURS, ...args]];
}

/** What flow `i` of a table is. Mixed: two thirds IPv4, four fifths TCP. The others have most of that in common. */
const mixed = (i) => ({ v6: i % 3 === 2, udp: i % 5 === 4 });
const SHAPES = {
  mixed,
  ipv4: (i) => ({ ...mixed(i), v6: false }),
  ipv6: (i) => ({ ...mixed(i), v6: true }),
  udp: (i) => ({ ...mixed(i), udp: true }),
  snat: (i) => ({ ...mixed(i), v6: false, snat: 200 }),
  gateway: (i) => ({ ...mixed(i), v6: false, snat: 1 }),
  /** One in ten has mark 1, one in a hundred mark 2. */
  marked: (i) => ({ ...mixed(i), mark: i % 100 === 1 ? 2 : i % 10 === 0 ? 1 : 0 }),
};

/**
 * Writes the lines of a table; most flows are established and assured. A mixed table has one flow of each address of its own. They live
 * for `timeout` seconds.
 */
export function writeFlows(path, count, shape = 'mixed', timeout = 3600) {
  const own = shape === 'mixed' ? [flowLine(0, { timeout }, ONE_V4), flowLine(2, { timeout, v6: true }, ONE_V6)] : [];
  const lines = Array.from({ length: count - own.length }, (_, i) => flowLine(i, { timeout, ...SHAPES[shape](i) }));
  writeFileSync(path, `${[...lines, ...own].join('\n')}\n`);
}

function flowLine(i, { v6 = false, udp = false, snat = 0, mark = 0, timeout }, source) {
  // A client has 64 ports in use; servers are few, as they are behind a router.
  const client = i >> 6;
  const server = (i * 7919) % 1000;
  const src =
    source ??
    (v6
      ? `2001:db8:${(client >> 16).toString(16)}:${(client & 0xffff).toString(16)}::2`
      : `10.${(client >> 16) & 255}.${(client >> 8) & 255}.${client & 255}`);
  const dst = v6 ? `2001:db8:ff00::${server.toString(16)}` : `203.0.${112 + (server >> 8)}.${server & 255}`;
  const sport = 32768 + ((i * 61) & 0x3fff);
  const dport = udp ? 53 : [443, 80, 22, 8080][i & 3];
  const alone = i % 17 === 0; // without a reply yet
  const status = alone ? '' : udp && i % 2 === 0 ? ' -u SEEN_REPLY' : ' -u SEEN_REPLY,ASSURED';
  const protocol = udp ? '-p udp' : '-p tcp';
  const state = udp ? '' : ` --state ${alone ? 'SYN_SENT' : i % 11 === 0 ? 'TIME_WAIT' : 'ESTABLISHED'}`;
  // Behind so many addresses of a gateway.
  const replyDst = snat > 0 ? `198.51.100.${1 + (client % snat)}` : src;
  const translated = snat > 0 ? ` -n ${replyDst}` : '';
  const marked = mark === 0 ? '' : ` -m ${mark}`;
  const ports = `--sport ${sport} --dport ${dport} --reply-port-src ${dport} --reply-port-dst ${sport}`;
  return `-I -t ${timeout}${status}${marked} -s ${src} -d ${dst} -r ${dst} -q ${replyDst}${translated} ${protocol} ${ports}${state}`;
}

/** Makes the table of this namespace what `path` says, through the reference's own -R: neither tool has made what both read. */
export function load(path) {
  flush();
  const result = spawnSync(REFERENCE, ['-R', path], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`the reference cannot load the table: ${result.stderr}`);
}

export function flush() {
  const result = spawnSync(REFERENCE, ['-F'], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`the table cannot be flushed: ${result.stderr}`);
}

/** Entries that a command line says it dealt with, in its closing line. */
export function closingCount(command, args) {
  const { stderr } = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
  return Number(/(\d+) flow entries have been/.exec(stderr)?.[1]);
}

/** Entries of deleted namespaces stay in the shared hash table for a while, and every dump walks past them. */
export async function waitForQuietTable() {
  const quiet = 5000;
  const patience = 10_000;
  let lowest = entriesOfHost();
  if (lowest <= quiet) return;
  console.error(`waiting for about ${lowest} entries of other namespaces to go`);
  for (let since = Date.now(); Date.now() - since < patience; ) {
    await sleep(500);
    const count = entriesOfHost();
    if (count <= quiet) return;
    if (count < lowest * 0.98) [lowest, since] = [count, Date.now()];
  }
  console.error(`about ${lowest} entries of namespaces in use remain: both tools are slowed by them alike`);
}

/** Entries of all namespaces, about; 0 where only root may know. */
function entriesOfHost() {
  try {
    return Number(/^nf_conntrack +(\d+)/m.exec(readFileSync('/proc/slabinfo', 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
