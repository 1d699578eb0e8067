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
  readonly bytes?: number | string;
  readonly packets?: number | string;
}

export interface PageFlow {
  readonly key: string;
  readonly netns?: string;
  readonly flow: {
    readonly protocol: string;
    readonly state?: string;
    readonly status?: readonly string[];
    readonly original: PageSide;
    readonly reply: PageSide;
    readonly mark?: number;
    readonly timeout?: number;
  };
  readonly average?: PageRates;
  readonly age: number;
  readonly ageAtLeast?: true;
}

export interface Flows {
  readonly total: number;
  readonly matched: number;
  readonly flows: readonly PageFlow[];
}

export interface Group {
  readonly key: string;
  readonly filter?: string;
  readonly flows: number;
  readonly unreplied: number;
  readonly average?: PageRates;
}

export interface Sample {
  readonly entries: number;
  readonly maxEntries?: number;
  readonly full?: number;
  readonly seconds: number;
  readonly begun: number;
  readonly ended: number;
  readonly rate?: PageRates;
  readonly cost: number;
}

export interface Status {
  readonly host: string;
  readonly changes: boolean;
  readonly interval: number;
  readonly notices: readonly {
    readonly code: string;
    readonly text: string;
    readonly remedy?: string;
    readonly netns?: string;
  }[];
}

export interface PageSeries {
  readonly rateOriginal: readonly (number | null)[];
  readonly rateReply: readonly (number | null)[];
}

export interface DryRun {
  readonly matched: number;
  readonly warnings: readonly string[];
  readonly confirm: string;
}
