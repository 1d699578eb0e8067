// Where the code of the writing thread is: reached in the same way from dist/history/ and from a bundle in dist/words/. The standalone
// executable has a place of its own for it (scripts/build-exe.mjs).

export const WRITER_THREAD: URL | string = new URL('../history/writer-thread.js', import.meta.url);
