import { OncewardError } from '../core/errors.ts'
import type { Lease } from './relay-leases.ts'
import type { RelaySettings } from './relay-settings.ts'
import type { RelayedEvent } from './relay-types.ts'

/** How a call of `publish` has ended; `lost` when nobody cares any more, because another relay may have the event. */
export type Published =
  | { readonly outcome: 'published' }
  | { readonly outcome: 'failed'; readonly error: unknown }
  | { readonly outcome: 'lost' }

/** Calls `publish`, so many at a time. */
export interface Publisher {
  /** Waits for its turn, and publishes unless `goesOn` says no then; absent when it did not. */
  publish(leases: readonly Lease[], goesOn: () => boolean): Promise<Published | undefined>
  /** Aborts what runs: it has failed with `error`. */
  abort(error: unknown): void
}

/** Makes it. */
export function publisher(settings: RelaySettings): Publisher {
  const running = new Set<(error: unknown) => void>()
  const waiting: (() => void)[] = []
  let free = settings.concurrency

  const turn = () =>
    new Promise<void>((resolve) => {
      if (free === 0) return void waiting.push(resolve)
      free -= 1
      resolve()
    })
  const leave = () => {
    const next = waiting.shift()
    if (next) next()
    else free += 1
  }

  const call = (leases: readonly Lease[]): Promise<Published> =>
    new Promise((resolve) => {
      const controller = new AbortController()
      const end = (published: Published, reason?: unknown) => {
        cancelTimer()
        running.delete(fail)
        for (const lease of leases) lease.onLost = undefined
        resolve(published)
        if (reason !== undefined) controller.abort(reason)
      }
      const fail = (error: unknown) => end({ outcome: 'failed', error }, error)
      const cancelTimer = settings.timers.after(settings.publishTimeoutMs, () =>
        fail(
          new OncewardError(
            'ABORTED',
            `publish did not end within ${settings.publishTimeoutMs} ms (publishTimeoutMs)`,
            { effect: 'unknown' },
          ),
        ),
      )
      running.add(fail)
      for (const lease of leases) lease.onLost = (error) => end({ outcome: 'lost' }, error)
      const work = async () => settings.publish(leases.map(relayed), { signal: controller.signal })
      work().then(
        () => end({ outcome: 'published' }),
        (error: unknown) => end({ outcome: 'failed', error }),
      )
    })

  return {
    async publish(leases, goesOn) {
      await turn()
      try {
        return goesOn() ? await call(leases) : undefined
      } finally {
        leave()
      }
    },
    abort(error) {
      for (const fail of [...running]) fail(error)
    },
  }
}

function relayed({ event, holding }: Lease): RelayedEvent {
  const { id, topic, key, payload, headers, createdAt } = event as NonNullable<typeof event>
  return {
    id,
    topic,
    ...(key === undefined ? {} : { key }),
    payload,
    headers,
    attempt: holding.attempt,
    createdAt,
  }
}
