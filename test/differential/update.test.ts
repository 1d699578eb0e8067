// `-U`, against docs/behaviour.md 3.8, 4.7: the packaged reference 1.4.7 can update on current kernels only where a family is implied.

import assert from 'node:assert/strict';
import { after, before, beforeEach, suite, test } from 'node:test';
import { createFlowView } from '../../src/ctnetlink/view.js';
import { KernelError } from '../../src/errors.js';
import type { Channel } from '../../src/library/channel.js';
import { emptyResult, flowDeleter, flowUpdater } from '../../src/library/flow-changes.js';
import type { RequestRow } from '../../src/library/requests.js';
import { kernelIsAtLeast } from '../../src/wire/kernel.js';
import { MessageWriter } from '../../src/wire/message.js';
import { attributesOf } from '../support/flow-request.js';
import {
  IPS_ASSURED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  message,
  type NewFlow,
  newFlow,
  SCTP,
  type Side,
  TCP,
} from '../support/netlink.js';
import { closingLines, type Outcome } from '../support/outcome.js';
import { requirePrerequisites, SELF_TEST } from '../support/project.js';
import { Table } from '../support/table.js';

const A = '192.0.2.1';
const B = '198.51.100.1';
const A6 = '2001:db8::1';
const B6 = '2001:db8:1::1';
const side = (src: string, dst: string, sport: number, dport: number): Side => ({ src, dst, sport, dport });
const udp = (sport: number, more: Partial<NewFlow> = {}): NewFlow => ({
  proto: 17,
  original: side(A, B, sport, 53),
  timeout: 100000,
  ...more,
});

/** The reference cannot update on current kernels. */
const OURS = { skip: SELF_TEST ? 'the reference is tested' : false } as const;

before(requirePrerequisites);
let table: Table;
before(async () => {
  table = await Table.create('update', { purpose: 'answer' });
});
after(() => table[Symbol.asyncDispose]());

/** The closing line has the number; if nothing was changed, the exit status is 1. */
function updated(outcome: Outcome, count: number, status = count > 0 ? '0' : '1'): void {
  assert.equal(closingLines(outcome.stderr), `${count} flow entries have been updated.`, outcome.stderr);
  assert.equal(outcome.status, status, outcome.stderr);
  const lines = outcome.stdout.split('\n').filter((line) => line !== '' && !/^<[?/]?(xml|conntrack)/.test(line));
  assert.equal(lines.length, count, outcome.stdout);
}

/** Field of each entry by its source port. */
async function fields(pattern: RegExp, ...words: string[]): Promise<Map<number, string>> {
  return new Map(
    (await table.list(...words)).map((line) => [
      Number(/sport=(\d+)|--sport (\d+)/.exec(line)?.slice(1).find(Boolean) ?? -1),
      pattern.exec(line)?.[1] ?? '',
    ]),
  );
}

suite('marks: new = (old AND NOT mask) XOR value', OURS, () => {
  const OLD = [0, 1, 0xff, 0x12345678, 0x80000000, 0xffffffff];
  for (const [text, value, mask] of [
    ['0', 0, 0xffffffff],
    ['1', 1, 0xffffffff],
    ['0xf0/0x0f', 0xf0, 0x0f],
    ['0x0f/0', 0x0f, 0],
    ['0/0', 0, 0],
    ['0x0ff/0x0f0', 0xff, 0xf0],
    ['4294967295', 0xffffffff, 0xffffffff],
    ['0x80000000/0x80000000', 0x80000000, 0x80000000],
    ['017/017', 0o17, 0o17],
  ] as const) {
    test(`-m ${text}`, async () => {
      await table.fill(OLD.map((mark, n) => udp(1000 + n, { mark })));
      const wanted = OLD.map((old) => ((old & ~mask) ^ value) >>> 0);
      updated(await table.run(['-U', '-m', text]), wanted.filter((mark, n) => mark !== OLD[n]).length);
      const marks = await fields(/ mark=(\d+)/);
      assert.deepEqual(
        OLD.map((_, n) => Number(marks.get(1000 + n))),
        wanted,
      );
    });
  }
});

