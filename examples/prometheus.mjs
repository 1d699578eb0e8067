// Gauges for Prometheus on http://localhost:9478/metrics:  node prometheus.mjs [PORT]
import { createServer } from 'node:http';
import { Conntrack } from 'conntrack';

// Show the reason, such as a missing privilege, without a stack trace.
process.on('uncaughtException', ({ message, hint }) => {
  console.error(hint ? `${message}\n  hint: ${hint}` : message);
  process.exit(1);
});

const port = Number(process.argv[2] ?? 9478);
if (!(Number.isInteger(port) && port >= 0 && port < 65536)) {
  console.error('usage: node prometheus.mjs [PORT]');
  process.exit(2);
}
const conntrack = await Conntrack.open();
// A view counts without asking the kernel for the whole table at every scrape.
const live = await conntrack.watch();
// A view that has ended is no longer updated: better no numbers than old ones.
live.closed.catch((error) => {
  console.error(error.message);
  process.exit(1);
});
const PROTOCOLS = ['tcp', 'udp', 'icmp', 'sctp'];

const server = createServer(async (request, response) => {
  if (request.url !== '/metrics') return response.writeHead(404).end();
  const { entries, maxEntries } = await conntrack.count();
  const flows = await Promise.all(PROTOCOLS.map((protocol) => live.count({ protocol })));
  const lines = [
    '# TYPE conntrack_entries gauge',
    `conntrack_entries ${entries}`,
    '# TYPE conntrack_entries_limit gauge',
    `conntrack_entries_limit ${maxEntries ?? 'NaN'}`,
    '# TYPE conntrack_flows gauge',
    ...PROTOCOLS.map((protocol, n) => `conntrack_flows{protocol="${protocol}"} ${flows[n]}`),
    '# TYPE conntrack_events_lost_total counter',
    `conntrack_events_lost_total ${live.lost}`,
  ];
  return response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(`${lines.join('\n')}\n`);
}).listen(port, '127.0.0.1', () => console.log(`listening on port ${server.address().port}`));
