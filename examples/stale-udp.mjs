// An endpoint has moved (a pod was replaced, a SIP server failed over). UDP flows keep their old translation as long as packets
// arrive, so delete them:  node stale-udp.mjs 192.0.2.10 5060
import { Conntrack } from 'conntrack';

// Show the reason, such as a missing privilege, without a stack trace.
process.on('uncaughtException', ({ message, hint }) => {
  console.error(hint ? `${message}\n  hint: ${hint}` : message);
  process.exit(1);
});

const [address, port] = process.argv.slice(2);
if (address === undefined || !(Number(port) > 0)) {
  console.error('usage: node stale-udp.mjs ADDRESS PORT');
  process.exit(2);
}
const conntrack = await Conntrack.open();
const { matched, deleted, alreadyGone } = await conntrack.delete({
  protocol: 'udp',
  original: { dport: Number(port) },
  reply: { src: address }, // where the packets really go, after destination NAT
});
await conntrack.close();
console.log(`${matched} stale flows, ${deleted} deleted, ${alreadyGone} already gone`);
