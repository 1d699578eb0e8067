// `conntrack top` and `conntrack usage` as they are used: on a pseudo-terminal, in a private namespace, with the real kernel.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeJsonSchema } from '../../src/format/json-schema.js';
import { meterSchema } from '../../src/meter/meter-schema.js';
import { schemaFault } from '../support/json-schema.js';
import { Namespace } from '../support/namespace.js';
import { requirePrerequisites, UNDER_TEST } from '../support/project.js';
import { PseudoTerminal } from '../support/pseudo-terminal.js';
import { filled, top } from '../support/top-scene.js';

requirePrerequisites();

const { schema } = makeJsonSchema(meterSchema());
const ENTER = '\r';
const ESCAPE = '\x1b';
const TAB = '\t';

async function entries(namespace: Namespace, ...filter: string[]): Promise<number> {
  const { stdout } = await namespace.run([UNDER_TEST, '-C', ...(filter.length > 0 ? ['--filter', filter.join(' ')] : [])]);
  return Number(stdout.toString());
}

async function assertEnds(terminal: PseudoTerminal, status: number): Promise<void> {
  assert.equal((await terminal.exited).status, status);
  await terminal.waitFor(() => !terminal.alternate, 'the normal screen');
  assert.deepEqual(terminal.modes, { mouse: false, paste: false, wrap: true, synchronized: false, cursor: true });
}

