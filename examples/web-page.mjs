// The flows of one host as a web page, with Hono:  npm install hono @hono/node-server; node web-page.mjs [PORT]
//   http://localhost:8080/192.0.2.1
import { serve } from '@hono/node-server';
import { Conntrack, ValueError } from 'conntrack';
import { Hono } from 'hono';
import { html } from 'hono/html';

// Show the reason, such as a missing privilege, without a stack trace.
process.on('uncaughtException', ({ message, hint }) => {
  console.error(hint ? `${message}\n  hint: ${hint}` : message);
  process.exit(1);
});

const port = Number(process.argv[2] ?? 8080);
if (!(Number.isInteger(port) && port >= 0 && port < 65536)) {
  console.error('usage: node web-page.mjs [PORT]');
  process.exit(2);
}
const conntrack = await Conntrack.open();
const app = new Hono();

app.get('/:host', async (context) => {
  const host = context.req.param('host');
  try {
    // Stop reading the table when the browser goes away.
    const flows = await conntrack.list({ original: { src: host } }, { signal: context.req.raw.signal }).toArray();
    const rows = flows.map(
      ({ protocol, original, state }) =>
        html`<tr><td>${protocol}</td><td>${original.dst}</td><td>${original.dport}</td><td>${state}</td></tr>`,
    );
    return context.html(html`<!doctype html><title>Flows of ${host}</title><table>${rows}</table>`);
  } catch (error) {
    if (error instanceof ValueError) return context.text(error.message, 400);
    throw error;
  }
});

serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, (address) => console.log(`listening on port ${address.port}`));
