// `node scripts/doctor-page.mjs`: the sections of docs/doctor.md anew, after a change of the rows in src/doctor/. A test compares them.

import { readFileSync, writeFileSync } from 'node:fs';
import { ensureBuilt, root } from './fresh.mjs';

ensureBuilt();
const { checkSections } = await import(`${root}/dist/doctor/check-sections.js`);
const path = `${root}/docs/doctor.md`;
const page = readFileSync(path, 'utf8');
const made = page.replace(
  /(<!-- made by .* -->\n)[\s\S]*(<!-- end -->)/,
  (_, begin, end) => `${begin}\n${checkSections()}\n\n${end}`,
);
writeFileSync(path, made);
