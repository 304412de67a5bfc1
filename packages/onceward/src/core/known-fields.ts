/** Refuses fields that mean nothing. @throws `TypeError` that names the field and those that are known. */
export function refuseUnknown(where: string, given: object, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`${where} must be an object with fields, not ${kindOf(given)}`)
  }
  for (const field in given) {
    if (!known.includes(field))
      throw new TypeError(`${where} has an unknown field "${field}"; known are ${known.join(', ')}`)
  }
}

/** Checks a number. @throws `TypeError` that names the option and shows what was given. */
export function atLeast(name: string, value: number, least: number): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least) return value
  throw new TypeError(`${name} must be a number of at least ${least}, not ${written(value)}`)
}

/** Checks a count. @throws `TypeError` that names the option and shows what was given. */
export function wholeNumber(name: string, value: number, least: number, most: number = Infinity): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  const range = most === Infinity ? `${least}` : `${least} to ${most}`
  throw new TypeError(`${name} must be a whole number from ${range}, not ${written(value)}`)
}

/** Checks that work can be run, before anything is claimed for it. @throws `TypeError` that shows what was given. */
export function checkWork(where: string, work: unknown): void {
  if (typeof work === 'function') return
  throw new TypeError(`${where} needs a function that does the work, not ${written(work)}`)
}

/** Writes a value for a message so that its type shows: `'5'` is not `5`. */
export function written(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'function' ? 'a function' : String(value)
}

/** The same where a text may be a secret, such as a URL with a password or a key: of a text it tells only that it is one. */
export function kindOf(value: unknown): string {
  return typeof value === 'string' ? 'a text' : written(value)
}