suite('status, timeout, state', OURS, () => {
  test('status bits are added, none is cleared', async () => {
    const both = IPS_SEEN_REPLY | IPS_ASSURED;
    await table.fill([udp(1), udp(2, { status: IPS_SEEN_REPLY }), udp(3, { status: IPS_ASSURED }), udp(4, { status: both })]);
    updated(await table.run('-U -u ASSURED'), 2);
    const status = async () => [...(await fields(/ -u (\S+)/, '-o', 'save'))].sort(([a], [b]) => a - b).map(([, words]) => words);
    assert.deepEqual(await status(), ['ASSURED', 'SEEN_REPLY,ASSURED', 'ASSURED', 'SEEN_REPLY,ASSURED']);
    for (const list of ['UNSET', '!ASSURED', 'UNREPLIED', 'ASSURED']) updated(await table.run(['-U', '-u', list]), 0);
    updated(await table.run('-U -u SEEN_REPLY,ASSURED'), 2);
    updated(await table.run('-U -u FIXED_TIMEOUT -p udp --sport 1'), 1);
    assert.deepEqual(await status(), ['SEEN_REPLY,ASSURED,FIXED_TIMEOUT', ...new Array(3).fill('SEEN_REPLY,ASSURED')]);
  });

  test('EXPECTED is refused by the kernel, and told what to do', async () => {
    await table.fill([udp(1), udp(2)]);
    const outcome = await table.run('-U -u EXPECTED');
    updated(outcome, 0);
    assert.match(outcome.stderr, /2 of 2 flows were refused.*\n +hint: /);
  });

  test('-t sets the seconds of entries that match; 0 ends them and is counted (docs/differences.md B29)', async () => {
    await table.fill([udp(1), udp(2), udp(3)]);
    updated(await table.run('-U -p udp --sport 1 -t 5000'), 1);
    assert.match((await table.run('-L -p udp --sport 1')).stdout, /^udp +17 (5000|4999|4998) /);
    updated(await table.run('-U -p udp --sport 2 -t 4294967295'), 1);
    assert.match((await table.run('-L -p udp --sport 2')).stdout, /^udp +17 85899\d\d /);
    const ended = await table.run('-U -p udp --dport 53 -t 0 -s 192.0.2.1');
    updated(ended, 3);
    assert.equal(await table.count(), 0);
  });

  test('FIXED_TIMEOUT: -t is refused for those, done for the others, and told', async () => {
    await table.fill([udp(1, { status: IPS_FIXED_TIMEOUT }), udp(2), udp(3, { status: IPS_FIXED_TIMEOUT }), udp(4)]);
    const outcome = await table.run('-U -p udp -t 7000');
    if (kernelIsAtLeast(6, 1)) {
      updated(outcome, 2, '1');
      assert.match(outcome.stderr, /2 of 4 flows were refused.*FIXED_TIMEOUT.*\n +hint: /);
    } else updated(outcome, 4); // 5.10 sets it
    updated(await table.run('-U -p udp -m 9'), 4);
  });

  test('every TCP state; -m alone leaves the tracker alone (docs/differences.md B30), --state turns window checks off', async () => {
    await table.fill([{ proto: 6, original: side(A, B, 1, 80), timeout: 100000, tcpState: TCP.SYN_SENT }]);
    await table.namespace.netlink([
      withTcpFlags({ proto: 6, original: side(A, B, 2, 80), timeout: 100000, tcpState: TCP.SYN_SENT }, 0),
    ]);
    const flags = async () => (await fields(/ --tcp-flags (\S+)/, '-o', 'save,full')).get(2);
    const before = await flags();
    updated(await table.run('-U -p tcp --sport 2 -m 5'), 1);
    assert.equal(await flags(), before, 'the flags of a TCP entry changed with its mark');
    for (const [name, number] of Object.entries(TCP)) {
      const current = (await table.run('-L -p tcp --sport 1')).stdout.split(/ +/)[3];
      updated(await table.run(`-U -p tcp --sport 1 --state ${name}`), current === name ? 0 : 1);
      assert.match((await table.run('-L -p tcp --sport 1')).stdout, new RegExp(`^tcp +6 \\d+ ${name} `), `${number}`);
    }
    updated(await table.run('-U -p tcp --sport 2 --state ESTABLISHED'), 1);
    assert.equal(await flags(), '10,10');
  });

  test('SCTP states, and tags that keep their state', async () => {
    const sctp = { state: SCTP.CLOSED, originalTag: 0x01000000, replyTag: 0x02000000 };
    await table.fill([{ proto: 132, original: side(A, B, 1, 2), timeout: 100000, sctp }]);
    for (const name of ['COOKIE_WAIT', 'ESTABLISHED', 'SHUTDOWN_ACK_SENT', 'HEARTBEAT_SENT', 'NONE']) {
      updated(await table.run(`-U -p sctp --state ${name}`), 1);
      assert.match((await table.list('-o', 'save'))[0]!, new RegExp(` --state ${name} --orig-vtag 1 --reply-vtag 2$`));
    }
    updated(await table.run('-U -p sctp --orig-vtag 77'), 1);
    assert.match((await table.list('-o', 'save'))[0]!, / --state NONE --orig-vtag 77 --reply-vtag 2$/);
    updated(await table.run('-U -p sctp --orig-vtag 77'), 0);
    // Kernels from 6.1 on have no such state any more.
    const acked = await table.run('-U -p sctp --state HEARTBEAT_ACKED');
    updated(acked, kernelIsAtLeast(6, 1) ? 0 : 1);
    if (kernelIsAtLeast(6, 1)) assert.match(acked.stderr, /hint: /);
    else assert.match((await table.list('-o', 'save'))[0]!, / --state HEARTBEAT_ACKED /);
  });
});

