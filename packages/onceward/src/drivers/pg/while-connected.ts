/**
 * The `sql` of a transaction of the package `postgres`, which refuses to send anything once the connection is lost.
 *
 * What that package (3.4) sends on a connection that has gone under a transaction ends the process: a write to no socket,
 * in a callback of its own.
 *
 * @param lost - Why the connection is lost; `undefined` while it is not.
 * @param prepares - Whether `unsafe` may prepare what it is given.
 */
export function whileConnected<Tx extends object>(tx: Tx, lost: () => unknown, prepares: () => boolean): Tx {
  const check = () => {
    const reason = lost()
    if (reason !== undefined) throw reason
  }
  const inner = (argument: unknown) =>
    typeof argument === 'function'
      ? (sql: object) => (argument as (sql: object) => unknown)(whileConnected(sql, lost, prepares))
      : argument
  return new Proxy(tx, {
    apply(target, self, args) {
      check()
      return Reflect.apply(target as (...args: unknown[]) => unknown, self, args)
    },
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return new Proxy(value as (...args: unknown[]) => unknown, {
        apply(method, _self, args) {
          check()
          if (name === 'savepoint') return Reflect.apply(method, target, args.map(inner))
          const [text, values, options] = args
          const plainly = name === 'unsafe' && options !== undefined && !prepares()
          return Reflect.apply(
            method,
            target,
            plainly ? [text, values, { ...options, prepare: false }] : args,
          )
        },
      })
    },
  })
}
