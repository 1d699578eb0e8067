// Classic BPF: the instructions that a socket filter on events needs, with labels in place of distances. Source: linux/filter.h,
// linux/bpf_common.h.

import { putHost16, putHost32 } from '../../wire/bytes.js';

const BPF_LD_IMM = 0x00;
const BPF_LD_ABS = 0x20;
const BPF_LD_IND = 0x40;
const BPF_LD_MEM = 0x60;
const BPF_LDX_IMM = 0x01;
const BPF_LDX_MEM = 0x61;
const BPF_ST = 0x02;
const BPF_SUB_X = 0x1c;
const BPF_AND_K = 0x54;
const BPF_JA = 0x05;
const BPF_JEQ_K = 0x15;
const BPF_JGE_K = 0x35;
const BPF_JSET_K = 0x45;
const BPF_JEQ_X = 0x1d;
const BPF_RET_K = 0x06;
const BPF_TAX = 0x07;
const BPF_W = 0x00;
const BPF_H = 0x08;
const BPF_B = 0x10;
/** A = the header of the attribute of type X from A to the end of the message, 0 when there is none. */
const SKF_AD_NLATTR = 0xfffff00c;
/** The same within the attribute whose header is at A. */
const SKF_AD_NLATTR_NEST = 0xfffff010;

const INSTRUCTION = 8;
/** BPF_MAXINSNS: no kernel takes more. */
export const MOST_INSTRUCTIONS = 4096;
/** A conditional jump reaches this far. */
const FARTHEST = 255;
const ACCEPT_ALL = 0xffffffff;

/** Bytes of a number. All loads are big-endian. */
export type Size = 1 | 2 | 4;
const SIZES = { 1: BPF_B, 2: BPF_H, 4: BPF_W } as const;

/** A place in a program that jumps go to, made by `newLabel`. */
export type Label = number;

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** Where jumps go when the test holds or fails; without one, to the next instruction. */
  readonly yes?: Label | undefined;
  readonly no?: Label | undefined;
}

/** A program that is written from its beginning to its end: jumps go forward. */
export class BpfProgram {
  readonly #instructions: Instruction[] = [];
  /** Number of the instruction that each label names. */
  readonly #places: number[] = [];
  #full = false;

  newLabel(): Label {
    return this.#places.push(-1) - 1;
  }

  /** Lets a label name the next instruction. */
  place(label: Label): void {
    this.#places[label] = this.#instructions.length;
  }

  /** A = k. */
  constant(k: number): void {
    this.#add(BPF_LD_IMM, k);
  }

  /** A = the number at a fixed offset. A load past the end drops the datagram, here and below. */
  loadAt(offset: number, size: Size): void {
    this.#add(BPF_LD_ABS | SIZES[size], offset);
  }

  /** A = the number so many bytes behind X. */
  loadBehindX(offset: number, size: Size): void {
    this.#add(BPF_LD_IND | SIZES[size], offset);
  }

  /** A = the header of an attribute, searched from offset A of the message on; 0: there is none. */
  findAttribute(type: number): void {
    this.#add(BPF_LDX_IMM, type);
    this.#add(BPF_LD_ABS | BPF_B, SKF_AD_NLATTR);
  }

  /** A = the header of an attribute of the nest whose header is at A; 0: there is none. */
  findNested(type: number): void {
    this.#add(BPF_LDX_IMM, type);
    this.#add(BPF_LD_ABS | BPF_B, SKF_AD_NLATTR_NEST);
  }

  /** X = A. */
  toX(): void {
    this.#add(BPF_TAX, 0);
  }

  /** Keeps A in one of 16 cells. */
  keep(cell: number): void {
    this.#add(BPF_ST, cell);
  }

  /** A = a cell. */
  recall(cell: number): void {
    this.#add(BPF_LD_MEM, cell);
  }

  /** X = a cell. */
  recallToX(cell: number): void {
    this.#add(BPF_LDX_MEM, cell);
  }

  /** A = A & k. */
  and(k: number): void {
    this.#add(BPF_AND_K, k);
  }

  /** A = A - X, modulo 2^32. */
  subtractX(): void {
    this.#add(BPF_SUB_X, 0);
  }

  /** A = k ? */
  jumpIfEqual(k: number, yes: Label | undefined, no: Label | undefined): void {
    this.#jump(BPF_JEQ_K, k, yes, no);
  }

  /** A = X ? */
  jumpIfEqualX(yes: Label | undefined, no: Label | undefined): void {
    this.#jump(BPF_JEQ_X, 0, yes, no);
  }

  /** A ≥ k ? Without signs. */
  jumpIfAtLeast(k: number, yes: Label | undefined, no: Label | undefined): void {
    this.#jump(BPF_JGE_K, k, yes, no);
  }

