// Who may ask a host for a change: every request is checked here before anything is looked at or done.

import { H } from './bodies.js';
import type { BusMessage } from './bus.js';
import { type ChangeKind, type ChangeRequest, CLOCK_TOLERANCE, MOST_REQUEST, readRequest } from './change-request.js';
import type { Changer } from './changers.js';
import { Expiring } from './expiring.js';
import { FleetError } from './fleet-error.js';
import { isSignedBy } from './nkey.js';
import { PROTOCOL_VERSION } from './subjects.js';

/** A request that was checked. */
export interface Admitted {
  readonly request: ChangeRequest;
  readonly changer: Changer;
  readonly message: BusMessage;
}

/** What is checked against. */
export interface GateOptions {
  readonly host: string;
  readonly allow: readonly ChangeKind[];
  /** Who may, as it is now. @throws FleetError `CONFIG` */
  readonly changers: () => readonly Changer[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Numbers that are remembered of each key. */
const MOST_NONCES = 1000;
const ADD_CHANGER = 'conntrack fleet auth changers prints the lines for the file of --changers';

export class ChangeGate {
  readonly #options: GateOptions;
  /** By key: numbers and until when they are remembered. */
  readonly #nonces = new Map<string, Expiring>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Whether this may be asked for. The order is part of the protocol: nothing is believed before it is signed. @throws FleetError */
  admit(op: string, message: BusMessage): Admitted {
    const { host, allow, now: clock } = this.#options;
    if (message.header(H.version) !== PROTOCOL_VERSION)
      throw new FleetError('VERSION', `a message of version ${message.header(H.version) ?? 'none'}`);
    const key = message.header(H.key) ?? '';
    const changer = this.#changerOf(key);
    if (!changer) throw new FleetError('UNAUTHORISED', 'this key may change nothing here', { hint: ADD_CHANGER });
    if (message.data.length > MOST_REQUEST) throw new FleetError('REQUEST', `a request of ${message.data.length} bytes`);
    if (!isSignedBy(key, message.data, message.header(H.signature) ?? ''))
      throw new FleetError('UNAUTHORISED', 'the signature is not that of the key');
    const request = readRequest(message.data);
    if (request?.op !== op) throw new FleetError('REQUEST', 'that is no request for a change');
    if (request.host !== host) throw new FleetError('UNAUTHORISED', `the request is for ${request.host}, and this is ${host}`);
    const now = clock();
    const off = request.at - now;
    if (Math.abs(off) > CLOCK_TOLERANCE)
      throw new FleetError(
        'CLOCK',
        `the clocks are ${(Math.abs(off) / 1000).toFixed(1)} s apart: this one is ${off > 0 ? 'behind' : 'ahead'}`,
        { hint: 'a request is good for 30 s, by both clocks' },
      );
    this.#checkNonce(key, request.nonce, now);
    if (now > request.expires) throw new FleetError('EXPIRED', 'the request is too old');
    if (request.by !== changer.name)
      throw new FleetError('UNAUTHORISED', `the key is that of ${changer.name} here, not of ${request.by}`, {
        hint: '--user says whose key it is',
      });
    const kind = op === 'result' ? undefined : request.order?.do;
    if (kind !== undefined && !(allow.includes(kind) && changer.allow.includes(kind)))
      throw new FleetError('UNAUTHORISED', `${changer.name} may not ${kind} here`);
    return { request, changer, message };
  }

  /** Whose key it is, if that can be known. */
  nameOf(key: string): string | undefined {
    try {
      return this.#changerOf(key)?.name;
    } catch {
      return undefined; // that it cannot be read is why it was refused
    }
  }

  #changerOf(key: string): Changer | undefined {
    return this.#options.changers().find((one) => one.key === key);
  }

  #checkNonce(key: string, nonce: string, now: number): void {
    const known = this.#nonces.get(key) ?? new Expiring(MOST_NONCES);
    this.#nonces.set(key, known);
    // The request is good as long as its time is within the tolerance of this clock: twice that at most.
    switch (known.add(nonce, now, now + 2 * CLOCK_TOLERANCE)) {
      case 'known':
        throw new FleetError('REPLAY', 'this request has been here before');
      case 'full':
        throw new FleetError('OVERLOADED', `${MOST_NONCES} requests of this key in a minute`, { hint: 'ask again in a minute' });
    }
  }
}
