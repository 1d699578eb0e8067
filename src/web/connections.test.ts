import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { suite, test } from 'node:test';
import { Connections } from './connections.js';

class Socket extends EventEmitter {
  readonly name: number;
  destroyed = false;

  constructor(name: number) {
    super();
    this.name = name;
  }

  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

suite('connections', () => {
  const MOST = 4;
  const several = (connections: Connections<Socket>, count: number) =>
    Array.from({ length: count }, (_, n) => {
      const socket = new Socket(n);
      connections.add(socket);
      return socket;
    });
  const open = (sockets: readonly Socket[]) => sockets.filter(({ destroyed }) => !destroyed).map(({ name }) => name);

  test('that wait make room for others, the one that has waited longest first', () => {
    const connections = new Connections<Socket>(MOST);
    const sockets = several(connections, 3);
    assert.ok(connections.begin(sockets[0]!));
    assert.ok(connections.begin(sockets[1]!));
    connections.end(sockets[1]!); // it waits since now
    sockets.push(...several(connections, 1).map((socket) => socket));
    assert.deepEqual(open(sockets), [0, 1, 2, 0]);
    several(connections, 1);
    assert.deepEqual(open(sockets), [0, 1, 0], 'the third has waited longest');
    several(connections, 1);
    assert.deepEqual(open(sockets), [0, 0]);
  });

  test('that are answered are kept', () => {
    const connections = new Connections<Socket>(MOST);
    const sockets = several(connections, MOST);
    for (const socket of sockets) assert.ok(connections.begin(socket));
    const late = new Socket(9);
    connections.add(late);
    assert.ok(late.destroyed);
    assert.equal(open(sockets).length, MOST);
    sockets[2]!.destroy(); // by its other end
    assert.deepEqual(open(several(connections, 1)), [0]);
  });

  test('have eight requests at a time', () => {
    const connections = new Connections<Socket>(MOST);
    const [socket] = several(connections, 1) as [Socket];
    for (let n = 0; n < 8; n++) assert.ok(connections.begin(socket));
    connections.end(socket);
    assert.ok(connections.begin(socket));
    assert.ok(!connections.begin(socket));
    assert.ok(socket.destroyed);
    connections.end(socket); // late
    assert.deepEqual(open(several(connections, MOST)), [0, 1, 2, 3]);
  });
});
