/** How deep a value may be nested: a list in a list in a list… */
export const MAX_DEPTH = 1000

/** How many parts one value may have in all, so that shared references cannot multiply into a walk without end. */
export const MAX_PARTS = 4_000_000

/** How many holes a list may have. */
export const MAX_HOLES = 100_000

/** What a path is made of: names of fields and indexes. */
export type Label = string | number

/** A value with parts of its own, and how the results of its parts make its result. */
export class Branch<Result> {
  readonly container: object
  readonly parts: readonly unknown[]
  /** What the parts are called; their indexes where it is absent. */
  readonly labels: readonly Label[] | undefined
  readonly join: (results: Result[]) => Result
  readonly results: Result[] = []

  constructor(
    container: object,
    parts: readonly unknown[],
    labels: readonly Label[] | undefined,
    join: (results: Result[]) => Result,
  ) {
    this.container = container
    this.parts = parts
    this.labels = labels
    this.join = join
  }
}

/** Where a fold stands, so that a refusal can name the place. */
export interface Place {
  /** How many containers lie around the part that is looked at. */
  depth(): number
  /** The error for that part, or its `child`; `why` continues the sentence that its path begins. */
  refuse(why: string, child?: Label, cause?: unknown): TypeError
}

/**
 * Takes a value apart and puts a result together, from the leaves up. It keeps its own stack, so that how deep a value
 * is nested makes no difference to the stack of the program.
 *
 * @param expand - Answers the result of a leaf, or the {@link Branch} of a value with parts.
 * @throws `TypeError` for more than 1,000 levels, for a cycle, for more than 4,000,000 parts.
 */
export function fold<Result>(
  root: string,
  value: unknown,
  expand: (value: unknown, place: Place) => Result | Branch<Result>,
): Result {
  const open: Branch<Result>[] = []
  const pathTo = (depth: number): Label[] =>
    open.slice(0, depth).map(({ labels, results }) => labels?.[results.length] ?? results.length)
  const place: Place = {
    depth: () => open.length,
    refuse(why, child, cause) {
      const path = pathTo(open.length)
      if (child !== undefined) path.push(child)
      return new TypeError(`${formatPath(root, path)} ${why}`, cause === undefined ? {} : { cause })
    },
  }
  const tooDeep = (): TypeError => {
    // A cycle shows as a container that lies within itself.
    const containers = open.map(({ container }) => container)
    const depth = containers.findIndex((container, at) => containers.indexOf(container) < at)
    return depth === -1
      ? new TypeError(`${root} is nested deeper than ${MAX_DEPTH} levels`)
      : new TypeError(`${formatPath(root, pathTo(depth))} refers back to itself`)
  }
  let partsLeft = MAX_PARTS
  let current = value
  for (;;) {
    const expanded = expand(current, place)
    let result: Result
    if (expanded instanceof Branch) {
      partsLeft -= expanded.parts.length + 1
      if (partsLeft < 0) throw new TypeError(`${root} has more than ${MAX_PARTS} parts`)
      if (open.length >= MAX_DEPTH) throw tooDeep()
      if (expanded.parts.length > 0) {
        open.push(expanded)
        current = expanded.parts[0]
        continue
      }
      result = expanded.join([])
    } else {
      result = expanded
    }
    for (;;) {
      const top = open.at(-1)
      if (top === undefined) return result
      const { parts, results } = top
      results.push(result)
      if (results.length < parts.length) {
        current = parts[results.length]
        break
      }
      open.pop()
      result = top.join(results)
    }
  }
}

/** The names of the fields of an object. A symbol as a name is refused. */
export function namesOf(value: object, place: Place): string[] {
  if (Object.getOwnPropertySymbols(value).length > 0) throw place.refuse('has a symbol as a field name')
  return Object.keys(value)
}

/** The indexes that a list has, as text; fewer than its length where it has holes. A field with a name is refused. */
export function indexesOf(items: readonly unknown[], place: Place): string[] {
  const names = namesOf(items, place)
  // Indexes come first, in order: the last name tells of all.
  const last = names.at(-1)
  if (last !== undefined && (`${Number(last) >>> 0}` !== last || Number(last) >= items.length)) {
    throw place.refuse(`is a list with the field ${JSON.stringify(last)}`)
  }
  return names
}

/** Reads fields; a getter that throws is a refusal. */
export function readFields(value: object, names: readonly string[], place: Place): unknown[] {
  const fields = value as Record<string, unknown>
  return names.map((name) => {
    try {
      return fields[name]
    } catch (cause) {
      throw place.refuse('cannot be read', name, cause)
    }
  })
}

/** Writes a path as one would in code: `key[1].items["unit price"]`. Long ones are cut. */
export function formatPath(root: string, path: readonly Label[]): string {
  let text = root
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[A-Za-z_$][\w$]{0,60}$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${JSON.stringify(part.length > 60 ? `${part.slice(0, 60)}…` : part)}]`
    if (text.length > 300) return `${text}…`
  }
  return text
}
