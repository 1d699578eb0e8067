// ServeError: the command line cannot be served as it is.

import { ConntrackError } from '../errors.js';

export class ServeError extends ConntrackError {
  readonly code = 'USAGE';
}
