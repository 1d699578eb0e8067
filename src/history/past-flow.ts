// PastFlow: a flow of a record, as programs have it.

import { FLOW_FIELDS, type Flow, type FlowJson, FlowReader, fieldSet } from '../ctnetlink/flow.js';
import type { View } from '../ctnetlink/view.js';
import { type FoundRow, nameOf } from './flow-search.js';
import { formatMoment } from './moments.js';
import {
  END_REASONS,
  type EndKind,
  type EndReason,
  endKindOf,
  HOW_CLOCK_SET,
  HOW_IMPORTED,
  HOW_INJECTED,
  HOW_OFFLOADED,
  type StartKind,
  startKindOf,
} from './record-columns.js';
import { numberIn } from './row-messages.js';

/** How certain a record is. */
export interface RecordQuality {
  /** How its beginning is known: `listed`: it was there before it was recorded. */
  readonly start: StartKind;
  /** How its end is known; absent for a flow that lives. */
  readonly end?: EndKind | undefined;
  /** Microseconds: it began at `start`, or up to so long before. */
  readonly startSlack: number;
  /** Microseconds: it ended at `end`, or up to so long before. */
  readonly endSlack: number;
  /** `partial`: a part of its packets was forwarded by hardware, and not counted. `none`: they were not recorded. */
  readonly counters: 'complete' | 'partial' | 'none';
  /** The clock was set while it lived. */
  readonly clockSet?: true;
  /** It comes from elsewhere, and not from this recorder. */
  readonly imported?: true;
  /** A program made it, not a packet, as on a router that takes over from another. */
  readonly injected?: true;
}

/** A flow as it was recorded. Times are microseconds since the epoch. */
export interface PastFlow {
  /** The flow as it was last. Its times are here, not in `timestamp`. */
  readonly flow: Flow;
  readonly start: number;
  /** Absent for a flow that lives. */
  readonly end?: number | undefined;
  /** Why it ended, where that is known. */
  readonly endReason?: EndReason | undefined;
  /** Of a flow that lives: when it was known to be alive last. */
  readonly seen?: number | undefined;
  readonly quality: RecordQuality;
  /** Number of the record, from 1, without holes; absent for a flow that lives. */
  readonly sequence?: number | undefined;
  /** Its network namespace, unless it is that of the recorder. */
  readonly netns?: string | undefined;
  /** The file that it is in. */
  readonly segment: string;
  /** The same as `-o json` of `conntrack history` prints. */
  toJSON(): PastFlowJson;
}

/** A flow of a record in JSON: the members of the flow, and those of the record. Times are RFC 3339 with microseconds. */
export type PastFlowJson = FlowJson & {
  readonly netns?: string;
  readonly start: string;
  readonly end?: string;
  readonly endReason?: EndReason;
  readonly seen?: string;
  readonly quality: RecordQuality;
  readonly sequence?: number;
  readonly segment: string;
};

const MEMBERS = fieldSet(FLOW_FIELDS.filter((name) => name !== 'timestamp'));

/** Makes past flows of rows. */
export class PastFlowReader {
  readonly #reader = new FlowReader();

  read(found: FoundRow, view: View): PastFlow {
    return new PastFlowObject(found, this.#reader.read(view, MEMBERS));
  }
}

class PastFlowObject implements PastFlow {
  readonly flow: Flow;
  readonly start: number;
  readonly end: number | undefined;
  readonly endReason: EndReason | undefined;
  readonly seen: number | undefined;
  readonly quality: RecordQuality;
  readonly sequence: number | undefined;
  readonly netns: string | undefined;
  readonly segment: string;

  constructor(found: FoundRow, flow: Flow) {
    const { row, segment, open } = found;
    const number = (name: string) => numberIn(row[name]);
    this.flow = flow;
    this.start = number('start') ?? 0;
    this.end = open ? undefined : this.start + (number('dur') ?? 0);
    this.endReason = END_REASONS[(number('end_reason') ?? 0) - 1];
    this.seen = open ? number('seen') : undefined;
    this.quality = qualityOf(found);
    this.sequence = number('seq');
    this.netns = nameOf(segment, row);
    this.segment = segment.file.name;
  }

  toJSON(): PastFlowJson {
    const { flow, start, end, endReason, seen, quality, sequence, netns, segment } = this;
    return {
      ...(netns === undefined ? {} : { netns }),
      ...flow.toJSON(),
      start: formatMoment(start),
      ...(end === undefined ? {} : { end: formatMoment(end) }),
      ...(endReason === undefined ? {} : { endReason }),
      ...(seen === undefined ? {} : { seen: formatMoment(seen) }),
      quality,
      ...(sequence === undefined ? {} : { sequence }),
      segment,
    };
  }
}

/** How certain the row of a flow is. */
export function qualityOf({ row, open }: Pick<FoundRow, 'row' | 'open'>): RecordQuality {
  const how = numberIn(row['how']) ?? 0;
  const counted = !open && row['ob'] !== null && row['ob'] !== undefined;
  return {
    start: startKindOf(how),
    ...(open ? {} : { end: endKindOf(how) }),
    startSlack: numberIn(row['sslack']) ?? 0,
    endSlack: numberIn(row['eslack']) ?? 0,
    counters: !counted ? 'none' : how & HOW_OFFLOADED ? 'partial' : 'complete',
    ...(how & HOW_CLOCK_SET ? { clockSet: true as const } : {}),
    ...(how & HOW_IMPORTED ? { imported: true as const } : {}),
    ...(how & HOW_INJECTED ? { injected: true as const } : {}),
  };
}
