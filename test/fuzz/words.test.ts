// Whatever words a user or a file gives, parsing ends with a meaning, or with an error of this package that says what is wrong. There is
// no crash, no hang, and no other error. Words are put together from what exists (options, values, edges) and then damaged. How to run
// it: target.ts; figures: docs/fuzzing.md.

import assert from 'node:assert/strict';
import { parseCommandLine } from '../../src/cli/command-line.js';
import { COMMANDS } from '../../src/cli/command-rows.js';
import { flowFilter } from '../../src/cli/flow-filter.js';
import { helpText } from '../../src/cli/help-text.js';
import { parseJsonLine } from '../../src/cli/load/json-line.js';
import { LoadRequests } from '../../src/cli/load/load-requests.js';
import { OPTIONS, type OptionRow } from '../../src/cli/options.js';
import { protocolOptions } from '../../src/cli/protocol-options.js';
import { UsageError } from '../../src/cli/usage-error.js';
import { compileFilter } from '../../src/ctnetlink/filter/compile.js';
import { eventProgram } from '../../src/ctnetlink/filter/event-program.js';
import { putKernelFilter, requiredFamily } from '../../src/ctnetlink/filter/kernel-plan.js';
import { LabelMap } from '../../src/ctnetlink/label.js';
import { PROTOCOLS } from '../../src/ctnetlink/protocols/index.js';
import { ConntrackError } from '../../src/errors.js';
import { MessageWriter } from '../../src/wire/message.js';
import type { Random } from '../support/random.js';
import { likeLines } from './load-lines.js';
import { fuzz, REFUSED, SOUND } from './target.js';

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

/** The result, or `undefined` for a proper error of this package. */
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

const message = new MessageWriter();

fuzz({ name: 'command lines', share: 0.35, sound: 0.01 }, (random) => {
  const argv = words(random);
  const invocation = orRefused(
    () => parseCommandLine(argv, env),
    () => JSON.stringify(argv),
  );
  if (!invocation) return REFUSED;
  // A protocol without options of its own gets a single sentence.
  if (invocation.command === 'h') assert.match(helpText(invocation.topic), /^\S.{30,}\n/);
  if (!'LGDUE'.includes(invocation.command)) return SOUND;
  // Legal command lines can be processed further.
  const filter = flowFilter(invocation.values, []);
  compileFilter(filter);
  eventProgram(filter);
  message.reset();
  message.begin(0x101, 0x301, 1, 0);
  putKernelFilter(message, filter, requiredFamily(filter), 'everything');
  message.end();
  return SOUND;
});

fuzz({ name: 'lines of load files', share: 0.2, sound: 0.01 }, (random) => {
  let line = words(random)
    .map((each) => (random.chance(0.2) ? `"${each}"` : each))
    .join(random.chance(0.9) ? ' ' : '\t ');
  if (random.chance(0.3)) line = damaged(random, line);
  return orRefused(
    () => new LoadRequests(env).parse(line),
    () => JSON.stringify(line),
  )
    ? SOUND
    : REFUSED;
});

// The short way of a load (load-template.ts) against the long one: each case is a file of its own, of lines that look alike.
fuzz({ name: 'lines of load files like earlier ones', share: 0.25, sound: 0.1 }, (random) => {
  const requests = new LoadRequests(env);
  let executions = 0;
  let sound = 0;
  for (const line of likeLines(random)) {
    executions++;
    const fast = requests.find(line, 0, line.length)?.slice();
    const text = line.toString('utf8');
    const slow = orRefused(
      () => requests.parse(text),
      () => JSON.stringify(text),
    );
    if (!fast) continue;
    sound++;
    assert.ok(slow, `refused the long way: ${JSON.stringify(text)}`);
    assert.deepEqual(slow.warnings, [], `a warning is lost: ${JSON.stringify(text)}`);
    const expected = orRefused(
      () => requests.encodeLine(slow),
      () => JSON.stringify(text),
    );
    assert.ok(expected, `not a flow the long way: ${JSON.stringify(text)}`);
    assert.equal(Buffer.from(fast).toString('hex'), Buffer.from(expected).toString('hex'), JSON.stringify(text));
  }
  return { executions, sound };
});

fuzz({ name: 'lines of NDJSON', share: 0.1, sound: 0.05 }, (random) => {
  const FLOW =
    '{"id":2265651318,"family":"ipv4","protocol":"tcp","state":"ESTABLISHED","timeout":3599,"original":{"src":"10.1.0.2","dst":"198.51.100.1","protonum":6,"sport":1026,"dport":443,"packets":9007199254740993},"reply":{"src":"198.51.100.1","dst":"10.1.0.2","protonum":6,"sport":443,"dport":1026},"status":["SEEN_REPLY","ASSURED","CONFIRMED"],"mark":0,"labels":[1,127],"helper":"ftp","use":1,"tcp":{"wscaleOriginal":0,"flagsReply":10}}';
  let line = FLOW;
  for (let n = random.below(4); n > 0; n--) line = damaged(random, line);
  return orRefused(
    () => parseJsonLine(line),
    () => line,
  )
    ? SOUND
    : REFUSED;
});

fuzz({ name: 'label files', share: 0.1, sound: 0.5 }, (random) => {
  let text = '0 web\n1 db # comment\n127 last\n\n#\n 5\tspaced\r\n0x10 hex\n010 octal\n1023 end\n128 out\nx y\n3 two words\n';
  for (let n = random.below(6); n > 0; n--) text = damaged(random, text);
  const map = LabelMap.parse(text);
  for (const name of map.names()) {
    const bit = map.bit(name)!;
    assert.ok(name.length > 0 && text.includes(name), `${JSON.stringify(name)} is not in ${JSON.stringify(text)}`);
    assert.ok(bit >= 0 && bit <= 1023 && map.name(bit) === name, `${bit} is not ${JSON.stringify(name)}`);
    assert.equal(new TextDecoder('utf-8', { fatal: true }).decode(map.encoded(bit)), name);
  }
  return map.size > 0 ? SOUND : REFUSED;
});
