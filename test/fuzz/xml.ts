// A small checker of XML 1.0 well-formedness, for the subset that the writers use: no comments, no CDATA, no namespaces.
// Written apart from src/format, from the grammar of the recommendation.

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*/;
const ATTRIBUTE = /^\s+([A-Za-z_][A-Za-z0-9_.-]*)="([^"<]*)"/;
const ENTITY = /&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);)/;
// Written from numbers: a control character in a regular expression is more often a mistake.
const FORBIDDEN = new RegExp(
  `[${[0, 8, 0xb, 0xc, 0xe, 0x1f, 0xd800, 0xdfff, 0xfffe, 0xffff]
    .map(escapeUnit)
    .join('')
    .replace(/(.{6})(.{6})/g, '$1-$2')}]`,
);
function escapeUnit(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}

/** What is wrong with a document of one root element, if anything; a declaration in front is allowed. */
export function xmlFault(document: string): string | undefined {
  const open: string[] = [];
  let rest = document.replace(/^<\?xml version="1\.0"(?: encoding="[^"]*")?\?>\n?/, '').trim();
  if (FORBIDDEN.test(rest)) return 'a character that XML does not allow';
  let roots = 0;
  while (rest !== '') {
    const text = /^[^<]+/.exec(rest)?.[0] ?? '';
    if (text !== '') {
      if (ENTITY.test(text)) return `a bare & in "${text}"`;
      if (text.includes(']]>')) return `]]> in "${text}"`;
      if (open.length === 0 && text.trim() !== '') return `text outside the root: "${text}"`;
      rest = rest.slice(text.length);
      continue;
    }
    const closing = /^<\/([A-Za-z_][A-Za-z0-9_.-]*)\s*>/.exec(rest);
    if (closing) {
      const expected = open.pop();
      if (expected !== closing[1]) return `</${closing[1]}> closes <${expected}>`;
      rest = rest.slice(closing[0].length);
      continue;
    }
    rest = rest.slice(1);
    const name = NAME.exec(rest)?.[0];
    if (!name) return `no element name at "${rest.slice(0, 20)}"`;
    rest = rest.slice(name.length);
    const seen = new Set<string>();
    for (let found = ATTRIBUTE.exec(rest); found; found = ATTRIBUTE.exec(rest)) {
      if (seen.has(found[1]!)) return `attribute ${found[1]} twice in <${name}>`;
      if (ENTITY.test(found[2]!)) return `a bare & in the attribute ${found[1]}`;
      seen.add(found[1]!);
      rest = rest.slice(found[0].length);
    }
    const end = /^\s*(\/?)>/.exec(rest);
    if (!end) return `<${name}> does not end at "${rest.slice(0, 20)}"`;
    rest = rest.slice(end[0].length);
    if (open.length === 0 && ++roots > 1) return 'more than one root';
    if (end[1] === '') open.push(name);
  }
  if (open.length > 0) return `<${open.join('><')}> not closed`;
  return roots === 1 ? undefined : 'no root';
}
