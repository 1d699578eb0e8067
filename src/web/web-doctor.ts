// What `conntrack doctor` finds, for everybody who asks: looked for when somebody does, never twice at a time, and kept for a while.

import { CHECKS } from '../doctor/checks.js';
import { examine } from '../doctor/diagnose.js';
import type { Diagnosis } from '../doctor/index.js';
import { ClosedError } from '../errors.js';
import type { Conntrack } from '../library/index.js';
import type { WebTimes } from './web-times.js';

/** What is wrong, and when it was looked for: milliseconds since the epoch. */
export interface TimedDiagnosis extends Diagnosis {
  readonly at: number;
}

/** Checks of how the command is started. */
const OF_COMMAND = CHECKS.filter(({ reads }) => reads.includes('runtime')).map(({ id }) => id);

export class WebDoctor {
  readonly #conntracks: ReadonlyMap<string, Conntrack>;
  readonly #times: WebTimes;
  readonly #isScoped: boolean;
  readonly #end = new AbortController();
  #last: { readonly diagnosis: Promise<TimedDiagnosis>; readonly endedAt: number | undefined } | undefined;

  /** `isScoped`: there are flows that nobody may see. */
  constructor(conntracks: ReadonlyMap<string, Conntrack>, isScoped: boolean, times: WebTimes) {
    this.#conntracks = conntracks;
    this.#isScoped = isScoped;
    this.#times = times;
  }

  /** The last diagnosis, or a new one. @throws ClosedError */
  ask(): Promise<TimedDiagnosis> {
    const last = this.#last;
    if (last && (last.endedAt === undefined || performance.now() - last.endedAt < this.#times.diagnosis)) return last.diagnosis;
    const diagnosis = this.#look();
    this.#last = { diagnosis, endedAt: undefined };
    return diagnosis;
  }

  close(): void {
    this.#end.abort(new ClosedError('the server ends'));
  }

  async #look(): Promise<TimedDiagnosis> {
    const [first] = this.#conntracks.values();
    try {
      const diagnosis = await examine(this.#conntracks.size === 1 ? first! : this.#conntracks, {
        sample: this.#times.sample,
        except: OF_COMMAND,
        without: this.#isScoped ? ['flows'] : [],
        signal: this.#end.signal,
      });
      const timed = { at: Date.now(), ...diagnosis };
      this.#last = { diagnosis: Promise.resolve(timed), endedAt: performance.now() };
      return timed;
    } catch (error) {
      this.#last = undefined;
      throw error;
    }
  }
}
