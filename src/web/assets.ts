// The files of the page, as the build made them: each plain and compressed.

import { PAGE_ASSETS } from './page-assets.js';

/** A file as it is sent. */
export interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly encoding?: 'br' | 'gzip';
  /** Its name says its contents, so that it never changes. */
  readonly immutable: boolean;
}

/** A file by its name, encoded as the reader understands it; `undefined` if there is none. */
export function findAsset(name: string, acceptEncoding: string): Asset | undefined {
  const found = Object.hasOwn(PAGE_ASSETS, name) ? PAGE_ASSETS[name] : undefined;
  if (!found) return undefined;
  const encoding = (['br', 'gzip'] as const).find((one) => new RegExp(`\\b${one}\\b`).test(acceptEncoding));
  const bytes = new Uint8Array(Buffer.from(found[encoding ?? 'plain'], 'base64'));
  return { bytes, type: found.type, ...(encoding === undefined ? {} : { encoding }), immutable: /-[0-9A-F]{8}\./.test(name) };
}
