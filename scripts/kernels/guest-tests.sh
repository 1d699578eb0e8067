#!/bin/sh
# On the kernel concerned, in the project's folder: the probe, then the tests that KERNEL_SUITES names, one process for each.
status=0
unshare --net "$NODE" build/test/kernels/probe.js || status=1
if [ -n "$KERNEL_SUITES" ]; then
  "$NODE" $NODE_FLAGS ${PATTERN:+"--test-name-pattern=$PATTERN"} build/test/kernels/suites.js || status=1
fi
exit $status
