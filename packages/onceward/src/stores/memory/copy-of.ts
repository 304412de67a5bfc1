/**
 * Copies plain data: objects, lists and bytes. What a caller does to its copy changes nobody else's.
 * Bytes are copied as the part a view shows, never the larger buffer behind it.
 */
export function copyOf<T>(data: T): T {
  return copy(data) as T
}

function copy(data: unknown): unknown {
  if (data instanceof Uint8Array) return Uint8Array.from(data)
  if (Array.isArray(data)) return data.map(copy)
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(Object.entries(data).map(([name, field]) => [name, copy(field)]))
}
