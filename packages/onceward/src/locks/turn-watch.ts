import type { Timers } from '../core/clock.ts'
import type { PlaceGrant } from './lock-backend.ts'
import type { Turn } from './lock-transitions.ts'

/** One who is to be told, by a name: whose turn it may be, or whose place has become the grant. */
export interface NamedTurn {
  readonly name: string
  readonly granted?: PlaceGrant
}

type Wake = (granted?: PlaceGrant) => void

/** Turns whose names are the tokens. */
export function named(turns: readonly Turn[]): readonly NamedTurn[] {
  return turns.map(({ token, granted }) => ({ name: token, ...(granted ? { granted } : {}) }))
}

/** What looking for turns needs. */
export interface TurnWatching {
  readonly timers: Timers
  isClosed(): boolean
  /** How long to wait before the next look, in ms, after so many since somebody came. */
  pauseMs(looks: number): number
  /** Who is to be told, of all who wait for these keys. */
  turnsOf(keys: readonly string[]): readonly NamedTurn[] | Promise<readonly NamedTurn[]>
  /** Somebody waits now. */
  onNeeded?(): void
  /** Nobody waits any more. */
  onUnneeded?(): void
}

/** Those of this process who wait for their turn. */
export interface TurnWatch {
  /** Calls `wake` whenever there is something to tell `name`, until the returned function is called. */
  watch(waiter: { readonly key: string; readonly name: string }, wake: Wake): () => void
  /** Wakes these; answers those who do not wait here. */
  wake<T extends NamedTurn>(turns: readonly T[]): readonly T[]
  close(): void
}

/** One who waits. */
interface Waiter {
  readonly key: string
  readonly wake: Wake
}

/**
 * Wakes those whose turn has come: at once for what is told by `wake`, and by looking. One look is for all who wait in this
 * process. Looking alone is always right; being told is only faster.
 */
export function turnWatch(watching: TurnWatching): TurnWatch {
  const { timers } = watching
  const waiters = new Map<string, Set<Waiter>>()
  let stop: (() => void) | undefined
  let looking = false
  let looks = 0
  /** Whom the last look has woken. */
  let woken = ''

  const wake = <T extends NamedTurn>(turns: readonly T[]): readonly T[] =>
    turns.filter(({ name, granted }) => {
      const found = waiters.get(name)
      for (const waiter of found ?? []) waiter.wake(granted)
      return found === undefined
    })
  const look = async () => {
    stop = undefined
    looking = true
    try {
      const keys = new Set([...waiters.values()].flatMap((some) => [...some].map(({ key }) => key)))
      const turns = await watching.turnsOf([...keys])
      const elsewhere = new Set(wake(turns))
      const here = turns.flatMap((turn) => (elsewhere.has(turn) ? [] : [turn.name])).join(' ')
      // Where a lock changes hands it may soon do so again.
      if (here !== '' && here !== woken) looks = 0
      woken = here
    } catch {
      // Who waits asks again by himself, and hears then what is wrong.
    }
    looking = false
    looks++
    schedule()
  }
  const schedule = () => {
    stop?.()
    stop = undefined
    if (looking || waiters.size === 0 || watching.isClosed()) return
    stop = timers.after(watching.pauseMs(looks), () => void look())
  }

  return {
    watch({ key, name }, call) {
      if (watching.isClosed()) return () => {}
      const waiter: Waiter = { key, wake: call }
      const others = waiters.get(name) ?? new Set()
      if (waiters.size === 0) watching.onNeeded?.()
      waiters.set(name, others.add(waiter))
      looks = 0
      schedule()
      return () => {
        if (!others.delete(waiter) || others.size > 0 || waiters.get(name) !== others) return
        waiters.delete(name)
        if (waiters.size > 0) return
        stop?.()
        stop = undefined
        watching.onUnneeded?.()
      }
    },
    wake,
    close() {
      stop?.()
      stop = undefined
      waiters.clear()
    },
  }
}
