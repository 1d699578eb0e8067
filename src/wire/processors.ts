// How many threads can run at the same time. A file of its own, to be loaded when that is asked: most commands never do.

export { availableParallelism as processors } from 'node:os';
