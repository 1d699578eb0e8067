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
  const encoding = (['br', 'gzip'] as const).find((one) => isWanted(acceptEncoding, one));
  const bytes = bytesOf(found[encoding ?? 'plain']);
  return { bytes, type: found.type, ...(encoding === undefined ? {} : { encoding }), immutable: /-[0-9A-F]{8}\./.test(name) };
}

/** Whether an encoding is among those that the reader understands. Source: RFC 9110, 12.5.3. */
function isWanted(acceptEncoding: string, encoding: string): boolean {
  return acceptEncoding
    .toLowerCase()
    .split(',')
    .some((part) => {
      const [name, ...parameters] = part.split(';').map((text) => text.trim());
      return name === encoding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    });
}

/** The bytes of each text that was asked for: many readers share them. */
const made = new Map<string, Uint8Array<ArrayBuffer>>();

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  let bytes = made.get(base64);
  if (!bytes) {
    bytes = new Uint8Array(Buffer.from(base64, 'base64'));
    made.set(base64, bytes);
  }
  return bytes;
}
