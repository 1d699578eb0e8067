// Replaces koffi and the kernel while scripts/code-cache.cjs runs commands: a table in memory that accepts new entries and lists them. So
// the build needs no privileges and no kernel with conntrack, touches no table, and compiles the same functions everywhere. It knows as
// much of netlink as that takes, refuses nothing, and is little-endian, as are all machines that koffi has binaries for.
'use strict';

/** The number of entries that it claims to have: enough to make the command list both families at once. */
const COUNT = 200_000;
/** Datagrams of a list. */
const PARTS = 100;

const HEADER = 16;
const ACKNOWLEDGED = 4;
const DUMP = 0x300;
const MULTIPART = 2;
const ERROR = 2;
const DONE = 3;
const NEW = 0x100;
const GET = 0x101;
const STATISTICS = 0x105;

// struct msghdr inside struct mmsghdr, iovec: pointers of 8 bytes, as this stand-in says its own are.
const POINTER = 8;
const MMSGHDR = 64;
const MSG_IOV = 16;
const MSG_LEN = 56;

const table = [];
/** By descriptor: datagrams that wait there. */
const sockets = [];
/** Buffers whose address was requested. */
const memory = [];
let nextAddress = 4096n;

function message(type, flags, sequence, payload) {
  const bytes = Buffer.alloc((HEADER + payload.length + 3) & ~3);
  bytes.writeUInt32LE(HEADER + payload.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(payload, HEADER);
  return bytes;
}

/** Answers a request. @returns datagrams */
function answer(request) {
  const type = request.readUInt16LE(4);
  const flags = request.readUInt16LE(6);
  const sequence = request.readUInt32LE(8);
  const payload = request.subarray(HEADER, request.readUInt32LE(0));
  const family = payload[0];
  const listed = table.filter((entry) => family === 0 || entry[0] === family);
  if (type === GET && (flags & DUMP) === DUMP) {
    const part = Buffer.concat(listed.map((entry) => message(NEW, MULTIPART, sequence, entry)));
    return [...new Array(PARTS).fill(part), message(DONE, MULTIPART, sequence, Buffer.alloc(4))];
  }
  const answers = [];
  if (type === NEW) table.push(Buffer.from(payload));
  if (type === GET) {
    // The family and the rest of the header, then the tuple: the first attribute of both.
    const named = payload.subarray(0, 4 + payload.readUInt16LE(4));
    answers.push(message(NEW, 0, sequence, listed.find((entry) => entry.subarray(0, named.length).equals(named)) ?? listed[0]));
  }
  if (type === STATISTICS) {
    const count = Buffer.from([0, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0]);
    count.writeUInt32BE(COUNT, 8);
    answers.push(message(type, 0, sequence, count));
  }
  if (flags & ACKNOWLEDGED) answers.push(message(ERROR, 0, sequence, Buffer.alloc(20)));
  return answers;
}

function send(descriptor, bytes, length) {
  const waiting = sockets[descriptor];
  const datagram = Buffer.from(bytes.subarray(0, length));
  for (let at = 0; at < length; at += (datagram.readUInt32LE(at) + 3) & ~3) waiting.push(...answer(datagram.subarray(at)));
  return length;
}

function recvmmsg(descriptor, headers, count) {
  const waiting = sockets[descriptor];
  if (waiting.length === 0) return -1;
  const view = Buffer.from(headers.buffer, headers.byteOffset, headers.byteLength);
  let i = 0;
  for (; i < count && waiting.length > 0; i++) {
    const [vectors, vector] = find(view.readBigUInt64LE(i * MMSGHDR + MSG_IOV));
    const [slots, slot] = find(vectors.readBigUInt64LE(vector));
    const datagram = waiting.shift();
    slots.set(datagram, slot);
    view.writeUInt32LE(datagram.length, i * MMSGHDR + MSG_LEN);
  }
  return i;
}

/** The buffer at an address, and where in it that is. */
function find(address) {
  const { at, bytes } = memory.find(({ at, bytes }) => address >= at && address < at + BigInt(bytes.length));
  return [bytes, Number(address - at)];
}

const functions = {
  socket: () => sockets.push([]) - 1,
  send,
  recvmmsg,
};

/** What `process.dlopen` would have loaded. */
exports.koffi = {
  load: () => ({
    func: (prototype) => {
      const call = functions[/(\w+)\(/.exec(prototype)[1]] ?? (() => 0);
      call.async = (...args) => setImmediate(() => args.at(-1)(null, call(...args)));
      return call;
    },
  }),
  errno: () => 11, // EAGAIN
  address: (bytes) => {
    memory.push({ at: nextAddress, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) });
    const at = nextAddress;
    nextAddress += BigInt(bytes.length + POINTER);
    return at;
  },
  sizeof: () => POINTER,
};
