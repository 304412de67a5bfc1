/** Lets data properties of `target` read differently for a while; what is written to them meanwhile is kept. */
export function shadow<N extends string>(
  target: object,
  views: Readonly<Record<N, (actual: unknown) => unknown>>,
): { remove(): void } {
  const record = target as Record<string, unknown>
  const actual = new Map<string, unknown>()
  for (const [name, view] of Object.entries<(actual: unknown) => unknown>(views)) {
    if (!Object.hasOwn(record, name)) continue
    actual.set(name, record[name])
    Object.defineProperty(record, name, {
      configurable: true,
      enumerable: true,
      get: () => view(actual.get(name)),
      set: (value) => actual.set(name, value),
    })
  }
  return {
    remove() {
      for (const [name, value] of actual) {
        Object.defineProperty(record, name, { configurable: true, enumerable: true, writable: true, value })
      }
    },
  }
}
