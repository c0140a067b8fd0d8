/** What the build step tells the running half about a file of the client. */
export interface Asset {
	type: string;
	etag: string;
	/** Bytes. */
	size: number;
	immutable: boolean;
}

/** By path, with its leading slash. */
export type Table = Record<string, Asset>;
