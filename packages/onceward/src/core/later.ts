/** A value that comes at most once. A promise of it is made only where somebody waits: most of the time nobody does. */
export class Later<T> {
  #came: { readonly value: T } | undefined
  #promise: Promise<T> | undefined
  #resolve: ((value: T) => void) | undefined

  /** It has come. Only the first time counts. */
  settle(value: T): void {
    if (this.#came) return
    this.#came = { value }
    this.#resolve?.(value)
  }

  /** Resolves to it, at once where it has come. */
  wait(): Promise<T> {
    this.#promise ??= new Promise((resolve) => {
      if (this.#came) resolve(this.#came.value)
      else this.#resolve = resolve
    })
    return this.#promise
  }
}
