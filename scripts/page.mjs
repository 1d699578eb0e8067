// The page of `conntrack serve`, built from src/web/page: one script, one style sheet, one document, with names that say their contents.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/**
 * Files of the page by name, for src/web/page-assets.ts.
 * @param packages takes the names of the npm packages that are in it
 */
export async function pageAssets(root, packages = new Set()) {
  const folder = `${root}/src/web/page`;
  const bundle = async (file) => {
    const { outputFiles, metafile } = await build({
      entryPoints: [`${folder}/${file}`],
      bundle: true,
      minify: true,
      write: false,
      metafile: true,
      format: 'esm',
      target: ['chrome110', 'firefox115', 'safari16.4'],
      logLevel: 'warning',
    });
    for (const name of packagesIn(metafile)) packages.add(name);
    return Buffer.from(outputFiles[0].contents);
  };
  const [script, style] = [await bundle('page.tsx'), await bundle('page.css')];
  const [scriptName, styleName] = [`page-${hash(script)}.js`, `page-${hash(style)}.css`];
  const html = readFileSync(`${folder}/index.html`, 'utf8').replace('PAGE_JS', scriptName).replace('PAGE_CSS', styleName);
  return {
    'index.html': asset(Buffer.from(html), 'text/html; charset=utf-8'),
    'favicon.svg': asset(readFileSync(`${folder}/favicon.svg`), 'image/svg+xml'),
    [scriptName]: asset(script, 'text/javascript; charset=utf-8'),
    [styleName]: asset(style, 'text/css; charset=utf-8'),
  };
}

/** Names of the npm packages of which something is in what esbuild wrote. */
export function packagesIn({ outputs }) {
  const inputs = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? path : [])),
  );
  return new Set(inputs.flatMap((path) => /.*\bnode_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []));
}

/** For esbuild: the built page in place of the empty src/web/page-assets.ts. */
export function withPage(assets) {
  return {
    name: 'page',
    setup: ({ onLoad }) =>
      onLoad({ filter: /\/src\/web\/page-assets\.ts$/ }, () => ({
        contents: `export const PAGE_ASSETS = ${JSON.stringify(assets)};`,
        loader: 'js',
      })),
  };
}

function asset(bytes, type) {
  const text = (of) => of.toString('base64');
  return { type, plain: text(bytes), gzip: text(gzipSync(bytes, { level: 9 })), br: text(brotliCompressSync(bytes)) };
}

function hash(bytes) {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 8).toUpperCase();
}
