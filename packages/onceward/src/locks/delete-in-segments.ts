import { isOncewardError } from '../core/errors.ts'
import { atLeast, refuseUnknown, wholeNumber } from '../core/known-fields.ts'
import { type BatchPosition, batchesOf, type IdPage, type IdSource } from './delete-batches.ts'
import type { HoldOptions, Lease, Locks } from './lock-types.ts'

/** How many ids met which end. */
export interface DeleteCounts {
  /** `remove` has deleted them. */
  readonly deleted: number
  /** They were not there any more. */
  readonly gone: number
  /** Their segment was held by another for longer than `waitMs`. */
  readonly busy: number
  /** The lock of their segment was lost before `remove` had ended: whether they are there is not known. */
  readonly lost: number
}

/** How far a deletion has come. Plain data: keep it as JSON, and pass it as `resume`. */
export interface DeleteProgress extends DeleteCounts {
  /** Every id before it has been dealt with. */
  readonly position: BatchPosition
  /** Whether all ids have been. */
  readonly finished: boolean
}

/** How many ids are deleted. */
export interface DeletionInSegments<Fence extends number | undefined = number | undefined>
  extends Pick<HoldOptions, 'ttlMs' | 'maxHoldMs' | 'meta'> {
  readonly locks: Pick<Locks<Fence>, 'acquire' | 'segmented'>
  /** Of the segments: whoever deletes or writes the same things uses the same name and number. */
  readonly name: string
  /** How many locks the ids share. Default 64. */
  readonly segments?: number
  /** The ids, in an order that is the same when it is resumed. Read batch by batch. */
  readonly ids?: Iterable<string> | AsyncIterable<string>
  /** Instead of `ids`: answers the page that begins at `at` (nothing for the first). */
  readonly page?: (at: string | undefined) => IdPage | Promise<IdPage>
  /** How many of `ids` are read at a time. Default 1000. */
  readonly batchSize?: number
  /** How many segments are worked on at a time. Default 4. */
  readonly concurrency?: number
  /** How long a segment is waited for, in ms. Default 10,000. */
  readonly waitMs?: number
  /**
   * Deletes ids of one segment under its lock; answers how many of them were there. Give `lease.fence` to the resource,
   * and `lease.signal` to what can be aborted. It must not mind ids that are gone: after a resume some come again.
   */
  remove(ids: readonly string[], lease: Lease<Fence>): number | Promise<number>
  /** Is told after each batch. When it answers a promise, the next batch waits for it. */
  readonly onProgress?: (progress: DeleteProgress) => unknown
  /** Is told of ids that were left: count on nothing about lost ones. */
  readonly onLeft?: (ids: readonly string[], why: 'busy' | 'lost') => void
  /** Where to go on: what `onProgress` or an earlier call has told last. */
  readonly resume?: DeleteProgress
  /** Begins nothing more when it aborts; the answer then is not `finished`. */
  readonly signal?: AbortSignal
}

/**
 * Deletes many things under the locks of their segments, a batch at a time, so that memory stays bounded and two deletions
 * that run at once never work on the same segment.
 *
 * What `remove` throws is passed on when the segments that were begun have ended; what was told last is where to resume.
 *
 * @throws `STORE_UNAVAILABLE` (effect `none`) when a lock could not be asked for.
 * @example
 * const { deleted, finished } = await deleteInSegments({
 *   locks,
 *   name: 'expired-carts',
 *   ids: ['cart-1', 'cart-2', 'cart-3'],
 *   remove: async (ids) => (await pool.query('DELETE FROM carts WHERE id = ANY($1)', [ids])).rowCount ?? 0,
 * })
 */
