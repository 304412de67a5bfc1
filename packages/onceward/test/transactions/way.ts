/** One way to run a transaction: a package as its users use it, over a table `orders (id, cart)`. */
export interface Way {
  readonly name: string
  /** Connects; plugins and parsers that change what users see are switched on. */
  open(url: string): Promise<OpenWay>
}

/** A package that is connected. `Tx` is what it calls a transaction. */
export interface OpenWay<Tx = unknown> {
  /** Runs `work` in a transaction of the package. */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Writes an order inside the transaction, by the package's own means. */
  insert(tx: Tx, cart: string): Promise<unknown>
  /** What is no transaction, and the mend that its refusal names. */
  readonly roots: readonly { readonly what: string; readonly handle: unknown; readonly mend: RegExp }[]
  /** A statement that failed on `tx` ends the transaction of this package, savepoint or not. */
  readonly failsForGood?: true
  close(): Promise<void>
}

/** Forgets what the package calls a transaction: only the package itself looks into one. */
export function way<Tx>(name: string, open: (url: string) => Promise<OpenWay<Tx>>): Way {
  return { name, open: open as unknown as Way['open'] }
}
