// Calls on other threads in the standalone executable, whose foreign function interface only calls on the thread it is used on. A thread
// starts in 3 ms, at the first call that finds all others busy, and lasts as long as the program.

import { Worker } from 'node:worker_threads';
import { EIO } from './errno.js';

/** call-thread-bun.ts among the files of the executable (scripts/build-exe.mjs). */
const PROGRAM = './call-thread.mjs';

/** What a thread is asked to do. */
export interface ThreadCall {
  readonly name: 'send' | 'recvmmsg';
  readonly fd: number;
  /** Of the bytes or of the message headers, which the caller keeps alive. */
  readonly address: number;
  /** Bytes or headers. */
  readonly count: number;
  readonly flags: number;
}

interface CallThread {
  readonly worker: Worker;
  /** What runs when its call has ended. */
  done: ((result: number) => void) | undefined;
}

const idle: CallThread[] = [];

/** Makes the call on a thread of its own. @param done gets its result, or `-errno` */
export function callOnThread(call: ThreadCall, done: (result: number) => void): void {
  const thread = idle.pop() ?? startThread();
  thread.done = done;
  // The program must not end during the call.
  thread.worker.ref();
  thread.worker.postMessage(call);
}

function startThread(): CallThread {
  const thread: CallThread = { worker: new Worker(PROGRAM), done: undefined };
  thread.worker.on('message', (result: number) => {
    const { done } = thread;
    thread.worker.unref();
    idle.push(thread);
    done!(result);
  });
  // It could not start.
  thread.worker.on('error', () => thread.done!(-EIO));
  return thread;
}
