import { HASH_TAGS } from '../../drivers/redis/index.ts'

/** How many buckets the records are spread over, one for each hash tag. */
export const BUCKETS = 16

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The keys of a bucket. */
export interface Bucket {
  readonly number: number
  /** What the key of each record begins with; the digest follows. The key is also the channel of its waiters. */
  readonly record: string
  /** Sorted set: the digest of each record by the time of its creation. */
  readonly created: string
  /** Sorted set: the digest of each record by its state and the time when something is due. */
  readonly state: string
  /** What the key of each item begins with that a dedupe has seen; the bytes of its digest follow. */
  readonly seen: string
  /** List: the decisions made of held records, the newest first. */
  readonly audit: string
}

/** The keys of a store. All of a record's keys lie in one hash slot. */
export interface KeyLayout {
  readonly buckets: readonly Bucket[]
  bucketOf(digest: string): Bucket
}

/** Lays out the keys under a prefix. */
export function keyLayout(prefix: string): KeyLayout {
  const buckets = HASH_TAGS.map((tag, number): Bucket => {
    const start = `${prefix}:{${tag}}:`
    return {
      number,
      record: `${start}op:`,
      created: `${start}created`,
      state: `${start}state`,
      seen: `${start}seen:`,
      audit: `${start}audit`,
    }
  })
  const byCode = new Uint8Array(128)
  for (let index = 0; index < DIGITS.length; index++) byCode[DIGITS.charCodeAt(index)] = index >> 2
  return {
    buckets,
    // A digest is base64url of a hash, so its first character is as good as random.
    bucketOf: (digest) => buckets[byCode[digest.charCodeAt(0) & 127] ?? 0] as Bucket,
  }
}
