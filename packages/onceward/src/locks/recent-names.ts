/** The most names that are remembered. */
const MAX_NAMES = 10_000

/** What this process has met lately. A guess that is wrong costs one more statement, and nothing else. */
export interface RecentNames {
  has(name: string): boolean
  add(name: string): void
  delete(name: string): void
}

/** Makes an empty memory of names. Those that were met longest ago are forgotten first. */
export function recentNames(): RecentNames {
  const names = new Set<string>()
  return {
    has: (name) => names.has(name),
    add(name) {
      names.delete(name)
      names.add(name)
      if (names.size <= MAX_NAMES) return
      for (const oldest of names) {
        names.delete(oldest)
        return
      }
    },
    delete: (name) => void names.delete(name),
  }
}