suite('labels', OURS, () => {
  const LABELLED = [udp(1, { labels: [1] }), udp(2, { labels: [2, 100] }), udp(3), udp(4, { labels: [1, 2] })];
  const labels = async () =>
    [...(await fields(/ labels=(\S+)/, '-o', 'labels'))].sort(([a], [b]) => a - b).map(([, names]) => names);
  beforeEach(() => table.fill(LABELLED));

  test('--label-add adds what is named and leaves the rest; what has it already is not counted (docs/differences.md B52)', async () => {
    updated(await table.run('-U --label-add web'), 2);
    assert.deepEqual(await labels(), ['web', 'web,eth0-in,last', 'web', 'web,eth0-in']);
    updated(await table.run('-U --label-add web'), 0);
    updated(await table.run('-U --label-add web,last'), 3);
    assert.deepEqual(await labels(), ['web,last', 'web,eth0-in,last', 'web,last', 'web,eth0-in,last']);
  });
  test('--label-del removes what is named, or everything', async () => {
    updated(await table.run('-U --label-del web'), 2);
    assert.deepEqual(await labels(), ['', 'eth0-in,last', '', 'eth0-in']);
    updated(await table.run('-U --label-del=eth0-in'), 2);
    assert.deepEqual(await labels(), ['', 'last', '', '']);
    updated(await table.run('-U -p udp --sport 2 --label-del'), 1);
    assert.deepEqual(await labels(), ['', '', '', '']);
  });
  test('-l chooses', async () => {
    updated(await table.run('-U -l web -m 1'), 2);
    updated(await table.run('-U -l web,eth0-in -m 2'), 1);
    updated(await table.run('-U -l eth0-in --label-add zero --label-add fifteen'), 2);
    assert.deepEqual(await labels(), ['web', 'zero,eth0-in,fifteen,last', '', 'zero,web,eth0-in,fifteen']);
  });
  test('--labelmap names another file', async () => {
    await table.namespace.ask('write', '/etc/xtables/other.conf', '7 seven\n2 two\n');
    const outcome = await table.run('-U --labelmap /etc/xtables/other.conf -l two --label-add seven');
    updated(outcome, 2);
    assert.match(outcome.stdout, / labels=two,seven$/m);
    assert.equal((await table.run('-U --label-add seven')).status, '2');
  });
  test('what cannot be', async () => {
    assert.equal((await table.run('-U --label-add nosuch')).status, '2');
    assert.equal((await table.run('-U --label-add web --label-del last')).status, '1');
    const beyond = await table.run('-U --label-add beyond');
    assert.equal(beyond.status, '1');
    assert.match(beyond.stderr, /bit 200/);
    assert.deepEqual(await labels(), ['web', 'eth0-in,last', '', 'web,eth0-in']);
  });
  test('flows without room for labels are told', async () => {
    await using bare = await Table.create('bare', { labels: false });
    await bare.fill([udp(1), udp(2)]);
    const outcome = await bare.run('-U --label-add web');
    assert.equal(outcome.status, '1');
    assert.match(outcome.stderr, /2 flows have no room for labels.*\n +hint: /);
    assert.equal(closingLines(outcome.stderr), '0 flow entries have been updated.');
  });
});

