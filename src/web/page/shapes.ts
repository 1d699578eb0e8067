// What the server answers, as far as the page uses it: docs/serve.md, conntrack.schema.json.

export interface PageRates {
  readonly original: number;
  readonly reply: number;
}

export interface PageSide {
  readonly src?: string;
  readonly dst?: string;
  readonly sport?: number;
  readonly dport?: number;
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly bytes?: number | string;
  readonly packets?: number | string;
}

export interface PageFlow {
  readonly key: string;
  /** The same as long as it lives. */
  readonly number: number;
  /** It has ended since it was on the screen. */
  readonly ended?: true;
  readonly netns?: string;
  readonly flow: {
    readonly id?: number;
    readonly protocol: string;
    readonly protonum?: number;
    readonly state?: string;
    readonly status?: readonly string[];
    readonly original: PageSide;
    readonly reply: PageSide;
    readonly master?: PageSide;
    readonly mark?: number;
    readonly zone?: number;
    readonly helper?: string;
    readonly labels?: readonly (number | string)[];
    readonly timeout?: number;
  };
  readonly rate?: PageRates;
  readonly average?: PageRates;
  readonly packetRate?: number;
  readonly age: number;
  readonly ageAtLeast?: true;
  readonly idle?: number;
  readonly counters: 'kernel' | 'none' | 'offloaded';
}

export interface PageHop {
  readonly address?: string;
  readonly port?: number;
}

/** The way of packets in one direction, with what this host changes. */
export interface PageWay {
  readonly from: PageHop;
  readonly to: PageHop;
  readonly source?: PageHop;
  readonly destination?: PageHop;
}

/** A flow, asked of the kernel. */
export interface PageDetails extends PageFlow {
  readonly nat: { readonly original: PageWay; readonly reply: PageWay };
  readonly expected?: readonly { readonly tuple: PageSide; readonly helper?: string; readonly timeout?: number }[];
}

/** Of the flows that match. */
export interface PageTotals {
  readonly flows: number;
  readonly unreplied?: number;
  readonly average?: PageRates;
}

export interface PageFlows {
  readonly sample: number;
  readonly total: number;
  readonly matched: number;
  readonly totals: PageTotals;
  readonly offset: number;
  readonly flows: readonly PageFlow[];
}

export interface PageGroup extends PageTotals {
  readonly key: string;
  readonly filter?: string;
}

export interface PageGroups {
  readonly by: string;
  readonly matched: number;
  readonly count: number;
  readonly groups: readonly PageGroup[];
  readonly other: PageTotals & { readonly groups: number };
}

/** Who had most in a minute of the past. */
export interface PageMinute {
  readonly by: string;
  /** When it began, in seconds since the epoch. */
  readonly minute: number;
  readonly from: 'memory' | 'record';
  readonly unreadable?: number;
  readonly matched?: number;
  readonly groups: readonly PageGroup[];
  readonly count?: number;
}

export interface PageNamespace {
  readonly name: string;
  readonly entries: number;
  readonly maxEntries?: number;
  readonly full?: number;
  readonly kernel: {
    readonly drop: number;
    readonly earlyDrop: number;
    readonly insertFailed: number;
    readonly invalid: number;
  };
  /** Seconds. */
  readonly sweepTime: number;
  readonly lost: number;
}

export interface PageSample {
  readonly number: number;
  readonly at: number;
  readonly seconds: number;
  readonly entries: number;
  readonly begun: number;
  readonly ended: number;
  readonly rate?: PageRates;
  readonly cost: number;
  readonly namespaces: readonly PageNamespace[];
}

export interface PageNotice {
  readonly code: string;
  readonly text: string;
  readonly remedy?: string;
  readonly netns?: string;
}

export interface PageStatus {
  /** Seconds since the newest list. */
  readonly age: number;
  readonly host: string;
  readonly changes: boolean;
  /** Whether a record is asked for the past. */
  readonly record: boolean;
  readonly scope?: string;
  readonly interval: number;
  readonly accounting: 'on' | 'partly' | 'off';
  readonly events: 'all' | 'new' | 'off';
  readonly timestamps: boolean;
  readonly notices: readonly PageNotice[];
}

export type PageColumn = readonly (number | null)[];

export interface PageSeries {
  readonly step: number;
  readonly end: number;
  readonly entries: PageColumn;
  readonly begun: PageColumn;
  readonly ended: PageColumn;
  readonly rateOriginal: PageColumn;
  readonly rateReply: PageColumn;
}

/** Something that is wrong, or good to know. */
export interface PageFinding {
  readonly id: string;
  readonly severity: 'error' | 'warning' | 'info';
  readonly title: string;
  readonly detail: readonly string[];
  readonly fix: readonly string[];
  readonly netns?: string;
}

export interface PageDiagnosis {
  readonly at: number;
  /** The worst first. */
  readonly findings: readonly PageFinding[];
  readonly fine: readonly string[];
  readonly unchecked: readonly { readonly id: string; readonly reason: string; readonly netns?: string }[];
}

/** What a flow is, in words. */
export interface PageExplanation {
  readonly facts: readonly { readonly about: string; readonly text: string }[];
  readonly problems: readonly PageFinding[];
}

/** An earlier flow of the same ends, from a record. */
export interface PageLife {
  readonly start: string;
  readonly end?: string;
  readonly endReason?: string;
  readonly netns?: string;
  readonly original: PageSide;
  readonly reply: PageSide;
  readonly quality: { readonly start: string; readonly counters: string };
}

export interface PagePast {
  readonly lives: readonly PageLife[];
  readonly more: boolean;
  /** Files that could not be read. */
  readonly unreadable: number;
}

/** What is wrong with a request. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Of a filter: the message without its place, and the place. */
  readonly problem?: string;
  readonly offset?: number;
  readonly length?: number;
  readonly suggestion?: string;
}

/** What is to be said of a filter. */
export interface FilterAnswer {
  readonly valid: boolean;
  readonly canonical?: string;
  readonly error?: Problem;
  readonly completions: readonly { readonly text: string; readonly help: string }[];
}

/** What is to be deleted. */
export interface PageDeletion {
  readonly flows?: readonly string[];
  readonly filter?: string;
  readonly netns?: string;
  /** Whatever the filter. */
  readonly all?: boolean;
}

export interface PagePlan {
  readonly matched: number;
  readonly largest: readonly PageFlow[];
  readonly warnings: readonly string[];
  readonly confirm: string;
}

export interface DeletionCounts {
  readonly filter?: string;
  readonly deleted: number;
  readonly alreadyGone: number;
  readonly failed: number;
  readonly cameBack?: number;
}
