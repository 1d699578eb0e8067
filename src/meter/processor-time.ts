// The processor time that this process has taken so far, in milliseconds: in its own code and in the kernel, on all its threads.

export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