suite('zones (docs/differences.md B28)', OURS, () => {
  const ZONED = [
    udp(1),
    udp(1, { zone: 5 }),
    udp(1, { zone: 65535 }),
    { ...udp(2), original: { ...side(A, B, 2, 53), zone: 7 } },
    { ...udp(3), reply: { ...side(B, A, 53, 3), zone: 8 } },
    { ...udp(4), original: side(A6, B6, 4, 53), zone: 5 },
  ];
  beforeEach(() => table.fill(ZONED));
  const marked = async () => (await table.list('-m', '1', '-o', 'save')).length;

  test('entries in zones are updated like others', async () => {
    updated(await table.run('-U -m 1'), 6);
    assert.equal(await marked(), 6);
  });
  for (const [words, count] of [
    ['-w 5', 2],
    ['-w 5 -f ipv4', 1],
    ['-w 0', 3],
    ['-w 9', 0],
    ['--orig-zone 7', 1],
    ['--reply-zone 8', 1],
    ['-s 192.0.2.1 -p udp --sport 1', 3],
    ['-s 192.0.2.1 -p udp --sport 1 -w 65535', 1],
  ] as const) {
    test(`-U ${words}`, async () => {
      updated(await table.run(`-U ${words} -m 1`), count);
      assert.equal(await marked(), count);
    });
  }
  test('labels, timeout and status too', async () => {
    updated(await table.run('-U -w 5 --label-add web -t 777 -u ASSURED'), 2);
    assert.equal((await table.list('-l', 'web', '-u', 'ASSURED', '-w', '5')).length, 2);
    updated(await table.run('-U --orig-zone 7 -t 0'), 1);
    assert.equal(await table.count(), 5);
  });
});

