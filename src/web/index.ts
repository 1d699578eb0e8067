// conntrack/web: the public API of the server's handler.

export type { FetchRequest, FetchResponse } from './fetch-types.js';
export { createHandler, type WebHandler } from './handler.js';
export type { HandlerOptions, LogEntry, Peer, Role } from './web-options.js';
