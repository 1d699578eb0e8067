// A message of the stream of records: whose it is, and what is in it.

import { H, type Received, unpackBody } from './bodies.js';
import { FleetError } from './fleet-error.js';
import { decodeRecords, type ShippedRecords } from './jc1.js';
import { isName, shardOf, subjects } from './subjects.js';

/** Who recorded it: the servers let nobody else publish there. */
export interface RecordSource {
  readonly site: string;
  readonly host: string;
}

/** The source of a message; `undefined` if nobody's records have such a subject. */
export function sourceOf(subject: string): RecordSource | undefined {
  const [site, host] = subject.split('.').slice(-2);
  if (!isName(site) || !isName(host) || subject !== subjects.record(shardOf(host), site, host)) return undefined;
  return { site, host };
}

/** @throws FleetError `ENCODING`, `VERSION` */
export function readRecords(message: Received): ShippedRecords {
  const part = decodeRecords(unpackBody(message, 'jc1'));
  const told = message.header(H.recorder);
  if (told !== undefined && told !== part.recorder)
    throw new FleetError('ENCODING', 'the body is of another recorder than its header');
  return part;
}
