// The one place that knows the order of bytes in the host's numbers. A test puts another module in its place, to read what a machine
// of the other order would have sent (test/support/byte-order.ts).

/** Whether the lowest byte comes first. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
