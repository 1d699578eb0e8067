// isLoopback: whether a host is this machine, so that what is said to it stays here.

/** @param host an address without brackets, or a name */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/i.test(host);
}
