// Request and Response for programs without their declarations, which are in lib.dom and @types/node.

/** The `Request` that the program declares. */
export type FetchRequest = typeof globalThis extends { Request: { prototype: infer R } } ? R : object;

/** The `Response` that the program declares. */
export type FetchResponse = typeof globalThis extends { Response: { prototype: infer R } } ? R : object;
