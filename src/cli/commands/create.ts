// `-I` and `-A`: one new flow; `-I expect`: one new expectation.

import { AF_INET } from '../../ctnetlink/uapi/in.js';
import { Conntrack } from '../../library/conntrack.js';
import { CLOSING_PREFIX, type Context } from '../context.js';
import { flowSpec } from '../flow-spec.js';
import type { OptionValues } from '../invocation.js';
import { originalTuple } from '../tuples.js';

export async function create(context: Context): Promise<number> {
  const { command, table, values, labelBits } = context.invocation;
  if (table === 'expect') {
    createExpectation(values);
    return 0;
  }
  const mayExist = command === 'A';
  const flow = flowSpec(values, labelBits);
  withConntrack((conntrack) => conntrack.create(flow, { mayExist }));
  context.err(`${CLOSING_PREFIX}1 flow entries have been ${mayExist ? 'added' : 'created'}.`);
  return 0;
}

function createExpectation(values: OptionValues): void {
  const { protonum } = values;
  withConntrack((conntrack) =>
    conntrack.createExpectation({
      family: values.family ?? AF_INET,
      master: originalTuple(values),
      tuple: {
        src: values.tupleSrc?.address,
        dst: values.tupleDst?.address,
        protonum,
        sport: values.tupleSport,
        dport: values.tupleDport,
      },
      mask: { src: values.maskSrc, dst: values.maskDst, protonum, sport: values.maskSport, dport: values.maskDport },
      timeout: values.timeout ?? 0,
    }),
  );
}

/** Opens the table for one piece of work, and closes it whatever happens. */
export function withConntrack(work: (conntrack: Conntrack) => void): void {
  const conntrack = Conntrack.open();
  try {
    work(conntrack);
  } finally {
    conntrack.close();
  }
}
