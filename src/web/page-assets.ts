// The files of the page: the build puts them here. Without a build there are none.

/** A file, in base64: as it is, and compressed. */
export interface PageAsset {
  readonly type: string;
  readonly plain: string;
  readonly gzip: string;
  readonly br: string;
}

/** By name. */
export const PAGE_ASSETS: Readonly<Record<string, PageAsset>> = {};
