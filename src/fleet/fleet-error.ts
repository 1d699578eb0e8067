// FleetError: what can go wrong between the machines of a fleet.

import { ConntrackError } from '../errors.js';

/** Why something about a fleet failed. */
export type FleetCode =
  | 'CONNECT'
  | 'UNAUTHORISED'
  | 'CONFIG'
  | 'VERSION'
  | 'ENCODING'
  | 'OVERLOADED'
  | 'STALLED'
  | 'TWO_AGENTS'
  | 'NAME_TAKEN'
  | 'NOT_SET_UP'
  | 'UNAVAILABLE'
  | 'REQUEST'
  | 'INCOMPLETE'
  | 'TOO_MANY'
  | 'TOKEN'
  | 'CLOCK'
  | 'REPLAY'
  | 'EXPIRED'
  | 'AUDIT';

/** An error between the machines of a fleet. */
export class FleetError extends ConntrackError {
  readonly code: FleetCode;

  constructor(code: FleetCode, message: string, options?: ErrorOptions & { readonly hint?: string | undefined }) {
    super(message, options);
    this.code = code;
  }
}

/** What to do where a key does not allow what was asked for. */
export const OTHER_KEY = 'a key is good for the name, role and site that conntrack fleet auth made it for';
