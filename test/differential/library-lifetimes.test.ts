// What the library keeps open and what it closes, on a real table: things dropped without being closed, what keeps a process alive,
// subscribers that throw, sources that never deliver, the end of a view.

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ClosedError, Conntrack, type FlowEvent, type LiveFlows, listNamespaces, NetworkNamespace } from '../../src/index.js';
import { manyFlows } from '../support/many.js';
import { Namespace } from '../support/namespace.js';
import { PROJECT, requirePrerequisites, SELF_TEST } from '../support/project.js';

const MANY = 40_000;
const flow = (sport: number) =>
  ({
    protocol: 'udp',
    original: { src: '192.0.2.1', dst: '198.51.100.1', sport, dport: 53 },
    timeout: 10_000,
  }) as const;

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

/** Sockets and namespaces that this process has open. */
function held(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^(?:socket|net):/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // of the folder that was read
    }
  }).length;
}

/** Collects until no more than `most` are held, or for half a second at least. */
async function heldInTheEnd(most: number): Promise<number> {
  for (let n = 0; n < 50 && held() > most; n++) {
    collect();
    await sleep(10);
  }
  return held();
}

before(requirePrerequisites);
suite('lifetimes', { skip: SELF_TEST ? 'the reference has no library' : false }, () => {
  let namespace: Namespace;
  before(async () => {
    namespace = await Namespace.create('lifetimes');
    await namespace.sysctl({ 'net.netfilter.nf_conntrack_events': 1 });
  });
  after(() => namespace.close());
  const open = () => Conntrack.open({ netns: namespace.pid });

  suite('dropped without being closed', () => {
    test('a Conntrack, with all that came of it', async () => {
      const before = await heldInTheEnd(0);
      await (async () => {
        const conntrack = await open();
        await conntrack.create(flow(1));
        conntrack.events({}, { signal: new AbortController().signal });
        (await conntrack.watch()).list();
      })();
      assert.ok(held() > before);
      assert.equal(await heldInTheEnd(before), before);
    });

    test('a stream, a view and a list that was not read to its end, of a Conntrack that stays', async () => {
      await namespace.netlink(manyFlows(MANY));
      await using conntrack = await open();
      const controller = new AbortController();
      const { signal } = controller;
      await (async () => {
        // The sockets that are kept for what comes next are there already.
        await Promise.all([conntrack.count({ mark: 1 }), conntrack.count({ mark: 1 }), conntrack.count({ mark: 1 })]);
      })();
      const before = held();
      await (async () => {
        conntrack.events({}, { signal, initial: true, resync: true });
        conntrack.expectations.events({ signal });
        await conntrack.watch({}, { signal });
        await Promise.all([1, 2, 3, 4].map(() => conntrack.list({}, { signal })[Symbol.asyncIterator]().next()));
      })();
      assert.ok(held() > before);
      assert.ok((await heldInTheEnd(before)) <= before);
      await conntrack.flush();
    });

    test('network namespaces', async () => {
      const before = await heldInTheEnd(0);
      (() => {
        NetworkNamespace.open(namespace.pid);
        assert.ok(listNamespaces().namespaces.length > 0);
      })();
      assert.ok(held() > before + 1);
      assert.equal(await heldInTheEnd(before), before);
    });

    test('a descriptor is closed once, though its number is used again', async () => {
      const first = NetworkNamespace.open(namespace.pid);
      first.close();
      const second = NetworkNamespace.open(namespace.pid); // has the number of the first
      first.close();
      collect();
      await sleep(10);
      second.run(() => {});
      second.close();
      assert.throws(() => second.run(() => {}), ClosedError);
    });
  });

  test('what somebody waits for or listens to is not dropped', async () => {
    await using conntrack = await open();
    await conntrack.flush();
    const told: FlowEvent[] = [];
    const heard: string[] = [];
    await (async () => {
      const events = conntrack.events();
      void (async () => {
        for await (const event of events) if (told.push(event) === 2) break;
      })();
      const live = await conntrack.watch();
      live.subscribe((change) => heard.push(change.type));
    })();
    const next = conntrack.events().next();
    for (let n = 0; n < 5; n++) {
      collect();
      await sleep(10);
    }
    await conntrack.create(flow(1));
    await conntrack.delete({});
    assert.equal((await next).value?.type, 'NEW');
    for (let n = 0; n < 100 && told.length + heard.length < 4; n++) await sleep(10);
    assert.deepEqual(
      [told.map((event) => event.type), heard],
      [
        ['NEW', 'DESTROY'],
        ['NEW', 'DESTROY'],
      ],
    );
  });

  test('an abort ends a list that waits for its reader, and frees its socket', async () => {
    await namespace.netlink(manyFlows(MANY));
    await using conntrack = await open();
    const controller = new AbortController();
    const before = held();
    const lists = [1, 2, 3, 4].map(() => conntrack.list({}, { signal: controller.signal })[Symbol.asyncIterator]());
    await Promise.all(lists.map((list) => list.next()));
    assert.ok(held() >= before + 3);
    controller.abort(new Error('enough'));
    for (let n = 0; n < 100 && held() > before; n++) await sleep(10);
    assert.ok(held() <= before);
    for (const list of lists) await assert.rejects(list.next(), /enough/);
    await conntrack.flush();
  });

  test('using closes what closes at once', async () => {
    await using conntrack = await open();
    const before = held();
    {
      using _events = conntrack.events();
      using _live = await conntrack.watch();
      using _namespace = NetworkNamespace.open(namespace.pid);
      assert.equal(held(), before + 3);
    }
    assert.equal(held(), before);
  });

  suite('a process', () => {
    const run = (code: string) =>
      namespace.run(
        [
          process.execPath,
          '--input-type=module',
          '-e',
          `import { Conntrack } from ${JSON.stringify(`${PROJECT}/dist/index.js`)};
           const conntrack = await Conntrack.open();
           const events = conntrack.events({}, { initial: true, resync: true });
           const live = await conntrack.watch();
           await events.ready;
           process.on('exit', () => console.log('ended'));
           ${code}`,
        ],
        { timeLimit: 3000 },
      );

    test('ends while a stream and a view are open that it need not stay for', async () => {
      const { status, stdout } = await run('events.unref(); live.unref();');
      assert.deepEqual([status, stdout.toString()], [0, 'ended\n']);
    });
    test('stays for one that it has to stay for', async () => {
      const { stdout } = await run('events.unref(); live.unref().ref();');
      assert.equal(stdout.toString(), '');
    });
    test('ends well with events that nobody has taken', async () => {
      const { status, stdout, stderr } = await run(`
        events.unref();
        live.unref();
        for (let sport = 1; sport <= 100; sport++)
          await conntrack.create({ ...${JSON.stringify(flow(0))}, original: { ...${JSON.stringify(flow(0).original)}, sport } });`);
      assert.deepEqual([status, stdout.toString()], [0, 'ended\n'], stderr.toString());
      await (await open()).flush();
    });
    test('gets events as long as it is there for something else', async () => {
      const { status, stdout, stderr } = await run(`
        events.unref();
        live.unref();
        const stay = setTimeout(() => {}, 2500);
        await conntrack.create(${JSON.stringify(flow(7))});
        for await (const { flow } of events) if (flow.original.sport === 7) break;
        console.log('told');
        clearTimeout(stay);`);
      assert.deepEqual([status, stdout.toString()], [0, 'told\nended\n'], stderr.toString());
    });
  });

  test('a subscriber that throws is an uncaught exception; the view goes on, for it and for the others', async () => {
    await using conntrack = await open();
    await conntrack.flush();
    using live = await conntrack.watch();
    const heard: string[] = [];
    const uncaught: unknown[] = [];
    live.subscribe(({ type }) => {
      heard.push(`first ${type}`);
      throw new Error(`of ${type}`);
    });
    live.subscribe(({ type }) => heard.push(`second ${type}`));
    process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error));
    try {
      await conntrack.create(flow(1));
      await conntrack.delete({});
      for (let n = 0; n < 100 && heard.length < 4; n++) await sleep(10);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
    assert.deepEqual(heard, ['first NEW', 'second NEW', 'first DESTROY', 'second DESTROY']);
    assert.deepEqual(uncaught.map(String), ['Error: of NEW', 'Error: of DESTROY']);
    assert.equal(live.failure, undefined);
    assert.equal(live.size, 0);
  });

  test('closed tells how a view has ended, and nobody need look at it', async () => {
    const conntrack = await open();
    const controller = new AbortController();
    const views = await Promise.all([conntrack.watch(), conntrack.watch({}, { signal: controller.signal }), conntrack.watch()]);
    const [own, aborted, table] = views as [LiveFlows, LiveFlows, LiveFlows];
    own.close();
    await own.closed;
    assert.equal(own.failure, undefined);
    controller.abort(new Error('enough'));
    await assert.rejects(aborted.closed, /^Error: enough$/);
    await conntrack.close();
    await sleep(10); // an unhandled rejection would have failed this test
    await assert.rejects(table.closed, ClosedError);
    assert.ok(table.failure instanceof ClosedError);
  });

  for (const name of ['createMany', 'updateMany', 'deleteMany'] as const)
    for (const end of ['abort', 'close'] as const)
      test(`a source that never delivers does not keep ${name} from ending by ${end}`, async () => {
        await using conntrack = await open();
        const controller = new AbortController();
        const { signal } = controller;
        let left = false;
        async function* stuck() {
          try {
            yield flow(1);
            await new Promise(() => {});
          } finally {
            left = true;
          }
        }
        const calls = {
          createMany: () => conntrack.createMany(stuck(), { signal }),
          updateMany: () => conntrack.updateMany(stuck(), { mark: 1 }, { signal }),
          deleteMany: () => conntrack.deleteMany(stuck(), { signal }),
        };
        const call = calls[name]();
        call.catch(() => {});
        await sleep(10);
        if (end === 'abort') controller.abort(new Error('enough'));
        else await conntrack.close();
        await assert.rejects(call, end === 'abort' ? /^Error: enough$/ : ClosedError);
        assert.equal(left, false, 'a generator that waits cannot be left');
      });

  test('a count of a view lets others have the event loop', async () => {
    await namespace.netlink(manyFlows(MANY));
    await using conntrack = await open();
    using live = await conntrack.watch();
    let turns = 0;
    let counting = true;
    const turn = () => {
      turns++;
      if (counting) setImmediate(turn);
    };
    setImmediate(turn);
    const filter = { any: [{ original: { src: '10.0.0.0/8' } }, { not: { mark: 12345 } }] } as const;
    assert.equal(await live.count(filter), [...live.list(filter)].length);
    counting = false;
    assert.ok(turns > 3, `${turns} turns`);
    assert.equal(await live.count(), live.size);
    await assert.rejects(live.count({ protocl: 'udp' } as never), /protocl/);
    await conntrack.flush();
  });
});
