/** What a cache has kept of one operation. */
export interface KeptEntry {
  /** The bytes as they were handed to {@link OperationCache.keep}. */
  readonly bytes: Uint8Array
  /** How much longer the cache keeps them, in ms on its own clock. */
  readonly remainingMs: number
}

/** One entry to keep. */
export interface EntryToKeep {
  /** Digest of the operation. */
  readonly digest: string
  readonly bytes: Uint8Array
  /** For how long at most, in ms from now. */
  readonly ttlMs: number
}

/**
 * A shared memory of bytes by operation, in front of a store that decides. It may forget anything at any time and be
 * wrong, slow or gone: whoever asks it must check what it says and must be right without it.
 */
export interface OperationCache {
  /** Answers what is kept of each digest, in the order asked. */
  look(digests: readonly string[]): Promise<readonly (KeptEntry | undefined)[]>
  /** Keeps entries, each in place of what was kept of its digest before. */
  keep(entries: readonly EntryToKeep[]): Promise<void>
  /** Drops what is kept of these digests. */
  forget(digests: readonly string[]): Promise<void>
  /** Tells all who watch these digests, in every process, that they may have changed. */
  wake(digests: readonly string[]): Promise<void>
  /** Resolves at the next wake of `digest`, or when `signal` aborts. */
  watch(digest: string, signal: AbortSignal): Promise<void>
  /** Frees what the cache itself opened. */
  close(): Promise<void>
}
