// A table as the kernel dumps it, attribute by attribute, including what neither tool prints, such as TCP flags and label bits without
// names. It is text, so that outcome.ts can compare it.

import type { Namespace } from './namespace.js';

/** The tables: the type of the request, and attributes that identify an entry and are not its content. */
const TABLES = {
  // id, use, timestamps
  flows: { request: 0x101, own: [12, 11, 20], timeout: 7 },
  // id
  expectations: { request: 0x201, own: [5], timeout: 4 },
} as const;

const HEADER = 20;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE = 0x3fff;

/** One line an entry, such as `<timeout>299</timeout>2 1{1{1=c0000201,2=c6336401},2{1=11}}`: family, then number and bytes. */
export async function kernelTable(namespace: Namespace, table: keyof typeof TABLES): Promise<string> {
  const { request, own, timeout } = TABLES[table];
  const messages = await namespace.ask('dump', request);
  const lines = messages.map((message) => {
    const attributes = [...attributesOf(Buffer.from(message).subarray(HEADER))];
    const seconds = attributes.find(({ type }) => type === timeout)?.payload.readUInt32BE();
    const content = attributes.filter(({ type }) => type !== timeout && !(own as readonly number[]).includes(type));
    return `<timeout>${seconds}</timeout>${message[16]} ${content.map(describe).join()}\n`;
  });
  return lines.join('');
}

interface Attribute {
  readonly type: number;
  readonly nested: boolean;
  readonly payload: Buffer;
}

function* attributesOf(bytes: Buffer): Generator<Attribute> {
  for (let at = 0; at + 4 <= bytes.length; ) {
    const size = bytes.readUInt16LE(at);
    const type = bytes.readUInt16LE(at + 2);
    yield { type: type & NLA_TYPE, nested: (type & NLA_F_NESTED) !== 0, payload: bytes.subarray(at + 4, at + size) };
    at += (size + 3) & ~3;
  }
}

function describe({ type, nested, payload }: Attribute): string {
  return nested ? `${type}{${[...attributesOf(payload)].map(describe).join()}}` : `${type}=${payload.toString('hex')}`;
}
