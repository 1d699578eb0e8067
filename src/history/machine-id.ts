// Which machine it is, as a record says it: not its identifier, which is meant to be kept to itself (machine-id(5)), but a hash of that.

import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';

const PLACES = ['/etc/machine-id', '/var/lib/dbus/machine-id'];
/** What the hash is for: another program gets another one. */
const PURPOSE = 'conntrack record';

/** HMAC-SHA-256, with the machine's identifier as the key, in hexadecimal digits; `undefined` if it has none. */
export function machineHash(places: readonly string[] = PLACES): string | undefined {
  for (const path of places)
    try {
      const id = readFileSync(path, 'utf8').trim();
      if (/^[0-9a-f]{32}$/.test(id)) return createHmac('sha256', id).update(PURPOSE).digest('hex');
    } catch {
      // It is elsewhere, or there is none, as in many containers.
    }
  return undefined;
}
