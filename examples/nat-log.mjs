// Who used which public address and port, and for how long: one line for every translated flow that ends.
//   node nat-log.mjs [SECONDS]
// For times and bytes: sysctl -w net.netfilter.nf_conntrack_timestamp=1 net.netfilter.nf_conntrack_acct=1
import { Conntrack } from 'conntrack';

// Show the reason, such as a missing privilege, without a stack trace.
process.on('uncaughtException', ({ message, hint }) => {
  console.error(hint ? `${message}\n  hint: ${hint}` : message);
  process.exit(1);
});

const seconds = Number(process.argv[2] ?? 0);
if (!(seconds >= 0)) {
  console.error('usage: node nat-log.mjs [SECONDS]');
  process.exit(2);
}
process.stdout.on('error', () => process.exit(1)); // nobody reads any more
const signal = seconds > 0 ? AbortSignal.timeout(seconds * 1000) : undefined;
const conntrack = await Conntrack.open();
const onLost = ({ events }) => console.error(`${events} events were lost`);
try {
  for await (const { flow } of conntrack.events({ srcNat: true }, { types: ['DESTROY'], onLost, signal })) {
    const { original, reply, timestamp } = flow;
    const lasted = timestamp?.start && timestamp.stop ? `${(timestamp.stop - timestamp.start) / 1_000_000_000n} s` : '-';
    const bytes = (original.bytes ?? 0n) + (reply.bytes ?? 0n);
    const inside = `${original.src}:${original.sport}`;
    const outside = `${reply.dst}:${reply.dport}`;
    console.log(`${flow.protocol} ${inside} as ${outside} to ${original.dst}:${original.dport} ${lasted} ${bytes} bytes`);
  }
} catch (error) {
  if (error !== signal?.reason) throw error;
} finally {
  await conntrack.close();
}
