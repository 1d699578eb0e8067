// What a diagnosis says: findings, what was fine, and what could not be checked. Plain data, as JSON prints it.

/** How bad a finding is, the worst first. `error`: packets are lost, or nothing works; `warning`: something is wrong or soon will be. */
export const SEVERITIES = ['error', 'warning', 'info'] as const;

/** How bad a finding is. */
export type Severity = (typeof SEVERITIES)[number];

/** Something that somebody should know of a table. Strings may contain names from outside: escape them where they are shown. */
export interface Finding {
  /** The check that found it, such as `table-nearly-full`. Stable. */
  readonly id: string;
  readonly severity: Severity;
  /** What is so, in one line, with the numbers. */
  readonly title: string;
  /** What it does to users, and what else is known of it. */
  readonly detail: readonly string[];
  /** Lines for a shell that mend it. A line that somebody has to complete is a comment. */
  readonly fix: readonly string[];
  /** Where docs/doctor.md describes it: `doctor.md#table-nearly-full`. */
  readonly about: string;
  /** Its network namespace; absent for that of the process, and for what concerns the whole machine. */
  readonly netns?: string;
}

/** A check that could not be made. */
export interface Unchecked {
  readonly id: string;
  /** What could not be read, and why. */
  readonly reason: string;
  readonly netns?: string;
}

/** What a diagnosis found. */
export interface Diagnosis {
  /** The worst first. */
  readonly findings: readonly Finding[];
  /** Checks that found nothing anywhere. */
  readonly fine: readonly string[];
  readonly unchecked: readonly Unchecked[];
  /** Seconds between the two samples. */
  readonly seconds: number;
}