export async function deleteInSegments<Fence extends number | undefined>(
  deletion: DeletionInSegments<Fence>,
): Promise<DeleteProgress> {
  const { locks, name, segments, concurrency, source, hold } = checked(deletion)
  const { onProgress, onLeft, signal } = deletion
  const segmented = locks.segmented(name, { segments })
  const counts = { ...countsOf(deletion.resume) }
  let position: BatchPosition = deletion.resume?.position ?? null

  const deleteSegment = async (key: string, ids: readonly string[]): Promise<void> => {
    const left = (why: 'busy' | 'lost') => {
      counts[why] += ids.length
      onLeft?.(ids, why)
    }
    let lease: Lease<Fence>
    try {
      lease = await locks.acquire(key, { ...hold, ...(signal ? { signal } : {}) })
    } catch (error) {
      if (isOncewardError(error, 'LOCK_TIMEOUT')) return left('busy')
      throw error
    }
    try {
      const deleted = wholeNumber('the answer of remove', await deletion.remove(ids, lease), 0, ids.length)
      if (lease.remainingMs() === 0) return left('lost')
      counts.deleted += deleted
      counts.gone += ids.length - deleted
    } finally {
      await lease[Symbol.asyncDispose]()
    }
  }

  const progress = (finished: boolean): DeleteProgress => ({ ...counts, position, finished })
  if (deletion.resume?.finished) return progress(true)
  for await (const batch of batchesOf(source, position)) {
    const groups = [...segmented.forIds(batch.ids)]
    const whole = await eachOf(groups, concurrency, signal, ([key, ids]) => deleteSegment(key, ids))
    if (!whole) return progress(false)
    position = batch.next
    await onProgress?.(progress(batch.last))
    if (batch.last) return progress(true)
    if (signal?.aborted) return progress(false)
  }
  return progress(true)
}

/** Works on some at a time. Answers whether all were worked on; throws the first error once those that were begun have ended. */
async function eachOf<T>(
  items: readonly T[],
  concurrency: number,
  signal: AbortSignal | undefined,
  work: (item: T) => Promise<void>,
): Promise<boolean> {
  let at = 0
  let whole = true
  let failed: { readonly error: unknown } | undefined
  const worker = async () => {
    while (at < items.length && !failed && !signal?.aborted) {
      const item = items[at++] as T
      try {
        await work(item)
      } catch (error) {
        if (signal?.aborted && isOncewardError(error, 'ABORTED')) whole = false
        else failed ??= { error }
        return
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker))
  if (failed) throw failed.error
  return whole && at >= items.length
}

const FIELDS = [
  ...[
    'locks',
    'name',
    'segments',
    'ids',
    'page',
    'batchSize',
    'concurrency',
    'waitMs',
    'remove',
    'onProgress',
  ],
  ...['onLeft', 'resume', 'signal', 'ttlMs', 'maxHoldMs', 'meta'],
]

function checked<Fence extends number | undefined>(deletion: DeletionInSegments<Fence>) {
  refuseUnknown('deleteInSegments', deletion, FIELDS)
  const {
    locks,
    name,
    segments = 64,
    ids,
    page,
    batchSize = 1000,
    concurrency = 4,
    waitMs = 10_000,
  } = deletion
  if (typeof deletion.remove !== 'function') {
    throw new TypeError('deleteInSegments needs the function remove, which deletes ids of one segment')
  }
  if ((ids === undefined) === (page === undefined)) {
    throw new TypeError('deleteInSegments needs either ids, an iterable, or page, a function')
  }
  if (typeof ids === 'string') throw new TypeError('ids must be a list of ids, and this is one text: [id]')
  const { ttlMs, maxHoldMs, meta } = deletion
  const source: IdSource =
    ids === undefined
      ? { page: page as NonNullable<typeof page> }
      : { ids, batchSize: wholeNumber('batchSize', batchSize, 1) }
  return {
    locks,
    name,
    segments,
    source,
    concurrency: wholeNumber('concurrency', concurrency, 1, 1000),
    hold: {
      waitMs: atLeast('waitMs', waitMs, 0),
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(maxHoldMs === undefined ? {} : { maxHoldMs }),
      ...(meta === undefined ? {} : { meta }),
    },
  }
}

function countsOf(resume: DeleteProgress | undefined): { -readonly [Field in keyof DeleteCounts]: number } {
  const { deleted = 0, gone = 0, busy = 0, lost = 0 } = resume ?? {}
  for (const [field, count] of Object.entries({ deleted, gone, busy, lost })) {
    wholeNumber(`resume.${field}`, count, 0)
  }
  return { deleted, gone, busy, lost }
}
