// The text of server-sent events. Source: HTML Living Standard, 9.2.6.

/** One event; data is JSON, which has no line breaks. */
export function eventText(type: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** A comment, which keeps the connection alive. */
export const PING = ': ping\n\n';
/** What a stream begins with: when to come back after it breaks, in milliseconds. */
export const RETRY = 'retry: 2000\n\n';
