import { backOffMs } from '../core/back-off.ts'
import { atLeast } from '../core/known-fields.ts'
import type { ChangeHints } from '../drivers/database/index.ts'
import { publishRuns } from './publish-runs.ts'
import { publisher } from './publisher.ts'
import type { RelayCalls } from './relay-calls.ts'
import { relayLeases } from './relay-leases.ts'
import type { RelaySettings } from './relay-settings.ts'
import type { Relay } from './relay-types.ts'
import { settler } from './settler.ts'

/** How many ready rows a claim looks at for one that it takes, as long as others are free. */
const WINDOW = 10

/** How many where nothing free was found there: all of them. */
const ALL = 2 ** 31 - 1

/** How many times as long as such a look has taken, at least, until the next after one in vain. */
const ALL_PAUSE_FACTOR = 10

/** The least time between a claim that found nothing and the next, in ms. */
const REST_MS = 5

/** The longest pause because nothing could be published or the database could not be asked, in ms. */
const MAX_PAUSE_MS = 5000

/** How many failures in a row, whatever the event, make a relay pause. */
const MANY_FAILURES = 16

/** How many published events are purged at once, and how often at most, in ms. */
const PURGE_LIMIT = 1000
const PURGE_EVERY_MS = 10_000

/** What a relay is made of. */
export interface RelayParts {
  readonly calls: RelayCalls
  readonly settings: RelaySettings
  /** Absent where it only polls. */
  readonly hints: ChangeHints | undefined
  readonly purge: (limit: number) => Promise<number>
  readonly onStopped: () => void
}

/** Makes a relay. */
export function createRelay(parts: RelayParts): Relay {
  const { calls, settings, hints } = parts
  const { timers, random } = settings
  let isStopping = false
  let feeding: Promise<void> | undefined
  let stopped: Promise<void> | undefined
  let listening: { stop(): void } | undefined
  /** Failures in a row, of whatever events. */
  let failures = 0
  let wake = () => {}
  let isWoken = false
  let endRest = () => {}
  const runs = new Set<Promise<void>>()

  const wakeUp = () => {
    isWoken = true
    wake()
  }
  const leases = relayLeases(calls, settings)
  const settling = settler(calls, settings, (settled) => {
    leases.end(settled)
    wakeUp()
  })
  const publishing = publisher(settings)
  const publish = publishRuns({
    settings,
    publisher: publishing,
    settler: settling,
    isStopping: () => isStopping,
    onPublished({ outcome }) {
      if (outcome === 'published') failures = 0
      else if (outcome === 'failed') failures += 1
    },
  })

  /** Waits for a wake-up, or for `ms`; answers whether it was woken. */
  const sleep = (ms: number): Promise<boolean> =>
    new Promise((resolve) => {
      const end = (woken: boolean) => {
        cancel()
        wake = () => {}
        isWoken = false
        resolve(woken)
      }
      const cancel = timers.after(ms, () => end(false))
      wake = () => end(true)
      if (isWoken || isStopping) end(true)
    })
  /** Waits `ms` whatever happens, but for the end; what wakes it meanwhile is heard afterwards. */
  const rest = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const end = () => {
        cancel()
        endRest = () => {}
        resolve()
      }
      const cancel = timers.after(ms, end)
      endRest = end
      if (isStopping) end()
    })

  const claim = async (window: number): Promise<number> => {
    const { taken, sentAt } = await calls.claim({
      owner: random.nonce(),
      limit: settings.batchSize,
      window,
    })
    if (taken.length === 0) return 0
    const held = leases.add(taken, sentAt)
    const run = publish
      .run(held)
      .catch((error: unknown) => settings.emit({ type: 'error', ids: [], error }))
      .finally(() => {
        runs.delete(run)
        leases.end(held)
        wakeUp()
      })
    runs.add(run)
    return taken.length
  }

  const feed = async () => {
    // Rows of busy lanes are passed over quickly; what is behind very many of them is looked for where nothing else is found.
    const few = settings.batchSize * WINDOW
    let window = few
    let errors = 0
    let purgeAt = 0
    let allDueAt = Number.NEGATIVE_INFINITY
    while (!isStopping) {
      // While one batch is at work another may be taken; a slow event holds up no more than that.
      if (leases.size > settings.batchSize) {
        await sleep(settings.pollMs)
        continue
      }
      if (failures >= MANY_FAILURES) {
        // Nothing can be published, it seems: attempts are not to be used up for it.
        const maxMs = Math.min(MAX_PAUSE_MS, settings.maxBackOffMs)
        const pauses = Math.floor(failures / MANY_FAILURES) - 1
        await rest(backOffMs({ initialMs: settings.backOffMs, maxMs }, pauses))
        if (isStopping) return
      }
      try {
        if (settings.retentionMs > 0 && settings.clock.monotonic() >= purgeAt) {
          const purged = await parts.purge(PURGE_LIMIT)
          purgeAt = purged < PURGE_LIMIT ? settings.clock.monotonic() + PURGE_EVERY_MS : 0
        }
        const askedAt = settings.clock.monotonic()
        const found = await claim(window)
        errors = 0
        const now = settings.clock.monotonic()
        if (window === ALL) allDueAt = now + Math.max(settings.pollMs, (now - askedAt) * ALL_PAUSE_FACTOR)
        if (found > 0) continue
        // All of a long backlog takes long, and keeps other relays waiting: now and then, unless it is fruitful.
        if (window !== ALL && now >= allDueAt && (await calls.peek())) {
          window = ALL
          continue
        }
        window = few
        await rest(REST_MS)
        if (!(await sleep(settings.pollMs))) await idle()
      } catch (error) {
        settings.emit({ type: 'error', ids: [], error })
        errors += 1
        await rest(backOffMs({ initialMs: settings.pollMs, maxMs: MAX_PAUSE_MS }, errors - 1))
      }
    }
  }
  /** Polls without locks until there may be something, or somebody says so. */
  const idle = async () => {
    while (!isStopping && !(await calls.peek())) if (await sleep(settings.pollMs)) return
  }

  const stop = async (graceMs: number) => {
    isStopping = true
    wakeUp()
    endRest()
    listening?.stop()
    await feeding
    const ended = Promise.all(runs)
    const cancelGrace = timers.after(graceMs, () => {
      publishing.abort(new Error('the relay was stopped'))
      settling.stop()
    })
    await ended
    cancelGrace()
    leases.stop()
    parts.onStopped()
  }

  return {
    start() {
      if (isStopping) throw new TypeError('the relay was stopped; make a new one')
      if (feeding !== undefined) return
      listening = hints?.listen(wakeUp)
      feeding = feed()
    },
    async stop(options = {}) {
      const graceMs = atLeast('graceMs', options.graceMs ?? 10_000, 0)
      stopped ??= stop(graceMs)
      await stopped
    },
  }
}
