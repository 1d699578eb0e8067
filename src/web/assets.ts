// The files of the page, as the build made them.

/** A file. */
export interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly encoding?: 'br' | 'gzip';
  /** Its name says its contents, so that it never changes. */
  readonly immutable: boolean;
}

/** A file by its name, encoded as the reader understands it; `undefined` if there is none. */
export function findAsset(name: string, acceptEncoding: string): Asset | undefined {
  void acceptEncoding;
  return name === 'index.html'
    ? { bytes: new TextEncoder().encode(PLACEHOLDER), type: 'text/html; charset=utf-8', immutable: false }
    : undefined;
}

const PLACEHOLDER = '<!doctype html><title>conntrack</title><p>The page is not built in. The API is at api/v1/.</p>\n';
