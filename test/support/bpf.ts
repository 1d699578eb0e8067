// An interpreter of the classic BPF that socket filters are, with the two instructions that find attributes of netlink.

import assert from 'node:assert/strict';

const NLATTR = 0xfffff00c;
const NEST = 0xfffff010;
const HEADER = 4;
const TYPE_MASK = 0x3fff;

/**
 * Runs struct sock_filter instructions over a datagram, as linux/filter.h has it. `littleEndian` is the order of the program, and of
 * what the kernel reads in its own: headers of attributes. @returns bytes to keep; 0 drops
 */
export function runBpf(program: Uint8Array, packet: Uint8Array, littleEndian = true): number {
  const code = new DataView(program.buffer, program.byteOffset, program.length);
  const data = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const memory: (number | undefined)[] = new Array(16).fill(undefined);
  const count = program.length / 8;
  let a = 0;
  let x = 0;

  /** The header of the first attribute of type X from `from` to `end`; 0: none. A length that cannot be ends the search. */
  const find = (from: number, end: number) => {
    for (let at = from; end - at >= HEADER; ) {
      const length = data.getUint16(at, littleEndian);
      if (length < HEADER || length > end - at) return 0;
      if ((data.getUint16(at + 2, littleEndian) & TYPE_MASK) === x) return at;
      at += (length + 3) & ~3;
    }
    return 0;
  };
  /** A load of the kernel's own, for `ancillary` data. */
  const found = (nested: boolean) => {
    if (packet.length < HEADER || a > packet.length - HEADER) return 0;
    if (!nested) return find(a, packet.length);
    const length = data.getUint16(a, littleEndian);
    return length > packet.length - a ? 0 : find(a + HEADER, a + length);
  };
  const load = (at: number, size: number) => {
    if (at + size > packet.length) return undefined;
    return size === 4 ? data.getUint32(at) : size === 2 ? data.getUint16(at) : data.getUint8(at);
  };
  const recall = (cell: number) => memory[cell] ?? assert.fail(`cell ${cell} is read before it is written`);

  for (let pc = 0; pc < count; pc++) {
    const at = pc * 8;
    const op = code.getUint16(at, littleEndian);
    const k = code.getUint32(at + 4, littleEndian);
    const jump = (holds: boolean) => {
      pc += code.getUint8(at + (holds ? 2 : 3));
    };
    switch (op) {
      case 0x00: // LD IMM
        a = k;
        break;
      case 0x20: // LD W, H, B ABS
      case 0x28:
      case 0x30: {
        if (k === NLATTR || k === NEST) {
          a = found(k === NEST);
          break;
        }
        const value = load(k, op === 0x20 ? 4 : op === 0x28 ? 2 : 1);
        if (value === undefined) return 0;
        a = value;
        break;
      }
      case 0x40: // LD W, H, B IND
      case 0x48:
      case 0x50: {
        const value = load(x + k, op === 0x40 ? 4 : op === 0x48 ? 2 : 1);
        if (value === undefined) return 0;
        a = value;
        break;
      }
      case 0x60: // LD MEM
        a = recall(k);
        break;
      case 0x01: // LDX IMM
        x = k;
        break;
      case 0x61: // LDX MEM
        x = recall(k);
        break;
      case 0x02: // ST
        memory[k] = a;
        break;
      case 0x07: // TAX
        x = a;
        break;
      case 0x1c: // SUB X
        a = (a - x) >>> 0;
        break;
      case 0x54: // AND K
        a = (a & k) >>> 0;
        break;
      case 0x05: // JA
        pc += k;
        break;
      case 0x15: // JEQ K
        jump(a === k);
        break;
      case 0x1d: // JEQ X
        jump(a === x);
        break;
      case 0x25: // JGT K
        jump(a > k);
        break;
      case 0x35: // JGE K
        jump(a >= k);
        break;
      case 0x45: // JSET K
        jump((a & k) !== 0);
        break;
      case 0x06: // RET K
        return k;
      default:
        assert.fail(`instruction ${op.toString(16)}`);
    }
  }
  return assert.fail('the program runs past its end');
}
