// watchByLooking: polls a descriptor that the event loop cannot watch.

import type { DescriptorWatch } from './libc.js';
import { pollRequest } from './pollfd.js';
import { POLLIN, POLLOUT } from './uapi/poll.js';

/** After how many quiet milliseconds it polls how often. One poll takes some 20 microseconds. */
const PACE = [
  { idle: 100, every: 1 },
  { idle: 2000, every: 10 },
  { idle: Number.POSITIVE_INFINITY, every: 50 },
] as const;

/** As `Libc.watch`. `pollNow` is that of libc. */
export function watchByLooking(
  pollNow: (request: Uint8Array) => number,
  fd: number,
  direction: 'readable' | 'writable',
  ready: (status: number) => void,
): DescriptorWatch {
  const request = pollRequest(fd, direction === 'readable' ? POLLIN : POLLOUT);
  let timer: NodeJS.Timeout | undefined;
  let idle = 0;
  let keeps = true;
  const wait = (milliseconds: number) => {
    timer = setTimeout(look, milliseconds);
    if (!keeps) timer.unref();
  };
  const look = () => {
    const { every } = PACE.find((pace) => idle < pace.idle)!;
    idle += every;
    wait(every); // before `ready`, which may stop it
    if (pollNow(request) <= 0) return;
    idle = 0;
    ready(0);
  };
  const stop = () => clearTimeout(timer);
  const start = () => {
    stop();
    wait(0);
  };
  start();
  return {
    start,
    stop,
    unref: () => {
      keeps = false;
      timer?.unref();
    },
    ref: () => {
      keeps = true;
      timer?.ref();
    },
    close: stop,
  };
}
