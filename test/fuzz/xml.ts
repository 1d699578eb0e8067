// Whether a document is well-formed XML 1.0, according to a parser independent of src/format.

import { SaxesParser } from 'saxes';

/** What is wrong with a document, if anything. */
export function xmlFault(document: string): string | undefined {
  const parser = new SaxesParser();
  let fault: string | undefined;
  parser.on('error', (error) => {
    fault ??= error.message;
  });
  parser.write(document).close();
  return fault;
}
