// struct pollfd of poll(2), for one descriptor: `int fd; short events; short revents`.

import { host16, putHost16, putHost32 } from './bytes.js';

const SIZE = 8;
const EVENTS = 4;
const REVENTS = 6;

/** What to ask poll(2): whether `fd` is ready for `events`, such as POLLOUT. */
export function pollRequest(fd: number, events: number): Uint8Array {
  const request = new Uint8Array(SIZE);
  putHost32(request, 0, fd);
  putHost16(request, EVENTS, events);
  return request;
}

/** What the last poll(2) answered: the events that are there, POLLERR and the like among them. */
export function pollAnswer(request: Uint8Array): number {
  return host16(request, REVENTS);
}
