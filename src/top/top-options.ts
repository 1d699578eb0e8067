// What `conntrack top` is told on its command line.

import type { LabelMap } from '../library/index.js';
import type { FlowSort, GroupingName, GroupSort, LookAgain } from '../meter/index.js';

export interface TopOptions {
  /** The flows that are metered, in canonical text: what never changes in them. */
  readonly scope: string | undefined;
  /** The rest of the expression. */
  readonly filter: string | undefined;
  readonly by: GroupingName | undefined;
  /** Of groups if there is a grouping, else of flows. */
  readonly sort: FlowSort | GroupSort | undefined;
  readonly reverse: boolean;
  /** Flows that are slower, in bytes per second, are not shown. */
  readonly leastRate: number | undefined;
  /** Which network namespaces, as on the command line; `undefined`: one's own. */
  readonly netns: string | undefined;
  /** Looks for network namespaces that have come and gone, if all of them are shown. */
  readonly lookAgain: LookAgain | undefined;
  /** Names of labels. */
  readonly labels: LabelMap | undefined;
  /** Where a record of the past is. */
  readonly history: string;
  /** Milliseconds between lists. */
  readonly interval: number;
  /** Share of one processor, 0 to 1. */
  readonly share: number;
  readonly readOnly: boolean;
  readonly ascii: boolean;
  readonly color: boolean;
  readonly mouse: boolean;
  readonly tmux: boolean;
  /** The name of this machine. */
  readonly host: string;
  /** Flows that may be deleted, as a filter: all but one's own way in. */
  readonly kept: string | undefined;
}
