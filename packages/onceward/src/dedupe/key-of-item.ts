import { deriveKey, type Key } from '../core/derive-key.ts'
import { type FileSource, fileKey } from '../core/file-key.ts'
import type { Item } from './dedupe-types.ts'

/**
 * The key of an item: at once, unless its content has to be read first.
 *
 * @throws `TypeError` for what no key can be derived from.
 */
export function keyOfItem(item: Item): string | Promise<string> {
  if (isContent(item)) return fileKey(item)
  if (typeof item === 'number' || typeof item === 'bigint') return deriveKey([item])
  return deriveKey(item as Key)
}

/** Says which item of a call an error of its key is about; what was not thrown here stays as it is. */
export function aboutItem(index: number, error: unknown): unknown {
  if (!(error instanceof TypeError)) return error
  return new TypeError(`items[${index}]: ${error.message}`, { cause: error })
}

function isContent(item: unknown): item is FileSource {
  if (typeof item !== 'object' || item === null) return false
  if (item instanceof Uint8Array || item instanceof Blob) return true
  return Symbol.asyncIterator in item || typeof (item as { getReader?: unknown }).getReader === 'function'
}
