// An interpreter of the classic BPF that socket filters are.

import assert from 'node:assert/strict';

/** Runs struct sock_filter instructions over a datagram, as linux/filter.h has it. The order is that of the program. @returns bytes to keep; 0 drops */
export function runBpf(program: Uint8Array, packet: Uint8Array, littleEndian = true): number {
  const code = new DataView(program.buffer, program.byteOffset, program.length);
  const data = new DataView(packet.buffer, packet.byteOffset, packet.length);
  let a = 0;
  for (let pc = 0, steps = 0; pc < program.length / 8; pc++, steps++) {
    assert.ok(steps < 4096, 'an endless program');
    const at = pc * 8;
    const [op, jt, jf, k] = [
      code.getUint16(at, littleEndian),
      code.getUint8(at + 2),
      code.getUint8(at + 3),
      code.getUint32(at + 4, littleEndian),
    ];
    const size = { 32: 4, 40: 2, 48: 1 }[op];
    if (size !== undefined) {
      if (k + size > packet.length) return 0;
      a = size === 4 ? data.getUint32(k) : size === 2 ? data.getUint16(k) : data.getUint8(k);
    } else if (op === 0x54) a = (a & k) >>> 0;
    else if (op === 0x15) pc += a === k ? jt : jf;
    else if (op === 0x05) pc += k;
    else if (op === 0x06) return k;
    else assert.fail(`instruction ${op.toString(16)}`);
  }
  assert.fail('the program runs past its end');
}
