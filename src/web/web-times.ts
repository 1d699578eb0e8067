// How long the server waits for what, in milliseconds. Tests have less time.

export interface WebTimes {
  /** A reader that takes nothing for so long is given up. */
  readonly patience: number;
  /** Between comments on a quiet stream. */
  readonly ping: number;
  /** Between counts. */
  readonly count: number;
  /** Within a sample, those who ask the same get the same answer for so long. */
  readonly shared: number;
  /** Rows that somebody looks at are kept fresh for so long after the question. */
  readonly held: number;
  /** Without a request or a stream for so long, nobody looks. */
  readonly attention: number;
  /** After a deletion, until one looks what came back. */
  readonly cameBack: number;
  /** Cursors, and words that confirm deletions, are good for so long. */
  readonly kept: number;
  /** Between the two samples of a diagnosis. */
  readonly sample: number;
  /** A diagnosis is good for so long. */
  readonly diagnosis: number;
}

export const WEB_TIMES: WebTimes = {
  patience: 30_000,
  ping: 15_000,
  count: 1000,
  shared: 400,
  held: 3000,
  attention: 60_000,
  cameBack: 5000,
  kept: 60_000,
  sample: 2000,
  diagnosis: 30_000,
};
