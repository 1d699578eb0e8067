// struct pollfd of poll(2), for one descriptor: `int fd; short events; short revents`.

import { host16, putHost16, putHost32 } from './bytes.js';

const SIZE = 8;
const EVENTS = 4;
const REVENTS = 6;

/** The argument of poll(2) that asks whether `fd` is ready for `events`, such as POLLOUT. */
export function pollRequest(fd: number, events: number): Uint8Array {
  const request = new Uint8Array(SIZE);
  putHost32(request, 0, fd);
  putHost16(request, EVENTS, events);
  return request;
}

/** The answer of the last poll(2): the events that have occurred, including POLLERR and the like. */
export function pollAnswer(request: Uint8Array): number {
  return host16(request, REVENTS);
}