suite('conntrack top', () => {
  test('from the first picture to who fills the table, and rid of it', async () => {
    await using namespace = await filled('kill');
    await using terminal = await top(namespace);
    await terminal.waitForText('148 of 148');
    terminal.send('2');
    await terminal.waitForText('by src');
    await terminal.waitForText('4 groups');
    const row = terminal.screen().find((line) => line.includes('10.1.9.9'))!;
    assert.match(row, /^. ?10\.1\.9\.9 +130 +87\.8 % +.*100 %/);
    terminal.send('x');
    await terminal.waitForText('Delete 130 flows');
    // The focus is on Cancel, and so many want their number typed.
    terminal.send(ENTER);
    await terminal.waitFor(() => !terminal.screen().some((line) => line.includes('Delete 130')), 'the dialog is closed');
    assert.equal(await entries(namespace), 148);
    terminal.send('x');
    await terminal.waitForText('Delete 130 flows');
    terminal.send('\x1b[200~y\x1b[201~y');
    terminal.send(ESCAPE);
    await terminal.waitFor(() => !terminal.screen().some((line) => line.includes('Delete 130')), 'the dialog is closed');
    assert.equal(await entries(namespace), 148);
    terminal.send('x');
    await terminal.waitForText('Delete 130 flows');
    terminal.send(`130${TAB}${ENTER}`);
    await terminal.waitForText('deleted 130');
    assert.equal(await entries(namespace), 18);
    await terminal.waitForText('none came back');
    terminal.send('q');
    await assertEnds(terminal, 0);
  });

  test('one flow by y; tagged flows together; nothing with --read-only', async () => {
    await using namespace = await filled('few');
    await using terminal = await top(namespace, ['udp', '--sort', 'sport']);
    await terminal.waitForText('scope: udp');
    await terminal.waitForText('5 of 5');
    terminal.send('x');
    await terminal.waitForText('Delete udp 10.1.1.2:3000');
    terminal.send('y');
    await terminal.waitForText('deleted 1');
    await terminal.waitForText('4 of 4');
    assert.equal(await entries(namespace, 'udp and src port 3000'), 0);
    terminal.send('tt');
    terminal.send('x');
    await terminal.waitForText('Delete 2 flows');
    terminal.send(`${TAB}${ENTER}`);
    await terminal.waitForText('deleted 2');
    assert.equal(await entries(namespace, 'udp'), 2);
    terminal.send('\x03');
    await assertEnds(terminal, 0);
    await using other = await top(namespace, ['--read-only']);
    other.send('x');
    await other.waitForText('--read-only');
    assert.equal(await entries(namespace), 145);
  });

  test("the flow of one's own SSH session is kept", async () => {
    await using namespace = await filled('ssh');
    const environment = { SSH_CONNECTION: '10.1.1.1 2003 203.0.113.1 443' };
    await using terminal = await top(namespace, ['--by', 'src'], { environment });
    terminal.send('/src 10.1.1.1\r');
    await terminal.waitForText('1 group ');
    terminal.send('x');
    await terminal.waitForText('11 flows');
    await terminal.waitForText('is kept');
    terminal.send(`${TAB}${ENTER}`);
    await terminal.waitForText('deleted 11');
    assert.equal(await entries(namespace, 'src 10.1.1.1 and src port 2003'), 1);
  });

  test('an empty table says when packets are tracked', async () => {
    await using namespace = await Namespace.create('empty');
    await using terminal = await top(namespace);
    await terminal.waitForText('no flows: the table is empty');
    await terminal.waitForText('packets are tracked where a rule needs it');
    terminal.send('q');
    await assertEnds(terminal, 0);
  });

  test('a filter is checked while it is typed, completed and applied', async () => {
    await using namespace = await filled('filter');
    await using terminal = await top(namespace);
    terminal.send('/tcp and dprt 4');
    await terminal.waitForText("unknown word 'dprt'");
    terminal.send(ENTER);
    await terminal.waitForText('did you mean dport?');
    terminal.send('\x15tcp and sta');
    terminal.send(TAB);
    await terminal.waitForText('state');
    terminal.send('\x15tcp and state syn-sent\r');
    await terminal.waitForText('filter: tcp and state syn-sent');
    await terminal.waitForText('130 of 148');
    terminal.send('\x7f');
    await terminal.waitForText('148 of 148');
  });

  test('groups are opened and left, and the details show both ways through NAT', async () => {
    await using namespace = await filled('drill');
    await using terminal = await top(namespace, ['--by', 'src', '--sort', 'key'], { columns: 140, rows: 40 });
    await terminal.waitForText('4 groups');
    terminal.send('jj');
    await terminal.waitForText('filter: src 10.1.1.3');
    terminal.send(`${ENTER}${ENTER}`);
    await terminal.waitForText('source becomes 198.51.100.7:5000');
    await terminal.waitForText('destination becomes 10.1.1.3:5000');
    terminal.send('\x7f\x7f\x7f');
    await terminal.waitFor(() => !terminal.screen().some((line) => line.includes('by src')), 'the flows');
  });

  test('i says what is wrong, with the command that mends it, while the picture goes on', async () => {
    await using namespace = await filled('findings', [
      'nft',
      'add table t; add chain t c { type filter hook input priority 0; }',
    ]);
    await namespace.run(['sysctl', '-qw', 'net.netfilter.nf_conntrack_acct=0']);
    await using terminal = await top(namespace, [], { columns: 140, rows: 40 });
    await terminal.waitForText('148 of 148');
    terminal.send('i');
    await terminal.waitForText('looking for what is wrong');
    await terminal.waitForText('since top was started');
    await terminal.waitForText('checks of conntrack doctor found nothing');
    const lines = terminal.screen().map((line) => /│ (.*?) *│/.exec(line)?.[1] ?? '');
    const found = lines.findIndex((line) => line.endsWith('(accounting-off)'));
    assert.match(lines[found]!, /^(warning|info): /);
    assert.match(lines.slice(found).join('\n'), /^ {4}sysctl -w net\.netfilter\.nf_conntrack_acct=1/m);
    assert.match(lines.join('\n'), /^\d+ checks of conntrack doctor found nothing$/m);
    terminal.send(ESCAPE);
    await terminal.waitFor(() => !terminal.screen().some((line) => line.includes('Information')), 'it is closed');
    // Who leaves while it looks does not wait for it.
    terminal.send('i');
    await terminal.waitForText('looking for what is wrong');
    const began = performance.now();
    terminal.send(`${ESCAPE}`);
    await terminal.waitFor(() => !terminal.screen().some((line) => line.includes('Information')), 'it is closed');
    terminal.send('q');
    await assertEnds(terminal, 0);
    assert.ok(performance.now() - began < 1900);
  });

  test('Enter on the details says what the flow is, and nothing of it blocks', async () => {
    await using namespace = await filled('explained');
    await using terminal = await top(namespace, ['udp', '--sort', 'sport'], { columns: 140, rows: 40 });
    await terminal.waitForText('5 of 5');
    terminal.send(ENTER);
    await terminal.waitForText('⏎ explain');
    terminal.send(ENTER);
    await terminal.waitForText('udp 10.1.1.2:3000 → 203.0.113.2:53');
    await terminal.waitForText('SEEN_REPLY: packets in both directions');
    const delete_ = terminal.screen().find((line) => line.includes('conntrack -D'));
    assert.match(delete_ ?? '', /│ {5}conntrack -D --filter 'id \d+' +│/);
    // It is gone: that is said, too.
    terminal.send(ESCAPE);
    await terminal.waitFor(() => !terminal.screen().some((line) => line.includes('What it is')), 'it is closed');
    terminal.send(' ');
    await terminal.waitForText('PAUSED');
    assert.equal((await namespace.run([UNDER_TEST, '-D', '-p', 'udp'])).status, 0);
    terminal.send(ENTER);
    await terminal.waitForText('cannot say: there is no such flow any more');
    terminal.send('\x7f\x7f');
    await terminal.waitForText('⏎ details');
  });

  test('p shows the past of a flow from a record, or why there is none', async () => {
    const directory = mkdtempSync(`${tmpdir()}/conntrack-top-`);
    try {
      await using namespace = await filled('past');
      const record = [UNDER_TEST, 'record', '--keep', 'forever', '--dir', directory, '--for', '5s'];
      const recording = namespace.run(record);
      const asked = [UNDER_TEST, 'record', 'status', '--dir', directory];
      while ((await namespace.run(asked)).status !== 0) await sleep(100);
      const flow = ['-s', '10.1.1.2', '-d', '203.0.113.2', '-p', 'udp', '--sport', '3000', '--dport', '53'];
      await namespace.run([UNDER_TEST, '-D', ...flow]);
      await namespace.run([UNDER_TEST, '-I', ...flow, '-t', '600']);
      assert.equal((await recording).status, 0);
      const words = ['udp', '--sort', 'sport', '--history', directory];
      await using terminal = await top(namespace, words, { columns: 140, rows: 40 });
      await terminal.waitForText('5 of 5');
      terminal.send('p');
      await terminal.waitForText('The past of udp 10.1.1.2:3000');
      const lives = () => terminal.screen().filter((line) => /│ (before )?\d{4}-\d\d-\d\dT\S+Z .* │/.test(line));
      await terminal.waitFor(() => lives().length === 2, 'two lives');
      assert.match(lives()[0]!, /│ \S+Z lives /);
      assert.match(lives()[1]!, /│ before \S+Z to \S+Z /);
      await using other = await top(namespace, ['--history', `${directory}/none`], { columns: 140, rows: 40 });
      other.send('p');
      await other.waitForText('cannot say: ');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test('pasted text is no keys, and small screens say so', async () => {
    await using namespace = await filled('paste');
    await using terminal = await top(namespace);
    terminal.send('\x1b[200~q\rxy\r\x1b[201~');
    terminal.send('?');
    await terminal.waitForText('Keys');
    terminal.send(ESCAPE);
    terminal.resize(50, 9);
    await terminal.waitForText('needs 60x10');
    terminal.resize(60, 10);
    await terminal.waitForText('148 of 148');
    assert.equal(terminal.exit, undefined);
    assert.equal(await entries(namespace), 148);
  });

  for (const [signal, status] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    test(`${signal} gives the terminal back`, async () => {
      await using namespace = await filled(signal.toLowerCase());
      await using terminal = await top(namespace);
      terminal.signal(signal);
      await assertEnds(terminal, status);
    });

  test('without the right to the table no screen is opened', async () => {
    await using namespace = await filled('rights');
    const less = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin', UNDER_TEST, 'top'];
    await using terminal = PseudoTerminal.start(less, { namespace });
    assert.equal((await terminal.exited).status, 1);
    assert.match(terminal.raw.toString(), /^conntrack: cannot list flows: permission denied\r\n {2}hint: run it as root/);
    assert.ok(!terminal.raw.includes('\x1b[?1049h'));
  });
});

suite('network namespaces', () => {
  /** Where /proc and /run/netns show only what the script makes; `$c` is the command. */
  async function alone(namespace: Namespace, script: string): Promise<string> {
    const setUp = `set -e; mount -t tmpfs none /run; c="$1"; ip netns add blue; ip netns add red\n${script}`;
    const isolated = [
      'unshare',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '--mount',
      'sh',
      '-c',
      setUp,
      'sh',
      UNDER_TEST,
    ];
    const { stdout, stderr, status } = await namespace.run(isolated, { timeLimit: 90_000 });
    assert.equal(status, 0, stderr.toString());
    return stdout.toString();
  }

  test('that come and go while top runs are found within 30 s, and those that are gone are not kept', async () => {
    await using namespace = await Namespace.create('come');
    const text = await alone(
      namespace,
      `watch() { exec "$c" top --batch --netns "$1" --every 1 -o ndjson > /run/out-$1; }
sample() { tail -n 200 /run/out-$1 | grep '"type":"sample"' | tail -n 1; }
held() { find -L /proc/$1/fd -inum $2 2>/dev/null | grep -c . || true; }
red=$(stat -L -c %i /run/netns/red); blue=$(stat -L -c %i /run/netns/blue)
watch all & all=$!
watch blue & one=$!
watch red & none=$!
for name in all blue red; do until grep -q '"type":"sample"' /run/out-$name; do sleep 0.2; done; done
held $all $red; held $one $blue; held $none $red
ip netns delete red; ip netns add late
ip netns delete blue; ip netns add blue
ip netns exec blue "$c" -I -s 192.0.2.9 -d 192.0.2.8 -p udp --sport 1 --dport 2 -t 999 2>/dev/null
until grep -q '"name":"late"' /run/out-all; do sleep 0.5; done
until grep -qF 192.0.2.9 /run/out-blue; do sleep 0.5; done
until grep -qF '"namespaces":[]' /run/out-red; do sleep 0.5; done
until [ "$(held $all $red)$(held $one $blue)$(held $none $red)" = 000 ]; do sleep 0.2; done
sleep 2
sample all; sample blue; sample red
grep -F 192.0.2.9 /run/out-blue | tail -n 1
kill $all $one $none`,
    );
    const lines = text.trim().split('\n');
    assert.ok(
      lines.slice(0, 3).every((held) => Number(held) > 0),
      text,
    );
    const [all, blue, red, flow] = lines.slice(3).map((line) => JSON.parse(line));
    const names = (sample: { readonly namespaces: readonly { readonly name: string }[] }) =>
      sample.namespaces.map(({ name }) => name);
    assert.ok(names(all).includes('blue') && names(all).includes('late') && !names(all).includes('red'), names(all).join());
    // One that was deleted and made again is the same name with another table; one that was not made again has none.
    assert.deepEqual([names(blue), blue.flows, flow.netns], [['blue'], 1, undefined]);
    assert.deepEqual([names(red), red.flows], [[], 0]);
  });

  test('have names in the title, and in remedies the way into them', async () => {
    await using namespace = await Namespace.create('title');
    await using terminal = PseudoTerminal.start(
      [
        'unshare',
        '--mount',
        'sh',
        '-c',
        'mount -t tmpfs none /run; ip netns add blue; exec "$1" top --netns blue',
        'sh',
        UNDER_TEST,
      ],
      { namespace },
    );
    await terminal.waitForText('netns blue');
    terminal.send('i');
    await terminal.waitForText('ip netns exec blue sysctl -w net.netfilter.nf_conntrack_acct=1');
  });
});

suite('names of labels', () => {
  test('are those of the file: in groups, in filters, in details', async () => {
    const file = "printf '1 gold\\n2 silver\\n' > /etc/xtables/connlabel.conf";
    // Flows have room for labels if there was a rule with labels when they began.
    const rule = 'add table t; add chain t c { type filter hook output priority 0; }; add rule t c ct label set 1';
    await using namespace = await filled('labels', ['sh', '-c', file], ['nft', rule]);
    const { status, stderr } = await namespace.run([UNDER_TEST, '-U', '-p', 'udp', '--label-add', 'gold']);
    assert.equal(status, 0, stderr.toString());
    await using terminal = await top(namespace, ['--by', 'label'], { columns: 140, rows: 40 });
    await terminal.waitForText(' gold ');
    terminal.send('1/label go\t\r');
    await terminal.waitForText('5 of 148');
    terminal.send(ENTER);
    await terminal.waitForText('labels gold');
    const { stdout } = await namespace.run([UNDER_TEST, 'usage', 'label gold', '--by', 'label']);
    assert.match(stdout.toString(), /^gold +5 /m);
  });
});

suite('without a terminal', () => {
  test('top prints a sample with rates; as ndjson it is what the schema says', async () => {
    await using namespace = await filled('once');
    const text = (await namespace.run([UNDER_TEST, 'top', '--every', '0.5', '--limit', '3'])).stdout.toString().split('\n');
    assert.match(text[0]!, /^\d{4}-.* {2}148 of [\d,]+ \(<1 %\) entries {2}new 0\/s {2}ended 0\/s /);
    assert.match(text[1]!, /^PROTO SOURCE +DESTINATION /);
    assert.equal(text.length, 7);
    for (const words of [[], ['--by', 'src']]) {
      const { status, stdout } = await namespace.run([UNDER_TEST, 'top', '--every', '0.5', '-o', 'ndjson', ...words]);
      assert.equal(status, 0);
      const lines = stdout
        .toString()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.ok(lines.length > 3);
      for (const line of lines) assert.equal(schemaFault(schema, line), undefined, JSON.stringify(line));
    }
    const { stdout } = await namespace.run([
      'sh',
      '-c',
      `${UNDER_TEST} top --batch --every 0.5 | head -1; echo "\${PIPESTATUS[0]}"`,
    ]);
    assert.match(stdout.toString(), /entries/);
  });

  test('usage says who has how much, and how full the table is', async () => {
    await using namespace = await filled('usage');
    const text = (await namespace.run([UNDER_TEST, 'usage', '--limit', '1'])).stdout.toString().split('\n');
    assert.match(text[0]!, /^148 of [\d,]+ entries in use \(<1 %\)$/);
    assert.match(text[2]!, /^10\.1\.9\.9 +130 +87\.8 % +100 % /);
    assert.match(text[3]!, /^\(3 more\) +18 /);
    const json = await namespace.run([UNDER_TEST, 'usage', 'tcp', '--by', 'state', '-o', 'json']);
    const answer = JSON.parse(json.stdout.toString());
    assert.equal(schemaFault(schema, answer), undefined);
    assert.deepEqual(
      answer.groups.map(({ key, flows }: { key: string; flows: number }) => [key, flows]),
      [
        ['tcp SYN_SENT', 130],
        ['tcp ESTABLISHED', 13],
      ],
    );
    const status = async (...words: string[]) => (await namespace.run([UNDER_TEST, 'usage', ...words])).status;
    assert.equal(await status('--fail-above', '50'), 0);
    assert.equal(await status('--fail-above', '0'), 1);
    assert.equal(await status('--fail-above', '0', '--critical-above', '50'), 1);
    assert.equal(await status('--fail-above', '0', '--critical-above', '0'), 2);
    assert.equal(await status('--critical-above', '0', '-o', 'json'), 2);
    assert.equal(await status('--by', 'nonsense'), 2);
    assert.equal(await status('--netns', '/nowhere'), 3);
    assert.equal(await status('--over', '0.5'), 0);
  });
});
