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
          ? { ...CHANGEABLE, writable: true, value: value.bind(base) }
          : { ...CHANGEABLE, get: () => Reflect.get(base, name) },
      )
    }
  }
  return layer as Base & Over
}

/** As if it had been assigned: whoever wraps the store in turn may answer something else. */
const CHANGEABLE = { enumerable: true, configurable: true } as const
