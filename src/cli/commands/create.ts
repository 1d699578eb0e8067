// `-I` and `-A`: one new flow; `-I expect`: one new expectation.

import { AF_INET } from '../../ctnetlink/uapi/in.js';
import type { Context } from '../context.js';
import { flowSpec } from '../given-flow.js';
import type { OptionValues } from '../invocation.js';
import { originalTuple } from '../tuples.js';

/** @returns 0 @throws KernelError when the entry is not created */
export async function create(context: Context): Promise<number> {
  const { command, table, values, labelBits } = context.invocation;
  if (table === 'expect') {
    createExpectation(context, values);
    return 0;
  }
  const mayExist = command === 'A';
  context.conntrack().create(flowSpec(values, labelBits), { mayExist });
  context.close(`1 flow entries have been ${mayExist ? 'added' : 'created'}.`);
  return 0;
}

function createExpectation(context: Context, values: OptionValues): void {
  const { protonum } = values;
  context.conntrack().createExpectation({
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
  });
}
