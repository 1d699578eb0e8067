// Releases of the kernel, as a caller tells them: an explanation may be about another kernel than the running one.

/** Whether a release, such as `6.18.1-amd64`, is this version or a later one. */
export function isRelease(release: string, major: number, minor: number): boolean {
  const [ours = 0, patch = 0] = release.split('.').map(Number);
  return ours > major || (ours === major && patch >= minor);
}
