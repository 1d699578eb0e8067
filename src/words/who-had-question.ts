// The command line of `whohad` → its question: of one record, or of a fleet.

import { quoted, UsageError } from '../cli/usage-error.js';
import { parseProtocol } from '../cli/values.js';
import { parseAddress } from '../ctnetlink/address.js';
import type { WhoHadOptions } from '../history/open-history.js';
import type { AddressAndPort } from '../history/who-had-answer.js';
import { safeText } from '../safe-text.js';
import { readProtocols } from './word-filter.js';
import type { WordLine } from './word-line.js';
import { isGiven, numberOf, textOf } from './word-values.js';

/** What is asked; the network namespace is told otherwise. */
export type WhoHadWords = Omit<WhoHadOptions, 'at' | 'within'> & { readonly at: string; readonly within: string | undefined };

/** @throws UsageError */
export function whoHadQuestion(line: WordLine, [asked, port]: readonly string[], err: (line: string) => void): WhoHadWords {
  const at = textOf(line, 'at');
  if (asked === undefined)
    throw new UsageError('whohad: an address is needed', { hint: 'such as 203.0.113.50:32768, or [2001:db8::1]:443' });
  if (at === undefined)
    throw new UsageError('whohad: --at is needed: the time', {
      hint: 'with its offset from UTC, such as 2026-03-01T14:32:15Z or 2026-03-01T15:32:15+01:00',
    });
  const protocol = textOf(line, 'protocol');
  const to = textOf(line, 'to');
  const end = endWithPort(asked, port);
  for (const text of [...(port === undefined ? [asked] : []), ...(to === undefined ? [] : [to])]) warnOfPort(text, err);
  return {
    ...end,
    at,
    within: textOf(line, 'within'),
    protocol: protocol === undefined ? undefined : parseProtocol(protocol, '--protocol', readProtocols).number,
    to: to === undefined ? undefined : parseEnd(to),
    zone: numberOf(line, 'zone', 0, 65_535, true),
    follow: !isGiven(line, 'no-follow'),
  };
}

/** As `parseEnd`, with a port as a word of its own. @throws UsageError */
function endWithPort(text: string, port: string | undefined): AddressAndPort {
  if (port === undefined) return parseEnd(text);
  if (!/^\d{1,5}$/.test(port))
    throw new UsageError(`whohad: ${quoted(port)} is one word too many`, {
      hint: 'one address, and its port: 203.0.113.50:32768',
    });
  const { address, port: known } = parseEnd(text);
  if (known !== undefined) throw new UsageError(`whohad: ${quoted(text)} has a port already`);
  return parseEnd(`[${address}]:${port}`);
}

/** `2001:db8::5:443` is an address, and looks like one with a port. */
function warnOfPort(text: string, err: (line: string) => void): void {
  const parts = /^([^[\]]*:[^[\]]*):(\d{1,5})$/.exec(text);
  if (parts && parseAddress(text) && parseAddress(parts[1]!))
    err(
      `conntrack: whohad: ${safeText(text)} is an address without a port; with port ${parts[2]} it is [${parts[1]}]:${parts[2]}`,
    );
}

/** ADDRESS, ADDRESS:PORT, [IPV6]:PORT, NETWORK/LENGTH. @throws UsageError */
function parseEnd(text: string): AddressAndPort {
  const full = /^((?:[^:[\]]*:){7}[^:[\]]*):(\d{1,5})$/.exec(text);
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(full ? `[${full[1]}]:${full[2]}` : text);
  if (!parts) return { address: text.replace(/^\[(.*)\]$/, '$1') };
  const port = Number(parts[3]);
  if (port > 65_535) throw new UsageError(`whohad: ${quoted(text)} has no port that exists: they go up to 65535`);
  return { address: parts[1] ?? parts[2]!, port };
}
