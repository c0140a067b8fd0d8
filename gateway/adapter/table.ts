/** What the build step tells the running half about the client's files. */

export interface Asset {
	type: string;
	etag: string;
	/** Bytes. */
	size: number;
	immutable: boolean;
}

export interface Table {
	/** By path, with its leading slash. */
	assets: Record<string, Asset>;
	/** Prerendered pages: path -> key of `assets`. */
	pages: Record<string, string>;
}
