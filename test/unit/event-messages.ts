// Messages about flows as the kernel writes them, for unit tests: built byte by byte, apart from src/. Layout: docs/kernel.md 3.12.

export interface TestFlow {
  readonly protonum: number;
  /** 4 or 16 bytes. */
  readonly src: readonly number[];
  readonly dst: readonly number[];
  readonly sport?: number;
  readonly dport?: number;
  readonly zone?: number;
  readonly id: number;
  readonly status?: number;
  readonly mark?: number;
  readonly state?: number;
  readonly timeout?: number;
  /** Where the answers go, when not to `sport`. */
  readonly replyPort?: number;
  /** When it began, in nanoseconds. */
  readonly start?: bigint;
  /** Time of the event, in nanoseconds. */
  readonly at?: bigint;
}

export type Kind = 'listed' | 'new' | 'update' | 'destroy';

const HEADERS: Readonly<Record<Kind, readonly [type: number, flags: number]>> = {
  listed: [0x100, 2],
  new: [0x100, 0x600],
  update: [0x100, 0],
  destroy: [0x102, 0],
};

const le16 = (value: number) => [value & 0xff, (value >> 8) & 0xff];
const be16 = (value: number) => [(value >> 8) & 0xff, value & 0xff];
const be32 = (value: number) => [(value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];

const be64 = (value: bigint) => [...be32(Number(value >> 32n)), ...be32(Number(value & 0xffffffffn))];

export function attribute(type: number, payload: readonly number[]): number[] {
  const padding = new Array<number>((4 - (payload.length % 4)) % 4).fill(0);
  return [...le16(4 + payload.length), ...le16(type), ...payload, ...padding];
}

const nest = (type: number, ...parts: readonly number[][]) => attribute(type | 0x8000, parts.flat());

function tuple(type: number, { protonum, src, dst, sport, dport, replyPort }: TestFlow, turned: boolean): number[] {
  const v6 = src.length === 16;
  const [from, to] = turned ? [dst, src] : [src, dst];
  const [first, second] = turned ? [dport, replyPort ?? sport] : [sport, dport];
  const ports = first === undefined || second === undefined ? [] : [attribute(2, be16(first)), attribute(3, be16(second))];
  return nest(type, nest(1, attribute(v6 ? 3 : 1, from), attribute(v6 ? 4 : 2, to)), nest(2, attribute(1, [protonum]), ...ports));
}

/** One message. */
export function flowMessage(kind: Kind, flow: TestFlow): Uint8Array {
  const body = [
    tuple(1, flow, false),
    tuple(2, flow, true),
    flow.zone === undefined ? [] : attribute(18, be16(flow.zone)),
    attribute(12, be32(flow.id)),
    attribute(3, be32(flow.status ?? 8)),
    attribute(7, be32(flow.timeout ?? 30)),
    flow.start === undefined ? [] : nest(20, attribute(1, be64(flow.start))),
    flow.state === undefined ? [] : nest(4, nest(1, attribute(1, [flow.state]))),
    flow.mark === undefined ? [] : attribute(8, be32(flow.mark)),
    flow.at === undefined ? [] : attribute(27, be64(flow.at)),
  ].flat();
  const [type, flags] = HEADERS[kind];
  const length = 20 + body.length;
  return Uint8Array.from([
    ...le16(length), ...le16(length >> 16), ...le16(type), ...le16(flags), 0, 0, 0, 0, 0, 0, 0, 0,
    flow.src.length === 16 ? 10 : 2, 0, 0, 0, ...body,
  ]); // biome-ignore format: a header
}
