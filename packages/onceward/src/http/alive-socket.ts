import type { Socket } from 'node:net'

/**
 * A socket that seems alive: those who watch it to give up when the client goes (`on-finished`, and with it Koa and
 * `send`) would break the work off.
 */
export function aliveSocket(actual: unknown, holding: () => boolean): unknown {
  if (typeof actual !== 'object' || actual === null) return actual
  return new Proxy(actual as Socket, {
    get(socket, name) {
      if (holding()) {
        if (name === 'writable' || name === 'readable') return true
        if (name === 'destroyed') return false
        if (name === 'on' || name === 'once' || name === 'addListener' || name === 'prependListener') {
          return function listen(this: unknown, event: string, listener: () => void) {
            if (event !== 'close' && event !== 'error') socket[name](event, listener)
            return this
          }
        }
      }
      const value: unknown = Reflect.get(socket, name, socket)
      return typeof value === 'function' ? value.bind(socket) : value
    },
    set: (socket, name, value) => Reflect.set(socket, name, value, socket),
  })
}
