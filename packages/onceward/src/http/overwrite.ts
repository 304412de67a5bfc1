/**
 * Writes over data properties of `target` for a while; names that it does not have as its own are left alone. What somebody
 * else has written there meanwhile stays.
 *
 * An accessor would do as well, but it makes an object slow for everybody who touches it afterwards.
 */
export function overwrite(target: object, values: Readonly<Record<string, unknown>>): { remove(): void } {
  const record = target as Record<string, unknown>
  const before: Record<string, unknown> = {}
  for (const name of Object.keys(values)) {
    if (!Object.hasOwn(record, name)) continue
    before[name] = record[name]
    record[name] = values[name]
  }
  return {
    remove() {
      for (const name of Object.keys(before)) {
        if (record[name] === values[name]) record[name] = before[name]
      }
    },
  }
}
