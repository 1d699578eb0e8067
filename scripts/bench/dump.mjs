// The floor of every list: dumps the table of this network namespace through src/wire and throws everything away.
// Prints the milliseconds of each dump as a JSON array; `node scripts/bench/dump.mjs 5` makes five in one process.

import { root } from '../fresh.mjs';

const { dump, MessageWriter, NetlinkSocket, ReceiveBuffers } = await import(`${root}/dist/wire/index.js`);

const CT_GET = 0x101;
const REQUEST_ACK_DUMP = 0x305;

let buffers;
const times = [];
let messages = 0;
const visitor = { message: () => void messages++ };
for (let left = Number(process.argv[2] ?? 1); left > 0; left--) {
  const socket = NetlinkSocket.open();
  buffers ??= new ReceiveBuffers(socket);
  const writer = new MessageWriter();
  writer.begin(CT_GET, REQUEST_ACK_DUMP, 1, 0);
  writer.end();
  const start = performance.now();
  await dump(socket, buffers, { name: 'CT_GET', sequence: 1, bytes: writer.bytes, length: writer.length }, visitor);
  times.push(performance.now() - start);
  socket.close();
}
console.log(JSON.stringify(times));
