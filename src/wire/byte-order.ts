// The only place that knows the byte order of the host. A test replaces this module, to read what a machine with the other byte order
// would have sent (test/support/byte-order.ts).

/** Whether the lowest byte is first. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
