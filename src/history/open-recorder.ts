// openRecorder: records flows, for programs.

import { FlowRecorder, type RecordedTables } from './flow-recorder.js';
import type { RecordOptions } from './recorder-options.js';

/**
 * Records every flow of one network namespace, or of several by name, until it is closed; settles when the first list is complete. What
 * `conntrack record` does, for programs.
 *
 * ```ts
 * await using conntrack = await Conntrack.open();
 * await using recorder = await openRecorder(conntrack, { dir: '/var/lib/conntrack', keep: 180 * 86_400 });
 * await recorder.ended;
 * ```
 *
 * @throws ValueError, HistoryError (`LOCKED`: another recorder has the directory), SystemError, KernelError, ClosedError
 */
export function openRecorder(tables: RecordedTables, options: RecordOptions): Promise<FlowRecorder> {
  return FlowRecorder.open(tables, options);
}
