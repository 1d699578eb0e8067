// Whatever words a user or a file gives, reading them ends with a meaning or with an error of this package that says what is wrong:
// no crash, no hang, no other error. Words are put together from what exists (options, values, edges) and then damaged.
//
// SEED=… repeats a run, FUZZ_SECONDS=… changes how long it lasts (default 20, shared by the tests of this file).

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { parseCommandLine } from '../../src/cli/command-line.js';
import { flowFilter } from '../../src/cli/flow-filter.js';
import { helpText } from '../../src/cli/help.js';
import { parseJsonLine } from '../../src/cli/load-json.js';
import { LoadRequests } from '../../src/cli/load-requests.js';

import { COMMANDS, OPTIONS, type OptionRow } from '../../src/cli/options.js';
import { protocolOptions } from '../../src/cli/protocol-options.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { eventFilter } from '../../src/ctnetlink/event-filter.js';
import { compileFilter } from '../../src/ctnetlink/filter.js';
import { putKernelFilter, requiredFamily } from '../../src/ctnetlink/kernel-filter.js';
import { LabelMap } from '../../src/ctnetlink/label.js';
import { PROTOCOLS } from '../../src/ctnetlink/protocols/index.js';
import { ConntrackError } from '../../src/errors.js';
import { MessageWriter } from '../../src/wire/message.js';
import { Random, seedFromEnvironment } from '../support/random.js';
import { Watchdog } from './watchdog.js';

const SEED = seedFromEnvironment(Math.floor(Math.random() * 0x100000000));
const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 20);
const watchdog = new Watchdog(`SEED=${SEED} case`, 10_000);
after(() => watchdog.close());

const env = {
  readProtocols: () => 'ip 0 IP\nesp 50 IPSEC-ESP\n',
  resolveLabels: (names: readonly string[]) => new Map(names.map((name, n) => [name, n])),
};
const ROWS: readonly OptionRow[] = [OPTIONS, ...PROTOCOLS.map((protocol) => protocolOptions(protocol))].flatMap((rows) =>
  Object.values<OptionRow>(rows),
);
const VALUES =
  '0 1 7 80 65535 65536 4294967295 4294967296 18446744073709551616 -1 +5 0x10 0x 08 1e3 x 192.0.2.1 192.0.2.0/24 192.0.2.1/33 ' +
  '255.0.255.0 2001:db8::1 2001:db8::/32 :: ::ffff:1.2.3.4 [2001:db8::1]:80 192.0.2.1:80 192.0.2.1: :80 fe80::1%lo tcp udp icmp icmpv6 sctp dccp gre udplite 50 ' +
  'ESTABLISHED established NONE SYN_SENT ASSURED SEEN_REPLY,ASSURED !ASSURED UNSET UNREPLIED OFFLOAD NEW ALL NEW,DESTROY xml save id,extended ' +
  'json ndjson labels,timestamp save,full 5/0xff 0/0 web web,db ftp expect conntrack dying unconfirmed e ipv4 ipv6 client 1,2 1,2,3 ٣ é \u0000 , = - -- --=';
const values = VALUES.split(' ');

function word(random: Random): string {
  switch (random.below(7)) {
    case 0:
      return `-${random.pick(COMMANDS).letter}${random.chance(0.2) ? random.pick(values) : ''}`;
    case 1:
      return `--${random.pick(random.pick(COMMANDS).names)}${random.chance(0.2) ? `=${random.pick(values)}` : ''}`;
    case 2:
    case 3: {
      const row = random.pick(ROWS);
      if (row.short !== undefined && random.chance(0.5)) return `-${row.short}${random.chance(0.3) ? random.pick(values) : ''}`;
      const name = random.pick(row.names);
      return `--${random.chance(0.2) ? name.slice(0, 1 + random.below(name.length)) : name}${random.chance(0.4) ? `=${random.pick(values)}` : ''}`;
    }
    default:
      return random.pick(values);
  }
}

/** Often a command that could be meant, with its options' values where they belong. */
function words(random: Random): string[] {
  const list: string[] = [];
  if (random.chance(0.8)) list.push(`-${random.pick(COMMANDS).letter}`);
  if (random.chance(0.5)) list.push('-p', random.pick(PROTOCOLS).name);
  for (let n = random.below(8); n > 0; n--) {
    if (random.chance(0.6)) {
      const row = random.pick(ROWS);
      list.push(`--${row.names[0]}`);
      if (row.arg !== 'none') list.push(random.pick(values));
    } else list.push(word(random));
  }
  if (random.chance(0.1) && list.length > 0) {
    const at = random.below(list.length);
    list[at] = damaged(random, list[at]!);
  }
  return list;
}