suite('filters', OURS, () => {
  const FLOWS: readonly NewFlow[] = [
    udp(1),
    udp(2, { original: side('192.0.2.77', '198.51.100.9', 2, 53) }),
    udp(3, { sourceNat: { address: '203.0.113.5' } }),
    udp(4, { sourceNat: { address: '203.0.113.6', port: 7000 } }),
    udp(5, { destinationNat: { address: '203.0.113.9', port: 80 } }),
    udp(6, { original: side(A6, B6, 6, 53), sourceNat: { address: '2001:db8:9::9' } }),
    udp(7, { original: side('2001:db8:ffff::1', B6, 7, 53) }),
    { proto: 6, original: side(A, B, 8, 80), timeout: 100000, tcpState: TCP.ESTABLISHED, labels: [1] },
    { proto: 47, original: side(A, B, 9, 10), timeout: 100000 },
    { proto: 47, original: side(A, B, 11, 10), timeout: 100000 },
    { proto: 1, original: { src: A, dst: B, icmp: [8, 0, 12] }, timeout: 100000 },
    { proto: 1, original: { src: A, dst: B, icmp: [13, 0, 13] }, timeout: 100000, sourceNat: { address: '203.0.113.5' } },
    { proto: 50, original: { src: A, dst: B }, timeout: 100000 },
  ];
  beforeEach(() => table.fill(FLOWS));
  for (const [words, count] of [
    ['', 13],
    ['-f ipv4', 11],
    ['-f ipv6', 2],
    ['-s 192.0.2.1', 10],
    ['-s 192.0.2.0/24', 11],
    ['-s 192.0.2.64/26', 1],
    ['-s 0.0.0.0/0', 11],
    ['-s 2001:db8::/48', 1],
    ['-d 198.51.100.77 --mask-dst 255.255.255.0', 11],
    ['-s 192.0.2.1 --mask-src 255.255.255.0 -d 198.51.100.9', 1],
    ['-r 203.0.113.9', 1],
    ['-q 203.0.113.5', 2],
    ['-p udp', 7],
    ['-p udp --sport 4', 1],
    ['-p udp --dport 53', 7],
    ['-p udp --reply-port-dst 7000', 1],
    ['-p tcp', 1],
    ['-p gre --srckey 9', 1],
    ['-p gre --dstkey 10', 2],
    ['-p icmp --icmp-type 8', 1],
    ['-p icmp --icmp-id 13', 1],
    ['-p 50', 1],
    ['-n', 4],
    ['-g', 1],
    ['-n 203.0.113.5', 2],
    ['-n 203.0.113.5 -p udp', 1],
    ['-n 203.0.113.6:7000', 1],
    ['-n 203.0.113.6:7001', 0],
    ['-g 203.0.113.9', 1],
    ['-g 203.0.113.9:80', 1],
    ['-n 2001:db8:9::9', 1],
    ['-n 2001:db8:9::8', 0],
    ['-l web', 1],
    ['-l last', 0],
    ['-i 1', 0],
    ['-s 203.0.113.1', 0],
  ] as const) {
    test(`-U ${words} touches ${count} of 13`, async () => {
      updated(await table.run(`-U ${words} -m 77`), count);
      assert.equal((await table.list('-m', '77')).length, count);
    });
  }

  test('by id', async () => {
    const id = / id=(\d+)$/.exec((await table.run('-L -p udp --sport 2 -o id')).stdout.trim())![1]!;
    updated(await table.run(['-U', '-i', id, '-m', '5']), 1);
    updated(await table.run(['-U', '--id', id, '-m', '6']), 1);
    assert.match((await table.run('-L -m 6')).stdout, /sport=2 /);
    updated(await table.run(['-U', '-i', id, '-p', 'tcp', '-m', '7']), 0);
  });

  test('nothing new is nothing updated', async () => {
    updated(await table.run('-U -s 192.0.2.1'), 0);
    updated(await table.run('-U -p tcp'), 0);
    updated(await table.run('-U'), 0);
    updated(await table.run('-U -m 0'), 0);
  });

  test('what is refused touches nothing', async () => {
    const before = await table.saved();
    for (const [words, status] of [
      ['-U -m abc', '1'],
      ['-U -m 1/x', '1'],
      ['-U -t abc', '2'],
      ['-U -u NOPE', '2'],
      ['-U -j -m 1', '2'],
      ['-U -c 5 -m 1', '2'],
      ['-U -s 192.0.2.1 -d 2001:db8::1 -m 1', '2'],
      ['-U --mask-src 255.0.0.0 -m 1', '2'],
      ['-U expect -m 1', '2'],
      ['-U -p tcp --state NOPE', '2'],
      ['-U --state ESTABLISHED', '2'],
    ] as const)
      assert.equal((await table.run(words)).status, status, words);
    assert.deepEqual(await table.saved(), before);
  });

  test('output: the entry as it is afterwards, in each form', async () => {
    const line = '-U -p tcp -m';
    assert.match((await table.run(`${line} 1`)).stdout, /^tcp +6 \d+ ESTABLISHED src=.* mark=1 use=2\n$/);
    assert.match((await table.run(`${line} 2 -o save`)).stdout, /^-A -t \d+ -u UNSET -s .* --state ESTABLISHED\n$/);
    assert.match(
      (await table.run(`${line} 3 -o extended,id,timestamp,ktimestamp`)).stdout,
      /^ipv4 +2 tcp .* mark=3 use=2 id=\d+\n$/,
    );
    assert.match((await table.run(`${line} 4 -o labels`)).stdout, / labels=web\n$/);
    assert.match(
      (await table.run(`${line} 5 -o xml`)).stdout,
      /^<\?xml [^\n]*\n<conntrack>\n<flow>.*<mark>5<\/mark>.*<\/flow>\n<\/conntrack>\n$/,
    );
    assert.match((await table.run('-U -p 99 -m 1 -o xml')).stdout, /^<\?xml [^\n]*\n<conntrack>\n<\/conntrack>\n$/);
  });

  test('many entries: in batches, each once', async () => {
    const many = Array.from({ length: 2500 }, (_, n) => udp(1000 + n, { mark: n % 2 }));
    await table.fill(many);
    updated(await table.run('-U -m 1'), 1250);
    updated(await table.run('-U -m 2 -p udp --dport 53'), 2500);
    updated(await table.run('-U -t 0'), 2500);
  });
});

/** A request to create a TCP entry with these flags in both directions, and no others. */
function withTcpFlags(flow: NewFlow, flags: number): Buffer {
  const parts = attributesOf(newFlow(flow)).map(({ type, bytes }) => {
    if (type !== 4) return bytes;
    const copy = Buffer.from(bytes);
    // CTA_PROTOINFO_TCP_FLAGS_ORIGINAL and _REPLY: the last two attributes, 2 bytes and 2 of padding each.
    for (const at of [copy.length - 12, copy.length - 4]) copy.set([flags, 0xff], at);
    return copy;
  });
  return message(0x100, 0x605, 2, ...parts);
}

