// A software bill of materials (CycloneDX 1.5) beside a package: what npm says of the lock file, cut to what the package contains.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { root } from '../fresh.mjs';

/**
 * @param contained names of npm packages in it; `undefined`: those that npm installs with it
 * @param extra components that npm does not know
 * @param seconds the date that it bears
 * @returns its text. The same sources give the same text: the serial number is made from the rest.
 */
export function makeSbom({ contained, extra = [], seconds }) {
  const words = ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application', '--package-lock-only'];
  const all = JSON.parse(
    execFileSync('npm', [...words, ...(contained ? [] : ['--omit=dev'])], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  const { component, ...metadata } = all.metadata;
  const [name, version] = component['bom-ref'].split('@');
  const components = all.components.filter((one) => !contained || contained.has(one.name));
  const lost = [...(contained ?? [])].filter((one) => !components.some((known) => known.name === one));
  if (lost.length > 0) throw new Error(`the lock file does not have ${lost.join(', ')}`);
  const refs = new Set([component['bom-ref'], ...components.map((one) => one['bom-ref'])]);
  const bill = {
    $schema: all.$schema,
    bomFormat: all.bomFormat,
    specVersion: all.specVersion,
    version: 1,
    // npm takes the name of the folder.
    metadata: { ...metadata, timestamp: new Date(seconds * 1000).toISOString(), component: { ...component, name, version } },
    components: [...components, ...extra],
    dependencies: all.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => refs.has(one)) })),
  };
  const digest = createHash('sha256').update(JSON.stringify(bill)).digest('hex');
  const serial = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `5${digest.slice(13, 16)}`,
    `a${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ];
  const { $schema, bomFormat, specVersion, ...rest } = bill;
  const parts = { $schema, bomFormat, specVersion, serialNumber: `urn:uuid:${serial.join('-')}`, ...rest };
  return `${JSON.stringify(parts, undefined, 2)}\n`;
}
