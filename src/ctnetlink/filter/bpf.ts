// Classic BPF: the few instructions that a socket filter on events needs. Source: linux/filter.h, linux/bpf_common.h.

import { putHost16, putHost32 } from '../../wire/bytes.js';

const BPF_LD_ABS = 0x20;
const BPF_W = 0x00;
const BPF_H = 0x08;
const BPF_B = 0x10;
const BPF_AND_K = 0x54;
const BPF_JEQ_K = 0x15;
const BPF_JA = 0x05;
const BPF_RET_K = 0x06;
const INSTRUCTION = 8;
/** A conditional jump reaches this far. */
const FARTHEST = 255;
const ACCEPT_ALL = 0xffffffff;

type Size = 1 | 2 | 4;
const SIZES = { 1: BPF_B, 2: BPF_H, 4: BPF_W } as const;

/** One test: the big-endian number of `size` bytes at `at`, masked, against a value. */
export interface BpfTest {
  readonly at: number;
  readonly size: Size;
  readonly mask?: number;
  readonly value: number;
}

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Labels to jump to when a test holds or fails; the next instruction without. */
  readonly yes?: string;
  readonly no?: string;
}

/** A program to which tests and jumps to labels are added in order; `encode` resolves the labels. */
export class BpfProgram {
  readonly #instructions: Instruction[] = [];
  readonly #labels = new Map<string, number>();

  /** Names the next instruction. */
  label(name: string): void {
    this.#labels.set(name, this.#instructions.length);
  }

  /** Goes on when the test holds, to `otherwise` when it does not. A load past the end of the datagram drops it. */
  require(test: BpfTest, otherwise: string): void {
    this.#load(test);
    this.#instructions.push({ code: BPF_JEQ_K, k: test.value, no: otherwise });
  }

  jump(to: string): void {
    this.#instructions.push({ code: BPF_JA, k: 0, yes: to });
  }

  accept(): void {
    this.#instructions.push({ code: BPF_RET_K, k: ACCEPT_ALL });
  }

  drop(): void {
    this.#instructions.push({ code: BPF_RET_K, k: 0 });
  }

  /** The instructions as struct sock_filter; `undefined` when a jump is too far. */
  encode(): Uint8Array | undefined {
    const bytes = new Uint8Array(this.#instructions.length * INSTRUCTION);
    for (const [i, { code, k, yes, no }] of this.#instructions.entries()) {
      const at = i * INSTRUCTION;
      const distance = (label: string | undefined) => (label === undefined ? 0 : this.#labels.get(label)! - i - 1);
      putHost16(bytes, at, code);
      if (code === BPF_JA) putHost32(bytes, at + 4, distance(yes));
      else {
        const [whenTrue, whenFalse] = [distance(yes), distance(no)];
        if (whenTrue > FARTHEST || whenFalse > FARTHEST) return undefined;
        bytes[at + 2] = whenTrue;
        bytes[at + 3] = whenFalse;
        putHost32(bytes, at + 4, k);
      }
    }
    return bytes;
  }

  #load({ at, size, mask }: BpfTest): void {
    this.#instructions.push({ code: BPF_LD_ABS | SIZES[size], k: at });
    if (mask !== undefined) this.#instructions.push({ code: BPF_AND_K, k: mask });
  }
}