// Nothing from outside can be timed between the list and the change, so this test plays the kernel.
suite('an entry that is another by the time of its change', OURS, () => {
  const TYPES = { NEW: 0x100, GET: 0x101, DELETE: 0x102 } as const;
  const entry = (sport: number, id: number): Buffer => {
    const idBytes = Buffer.from([8, 0, 12, 0, 0, 0, 0, 0]);
    idBytes.writeUInt32BE(id, 4);
    return message(TYPES.NEW, 0, 2, ...attributesOf(newFlow(udp(sport, { mark: 1 }))).map(({ bytes }) => bytes), idBytes);
  };
  const gone = () => new KernelError('CT_GET', 2, 'ENOENT', 'no such entry');

  interface Sent {
    readonly name: string;
    readonly types: number[];
    readonly bodies: Buffer[];
  }

  /** Answers each request of a batch by its source port. */
  function played(answer: (type: number, sport: number) => Buffer | KernelError | undefined): { channel: Channel; sent: Sent[] } {
    const sent: Sent[] = [];
    let types: number[] = [];
    let bodies: Buffer[] = [];
    const channel = {
      addToBatch({ type }: RequestRow, _flags: number, family: number, build: (writer: MessageWriter) => void): number {
        const writer = new MessageWriter();
        writer.begin(type, 0, 1, family);
        build(writer);
        writer.end();
        types.push(type);
        bodies.push(Buffer.from(writer.bytes.subarray(0, writer.length)));
        return types.length - 1;
      },
      sendBatch(
        { name }: RequestRow,
        visit: ((bytes: Uint8Array, at: number, end: number, index: number) => void) | undefined,
        failed: (index: number, error: KernelError) => void,
      ): void {
        const batch = { name, types, bodies };
        types = [];
        bodies = [];
        sent.push(batch);
        batch.types.forEach((type, index) => {
          // The first port of a tuple: CTA_PROTO_SRC_PORT.
          const at = batch.bodies[index]!.indexOf(Buffer.from([6, 0, 2, 0]));
          const result = answer(type, batch.bodies[index]!.readUInt16BE(at + 4));
          if (result instanceof KernelError) failed(index, result);
          else if (result !== undefined) visit?.(result, 0, result.length, index);
        });
      },
    };
    return { channel: channel as unknown as Channel, sent };
  }

  const listed = (sport: number, id: number) => {
    const bytes = entry(sport, id);
    const view = createFlowView();
    view.decode(bytes, 0, bytes.length);
    return view;
  };

  test('-U asks for each again, and leaves alone what has another id or is gone', async () => {
    const { channel, sent } = played((type, sport) => {
      if (type === TYPES.NEW) return undefined;
      if (sport === 3) return gone();
      return entry(sport, sport === 2 ? 999 : sport);
    });
    const result = emptyResult();
    let shown = 0;
    const updater = flowUpdater(channel, result, { mark: { value: 5, mask: 0xffffffff } }, () => shown++, false);
    for (const sport of [1, 2, 3, 4]) updater.add(listed(sport, sport));
    await updater.finish();
    assert.deepEqual(
      sent.map(({ types }) => types),
      [new Array(4).fill(TYPES.GET), [TYPES.NEW, TYPES.GET, TYPES.NEW, TYPES.GET]],
    );
    assert.equal(shown, 2);
    assert.deepEqual(result, { ...emptyResult(), matched: 4, changed: 2, alreadyGone: 2 });
  });

  test('-U counts what vanishes with the change itself as gone, not as refused', async () => {
    const { channel } = played((type, sport) =>
      type === TYPES.NEW && sport === 2 ? gone() : type === TYPES.NEW ? undefined : entry(sport, sport),
    );
    const result = emptyResult();
    const updater = flowUpdater(channel, result, { mark: { value: 5, mask: 0xffffffff } }, () => {}, false);
    for (const sport of [1, 2]) updater.add(listed(sport, sport));
    await updater.finish();
    assert.deepEqual(result, { ...emptyResult(), matched: 2, changed: 1, alreadyGone: 1 });
  });

  test('-D names the id, so that the kernel refuses another entry with the same tuple', async () => {
    const { channel, sent } = played((_, sport) => (sport === 2 ? gone() : undefined));
    const result = emptyResult();
    const shown: number[] = [];
    const deleter = flowDeleter(channel, result, (view) => shown.push(view.size), false);
    for (const sport of [1, 2, 3]) deleter.add(listed(sport, 0x1234 + sport));
    await deleter.finish();
    assert.deepEqual(result, { ...emptyResult(), matched: 3, changed: 2, alreadyGone: 1 });
    assert.equal(shown.length, 2);
    for (const [n, body] of sent[0]!.bodies.entries()) {
      const id = attributesOf(body).find(({ type }) => type === 12);
      assert.equal(id?.bytes.readUInt32BE(4), 0x1234 + n + 1);
    }
  });
});
