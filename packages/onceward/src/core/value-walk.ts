/** How deep a value may be nested: a list in a list in a list… */
export const MAX_DEPTH = 1000

/** How many parts one value may have in all, so that shared references cannot multiply into a walk without end. */
export const MAX_PARTS = 4_000_000

/** How many holes a list may have. */
export const MAX_HOLES = 100_000

/** Where a walk through a value stands, so that a refusal can name the place. */
export class Walk {
  /** What the value is called in messages. */
  readonly root: string
  /** The steps from the root to here. */
  readonly path: (string | number)[] = []
  readonly #open: object[] = []
  #parts = 0

  constructor(root: string) {
    this.root = root
  }

  /** Counts a part. */
  count(): void {
    this.#parts += 1
    if (this.#parts > MAX_PARTS) throw new TypeError(`${this.root} has more than ${MAX_PARTS} parts`)
  }

  /** Goes into a container. */
  open(container: object): void {
    if (this.path.length >= MAX_DEPTH) throw this.#tooDeep()
    this.#open.push(container)
  }

  /** Comes out of the container that was opened last. */
  close(): void {
    this.#open.pop()
  }

  /** The error for the part where the walk stands; `why` continues the sentence that its path begins. */
  refuse(why: string, cause?: unknown): TypeError {
    const options = cause === undefined ? {} : { cause }
    return new TypeError(`${formatPath(this.root, this.path)} ${why}`, options)
  }

  #tooDeep(): TypeError {
    // A cycle shows as a container that lies within itself; looking for it only here keeps the walk cheap.
    const seen = new Set<object>()
    for (const [depth, container] of this.#open.entries()) {
      if (seen.has(container)) {
        return new TypeError(`${formatPath(this.root, this.path.slice(0, depth))} refers back to itself`)
      }
      seen.add(container)
    }
    return new TypeError(`${this.root} is nested deeper than ${MAX_DEPTH} levels`)
  }
}

/** Writes a path as one would in code: `key[1].items["unit price"]`. Long ones are cut. */
export function formatPath(root: string, path: readonly (string | number)[]): string {
  let text = root
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[A-Za-z_$][\w$]{0,60}$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${JSON.stringify(part.length > 60 ? `${part.slice(0, 60)}…` : part)}]`
    if (text.length > 300) return `${text}…`
  }
  return text
}
