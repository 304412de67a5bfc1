import { wholeNumber, written } from '../core/known-fields.ts'

/** Some ids, and where the next ones begin; without `next`, they are the last. */
export interface IdPage {
  readonly ids: readonly string[]
  readonly next?: string
}

/** Where ids come from. */
export type IdSource =
  | { readonly ids: Iterable<string> | AsyncIterable<string>; readonly batchSize: number }
  | { readonly page: (at: string | undefined) => IdPage | Promise<IdPage> }

/** How many ids were read, or where a page begins; `null` at the start. */
export type BatchPosition = number | string | null

/** Ids that are dealt with together. */
export interface IdBatch {
  readonly ids: readonly string[]
  /** Where the following batch begins. */
  readonly next: BatchPosition
  /** Whether it is known that none follows. */
  readonly last: boolean
}

/** Reads ids from a position on. @throws `TypeError` for a position that belongs to the other kind of source. */
export async function* batchesOf(source: IdSource, from: BatchPosition): AsyncGenerator<IdBatch, void> {
  if ('page' in source) yield* pages(source.page, from)
  else yield* slices(source.ids, source.batchSize, from)
}

async function* pages(
  page: (at: string | undefined) => IdPage | Promise<IdPage>,
  from: BatchPosition,
): AsyncGenerator<IdBatch, void> {
  if (typeof from === 'number')
    throw new TypeError('resume.position is of ids, and this deletion reads pages')
  for (let at = from ?? undefined; ; ) {
    const { ids, next } = await page(at)
    if (next !== undefined && (typeof next !== 'string' || next === at)) {
      throw new TypeError(`page must answer where the next one begins, not ${written(next)} again`)
    }
    yield { ids: ids.map(checkedId), next: next ?? at ?? null, last: next === undefined }
    if (next === undefined) return
    at = next
  }
}

async function* slices(
  ids: Iterable<string> | AsyncIterable<string>,
  batchSize: number,
  from: BatchPosition,
): AsyncGenerator<IdBatch, void> {
  if (typeof from === 'string')
    throw new TypeError('resume.position is of pages, and this deletion reads ids')
  const skip = wholeNumber('resume.position', from ?? 0, 0)
  let read = 0
  let batch: string[] = []
  for await (const id of ids) {
    if (read++ < skip) continue
    batch.push(checkedId(id))
    if (batch.length < batchSize) continue
    yield { ids: batch, next: read, last: false }
    batch = []
  }
  if (batch.length > 0) yield { ids: batch, next: read, last: true }
}

function checkedId(id: string): string {
  if (typeof id === 'string') return id
  throw new TypeError(`an id must be a text, not ${written(id)}`)
}
