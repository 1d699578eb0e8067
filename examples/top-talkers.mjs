// The ten hosts with the most traffic on flows that are open now:  node top-talkers.mjs
// Needs counters: sysctl -w net.netfilter.nf_conntrack_acct=1
import { Conntrack } from 'conntrack';

// Show the reason, such as a missing privilege, without a stack trace.
process.on('uncaughtException', ({ message, hint }) => {
  console.error(hint ? `${message}\n  hint: ${hint}` : message);
  process.exit(1);
});

if (process.argv.length > 2) {
  console.error('usage: node top-talkers.mjs');
  process.exit(2);
}
const conntrack = await Conntrack.open();
const bytes = new Map();
// Read only what is needed: faster on large tables.
for await (const { original, reply } of conntrack.list({}, { fields: ['original', 'reply'] }))
  bytes.set(original.src, (bytes.get(original.src) ?? 0n) + (original.bytes ?? 0n) + (reply.bytes ?? 0n));
await conntrack.close();
const top = [...bytes].sort(([, a], [, b]) => (a < b ? 1 : a > b ? -1 : 0)).slice(0, 10);
for (const [host, sum] of top) console.log(`${host.padEnd(40)} ${sum}`);
