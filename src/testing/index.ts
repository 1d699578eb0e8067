/// <reference lib="esnext.disposable" preserve="true" />

/**
 * The testing kit: run your code on the real library without a kernel and without root.
 *
 * @module conntrack/testing
 */

export { type FlowInit, type FlowOf, makeFlow } from './flow-factory.js';
export { MemoryTable, type MemoryTableOptions, type TrafficCounters, type TrafficUpdate } from './memory-table.js';
export { type LineSink, Recorder } from './recorder.js';
export { RecordingError } from './recording.js';
export { Replay, ReplayError, type ReplayOptions } from './replay.js';
