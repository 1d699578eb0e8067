// The part of Bun's module that ffi-bun.ts uses.

declare module 'bun:ffi' {
  type Argument = number | Uint8Array | null;
  type Symbols = Readonly<Record<string, { readonly args: readonly string[]; readonly returns: string }>>;
  export function dlopen<T extends Symbols>(
    library: string,
    symbols: T,
  ): { readonly symbols: { readonly [K in keyof T]: (...args: Argument[]) => number } };
  export function ptr(bytes: Uint8Array): number;
  export const read: { i32(address: number, offset: number): number };
}
