// For esbuild: sources import the library through its index, src/library/index.ts. In a bundle, that would evaluate the whole library at
// every start. So an import of the index becomes imports of the files that have the names, and lazy parts stay lazy.

import { readFileSync } from 'node:fs';

const FACE = /^(import|export)\s+(type\s+)?\{([^}]*)\}\s*from\s*'((?:\.\.?\/)+library\/)index\.js';/gm;
const LAZY = /const \{ (\w+) \} = await import\('((?:\.\.?\/)+library\/)index\.js'\)/g;
/** Matches every path to the index. */
const ANY = /['"][./]*library\/index\.js['"]/;

export function libraryFace(root) {
  const files = exportsOf(readFileSync(`${root}/src/library/index.ts`, 'utf8'));
  const fileOf = (name, path) => {
    const file = files.get(name);
    if (!file) throw new Error(`${path}: src/library/index.ts does not export ${name}`);
    return file;
  };
  return {
    name: 'library-face',
    setup({ onLoad }) {
      onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        if (!ANY.test(text)) return undefined;
        const contents = text
          .replace(FACE, (_, verb, types, list, library) =>
            types
              ? ''
              : namesIn(list)
                  .filter(({ type }) => !type)
                  .map(({ name }) => `${verb} { ${name} } from '${library}${fileOf(name, path)}';`)
                  .join(' '),
          )
          .replace(LAZY, (_, name, library) => `const { ${name} } = await import('${library}${fileOf(name, path)}')`);
        if (ANY.test(contents))
          throw new Error(`${path}: imports the library in a way that scripts/library-face.mjs does not know`);
        return { contents, loader: 'ts' };
      });
    },
  };
}

/** Name → file that has it, relative to src/library/. */
function exportsOf(index) {
  const files = new Map();
  for (const [, list, file] of index.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}\s*from\s*'([^']+)';/gm))
    for (const { name } of namesIn(list)) files.set(name, file);
  return files;
}

function namesIn(list) {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
    .map((item) => ({ type: item.startsWith('type '), name: item.replace(/^type /, '') }));
}
