/** Answers everything `base` has, with its methods bound to it, except for what `over` has instead. */
export function layered<Base extends object, Over extends object>(base: Base, over: Over): Base & Over {
  const layer = { ...over }
  for (
    let level: object | null = base;
    level && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const name of Object.getOwnPropertyNames(level)) {
      if (name === 'constructor' || Object.hasOwn(layer, name)) continue
      const value: unknown = Reflect.get(base, name)
      Object.defineProperty(
        layer,
        name,
        typeof value === 'function'
          ? { enumerable: true, value: value.bind(base) }
          : { enumerable: true, get: () => Reflect.get(base, name) },
      )
    }
  }
  return layer as Base & Over
}
