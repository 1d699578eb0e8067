// conntrack/web: the public API of the server's handler.

export type { Role } from './auth.js';
export { createHandler, type WebHandler } from './handler.js';
export type { HandlerOptions, LogEntry, Peer } from './web-options.js';
