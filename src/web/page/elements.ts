// Elements from names, attributes and children. Children are text or elements, never markup: names from outside stay text.

export type Child = Node | string | number | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | undefined | ((event: Event) => void)>>;

export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, '');
    else if (value !== undefined && value !== false) made.setAttribute(key, String(value));
  }
  made.append(
    ...children
      .filter((child) => child !== undefined && child !== false)
      .map((child) => (typeof child === 'number' ? String(child) : (child as Node | string))),
  );
  return made;
}

/** A line of numbers in a picture of 100 by 100; `most` is at the top. */
export function line(values: readonly (number | null)[], most: number, name: string): SVGPathElement {
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  let text = '';
  let pen = false;
  values.forEach((value, n) => {
    if (value === null) pen = false;
    else {
      const x = values.length > 1 ? (100 * n) / (values.length - 1) : 0;
      text += `${pen ? 'L' : 'M'}${x.toFixed(2)} ${(98 - (96 * value) / Math.max(most, 1)).toFixed(2)}`;
      pen = true;
    }
  });
  path.setAttribute('d', text);
  path.setAttribute('class', name);
  return path;
}

export function chart(...paths: readonly SVGPathElement[]): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 100 100');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'chart');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(...paths);
  return svg;
}
