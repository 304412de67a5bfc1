import type { Timers } from '../../core/clock.ts'
import type { RedisLink, SubscriberLink } from './redis-link.ts'

/** What one listener is told. */
export interface ChannelListener {
  /** Something was published: this, as UTF-8 text. */
  message(payload: string): void
  /** From now on nothing is missed; what came before may have been. Told again after each reconnect. */
  up(): void
}

/** Listens to channels over one connection of its own. */
export interface RedisSubscriber {
  /** Listens until the returned function is called. */
  subscribe(channel: string, listener: ChannelListener): () => void
  /** Whether all channels are confirmed, and a loss of the connection would be told. */
  isUp(): boolean
  /** Ends the connection; nobody is told anything any more. */
  close(): void
}

/** How long the connection is kept after the last listener, and the pause before a refused subscription is repeated. */
const LINGER_MS = 5000
const RETRY_MS = 1000

interface Channel {
  readonly listeners: Set<ChannelListener>
  confirmed: boolean
}

/** Makes a subscriber. The connection is opened for the first listener, and closed some seconds after the last. */
export function redisSubscriber(link: RedisLink, timers: Timers): RedisSubscriber {
  const channels = new Map<string, Channel>()
  /** Nobody listens to these any more, and the connection may not have been told: a client subscribes to them again. */
  const stale = new Set<string>()
  let connection: SubscriberLink | undefined
  let ready = false
  let cancelClose = () => {}
  let cancelRetry = () => {}
  let closed = false

  const end = () => {
    cancelClose()
    cancelRetry()
    connection?.close()
    connection = undefined
    ready = false
    stale.clear()
  }
  const leaveStale = () => {
    const names = [...stale].filter((name) => !channels.has(name))
    stale.clear()
    if (names.length === 0) return
    connection?.unsubscribe(names).catch(() => {
      for (const name of names) stale.add(name)
    })
  }
  const confirm = async (names: readonly string[]) => {
    const own = connection
    if (own === undefined || !ready || names.length === 0) return
    try {
      await own.subscribe(names)
    } catch {
      // The poll of those who wait goes on meanwhile.
      cancelRetry()
      cancelRetry = timers.after(RETRY_MS, () => void confirm(unconfirmed()), { background: true })
      return
    }
    if (own !== connection) return
    for (const name of names) {
      const channel = channels.get(name)
      if (channel === undefined) continue
      channel.confirmed = true
      for (const listener of [...channel.listeners]) listener.up()
    }
  }
  const unconfirmed = () => [...channels].filter(([, one]) => !one.confirmed).map(([name]) => name)
  const down = () => {
    ready = false
    for (const channel of channels.values()) channel.confirmed = false
  }
  const open = () =>
    link.openSubscriber({
      message(name, payload) {
        for (const listener of [...(channels.get(name)?.listeners ?? [])]) listener.message(payload)
      },
      ready() {
        down()
        ready = true
        leaveStale()
        void confirm(unconfirmed())
      },
      down,
    })

  return {
    subscribe(name, listener) {
      if (closed) return () => {}
      cancelClose()
      connection ??= open()
      const known = channels.get(name)
      if (known) {
        known.listeners.add(listener)
        if (known.confirmed) listener.up()
      } else {
        channels.set(name, { listeners: new Set([listener]), confirmed: false })
        void confirm([name])
      }
      return () => {
        const channel = channels.get(name)
        if (!channel?.listeners.delete(listener) || channel.listeners.size > 0) return
        channels.delete(name)
        stale.add(name)
        if (ready) leaveStale()
        if (channels.size > 0) return
        cancelClose()
        cancelClose = timers.after(LINGER_MS, end, { background: true })
      }
    },
    isUp: () => ready && connection?.tellsDown === true,
    close() {
      closed = true
      channels.clear()
      end()
    },
  }
}
