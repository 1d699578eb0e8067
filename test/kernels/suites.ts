// The part of the differential and round-trip tests that runs on another kernel, in one process: there, starting one takes seconds. The
// environment says which tests to run, and how many of those made from a seed; see scripts/test-kernels.mjs.

for (const name of (process.env['KERNEL_SUITES'] ?? '').split(',')) await import(`../${name}.test.js`);
