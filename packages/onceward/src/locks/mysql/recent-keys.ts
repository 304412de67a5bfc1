/** The most keys that are remembered. */
const MAX_KEYS = 10_000

/** The keys that this process has used lately. A guess that is wrong costs one more statement, and nothing else. */
export interface RecentKeys {
  has(key: string): boolean
  add(key: string): void
  delete(key: string): void
}

/** Makes an empty memory of keys. The ones that were used longest ago are forgotten first. */
export function recentKeys(): RecentKeys {
  const keys = new Set<string>()
  return {
    has: (key) => keys.has(key),
    add(key) {
      keys.delete(key)
      keys.add(key)
      if (keys.size <= MAX_KEYS) return
      for (const oldest of keys) {
        keys.delete(oldest)
        return
      }
    },
    delete: (key) => void keys.delete(key),
  }
}