function damaged(random: Random, text: string): string {
  const at = random.below(text.length + 1);
  const piece = random.pick(['', ' ', '"', "'", '\\', '\0', '#', '=', '-', '\u{10ffff}', '\ud800', '9'.repeat(40), 'é']);
  return text.slice(0, at) + piece + text.slice(at + random.below(3));
}

/** Cases within a part of the time; what they throw names the case. @returns how many */
function repeat(share: number, one: (random: Random, n: number) => void): number {
  const end = Date.now() + SECONDS * 1000 * share;
  let n = 0;
  while (Date.now() < end)
    for (let burst = 0; burst < 200; burst++, n++) {
      watchdog.beat(n);
      const random = new Random((SEED + Math.imul(n, 0x9e3779b1)) >>> 0);
      try {
        one(random, n);
      } catch (error) {
        throw new Error(`SEED=${SEED}, case ${n}: ${(error as Error).message}`, { cause: error });
      }
    }
  return n;
}

/** The result, or `undefined` for an error of this package that says something. */
function orRefused<T>(read: () => T, what: () => string): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConntrackError || error instanceof UsageError))
      throw new Error(`${what()}: ${(error as Error).stack}`);
    assert.ok(error.message.length > 5 && !/undefined|NaN|\[object/.test(error.message), `${what()}: ${error.message}`);
    return undefined;
  }
}

test(`command lines (SEED=${SEED})`, (t) => {
  let legal = 0;
  const message = new MessageWriter();
  const cases = repeat(0.5, (random) => {
    const argv = words(random);
    const invocation = orRefused(
      () => parseCommandLine(argv, env),
      () => JSON.stringify(argv),
    );
    if (!invocation) return;
    legal++;
    // A protocol without options of its own gets a single sentence.
    if (invocation.command === 'h') assert.match(helpText(invocation.topic), /^\S.{30,}\n/);
    if (!'LGDUE'.includes(invocation.command)) return;
    // What is legal can be worked with.
    const filter = flowFilter(invocation.values, []);
    compileFilter(filter);
    eventFilter(filter);
    message.reset();
    message.begin(0x101, 0x301, 1, 0);
    putKernelFilter(message, filter, requiredFamily(filter), true);
    message.end();
  });
  t.diagnostic(`SEED=${SEED}: ${cases} command lines, ${legal} of them legal`);
  assert.ok(legal > cases / 100, 'too few command lines are legal: the generator has lost touch with the parser');
});

test(`lines of load files (SEED=${SEED})`, (t) => {
  let legal = 0;
  const requests = new LoadRequests(env);
  const cases = repeat(0.2, (random) => {
    let line = words(random)
      .map((each) => (random.chance(0.2) ? `"${each}"` : each))
      .join(random.chance(0.9) ? ' ' : '\t ');
    if (random.chance(0.3)) line = damaged(random, line);
    const bytes = Buffer.from(line);
    const fast = requests.find(bytes, 0, bytes.length)?.slice();
    const slow = orRefused(
      () => requests.parse(line),
      () => JSON.stringify(line),
    );
    if (fast) assert.deepEqual(fast, requests.encodeLine(slow!), line);
    if (slow) legal++;
  });
  t.diagnostic(`SEED=${SEED}: ${cases} lines, ${legal} of them legal`);
  assert.ok(legal > cases / 100, 'too few lines are legal');
});

test(`NDJSON lines and label files (SEED=${SEED})`, (t) => {
  const FLOW =
    '{"id":2265651318,"family":"ipv4","protocol":"tcp","state":"ESTABLISHED","timeout":3599,"original":{"src":"10.1.0.2","dst":"198.51.100.1","protonum":6,"sport":1026,"dport":443,"packets":9007199254740993},"reply":{"src":"198.51.100.1","dst":"10.1.0.2","protonum":6,"sport":443,"dport":1026},"status":["SEEN_REPLY","ASSURED","CONFIRMED"],"mark":0,"labels":[1,127],"helper":"ftp","use":1,"tcp":{"wscaleOriginal":0,"flagsReply":10}}';
  const LABELS = '0 web\n1 db # comment\n127 last\n\n#\n 5\tspaced\r\n128 out\nx y\n';
  let sound = 0;
  const cases = repeat(0.3, (random) => {
    let line = FLOW;
    for (let n = random.below(4); n > 0; n--) line = damaged(random, line);
    if (
      orRefused(
        () => parseJsonLine(line),
        () => line,
      )
    )
      sound++;
    let labels = LABELS;
    for (let n = random.below(4); n > 0; n--) labels = damaged(random, labels);
    for (const name of orRefused(
      () => [...LabelMap.parse(labels).names()],
      () => labels,
    ) ?? [])
      assert.ok(name.length > 0);
  });
  t.diagnostic(`SEED=${SEED}: ${cases} lines and files, ${sound} lines of flows`);
  assert.ok(sound > cases / 20);
});