  /** A & k ≠ 0 ? */
  jumpIfAnyBit(k: number, yes: Label | undefined, no: Label | undefined): void {
    this.#jump(BPF_JSET_K, k, yes, no);
  }

  goTo(label: Label): void {
    this.#jump(BPF_JA, 0, label, undefined);
  }

  accept(): void {
    this.#add(BPF_RET_K, ACCEPT_ALL);
  }

  drop(): void {
    this.#add(BPF_RET_K, 0);
  }

  /**
   * What the kernel takes from net.core.optmem_max for the program, in units of about 8 bytes: it translates each instruction into
   * several of its own. Measured: docs/kernel.md 6.6.
   */
  get cost(): number {
    return sumOfCosts(this.#reaching());
  }

  /** `cost` but for jumps that do not reach far enough: faster for programs that are too long anyway. Infinite when it is full. */
  get leastCost(): number {
    return this.isFull ? Number.POSITIVE_INFINITY : sumOfCosts(this.#instructions);
  }

  /** More than a kernel takes. Nothing is added any more, and the program is of no use. */
  get isFull(): boolean {
    return this.#full || this.#instructions.length > MOST_INSTRUCTIONS;
  }

  /** For what is known to be too long without being written. */
  fill(): void {
    this.#full = true;
  }

  /** The instructions as struct sock_filter. */
  encode(): Uint8Array {
    const instructions = this.#reaching();
    const bytes = new Uint8Array(instructions.length * INSTRUCTION);
    for (const [i, { code, k, yes, no }] of instructions.entries()) {
      const at = i * INSTRUCTION;
      const distance = (to: number | undefined) => (to === undefined ? 0 : to - i - 1);
      putHost16(bytes, at, code);
      if (code === BPF_JA) putHost32(bytes, at + 4, distance(yes));
      else {
        bytes[at + 2] = distance(yes);
        bytes[at + 3] = distance(no);
        putHost32(bytes, at + 4, k);
      }
    }
    return bytes;
  }

  /** The instructions with numbers of instructions in place of labels, and behind conditional jumps that go too far jumps that do not. */
  #reaching(): Instruction[] {
    const all = this.#instructions;
    /** Whether the jumps for "yes" and for "no" need one behind them. */
    const helped = all.map(() => [false, false]);
    for (;;) {
      const at: number[] = [];
      let next = 0;
      for (const [yes, no] of helped) {
        at.push(next);
        next += 1 + Number(yes) + Number(no);
      }
      const target = (label: Label | undefined) => (label === undefined ? undefined : at[this.#places[label]!]!);
      let changed = false;
      for (const [i, { code, yes, no }] of all.entries()) {
        if (code === BPF_JA) continue;
        for (const [n, label] of [yes, no].entries())
          if (!helped[i]![n] && label !== undefined && target(label)! - at[i]! - 1 > FARTHEST) {
            helped[i]![n] = true;
            changed = true;
          }
      }
      if (changed) continue;
      return all.flatMap(({ code, k, yes, no }, i) => {
        const here = at[i]!;
        const [helpYes, helpNo] = helped[i]!;
        const behind = here + 1 + Number(helpYes) + Number(helpNo);
        const resolved: Instruction[] = [
          {
            code,
            k,
            yes: helpYes ? here + 1 : (target(yes) ?? behind),
            no: helpNo ? here + 1 + Number(helpYes) : (target(no) ?? behind),
          },
        ];
        if (helpYes) resolved.push({ code: BPF_JA, k: 0, yes: target(yes) });
        if (helpNo) resolved.push({ code: BPF_JA, k: 0, yes: target(no) });
        return isJump(code) ? resolved : [{ code, k }];
      });
    }
  }

  #jump(code: number, k: number, yes: Label | undefined, no: Label | undefined): void {
    if (!this.isFull) this.#instructions.push({ code, k, yes, no });
  }

  #add(code: number, k: number): void {
    if (!this.isFull) this.#instructions.push({ code, k });
  }
}

/** BPF_JMP */
function isJump(code: number): boolean {
  return (code & 7) === 5;
}

function sumOfCosts(instructions: readonly Instruction[]): number {
  return instructions.reduce((sum, instruction) => sum + costOf(instruction), 0);
}

function costOf({ code, k }: Instruction): number {
  if (code === (BPF_LD_ABS | BPF_B) && k >= SKF_AD_NLATTR) return 4;
  // A jump's number is signed in the kernel's own instructions: a greater one takes another to load it.
  if (isJump(code)) return k >= 0x80000000 ? 2 : 1;
  if ((code & 0xe7) === BPF_LD_ABS) return 14;
  return (code & 0xe7) === BPF_LD_IND ? 9 : 1;
}
