import { OncewardError } from '../core/errors.ts'
import { createAbortWatch } from '../core/patience.ts'
import { Alarms } from './alarms.ts'
import { BackendCalls } from './backend-calls.ts'
import { Holdings } from './holdings.ts'
import type { LockEngine } from './lock-options.ts'
import { Sweeper } from './sweeper.ts'
import { Watchdog } from './watchdog.ts'

/** For how long `close` waits for releases and calls that are under way, in ms. */
const CLOSE_MS = 2_000

/** Everything behind the methods of one instance. */
export interface LockInstance {
  readonly engine: LockEngine
  readonly calls: BackendCalls
  readonly sweeper: Sweeper
  readonly watchdog: Watchdog
  readonly holdings: Holdings
  /** @throws `CLOSED`. */
  assertOpen(): void
  close(): Promise<void>
}

/** Puts an instance together. */
export function lockInstance(engine: LockEngine): LockInstance {
  const { backend, clock } = engine
  const waits = new Alarms(engine, false)
  const beats = new Alarms(engine, true)
  const calls = new BackendCalls(clock, waits, backend)
  const quietCalls = new BackendCalls(clock, beats, backend)
  const sweeper = new Sweeper(engine, quietCalls, beats, waits)
  const watchdog = new Watchdog(engine, quietCalls, beats, {
    lost: (grant) => holdings.lost(grant),
    stray: ({ held, ttlMs }) => void sweeper.sweep(held, ttlMs),
  })
  const parts = {
    engine,
    calls,
    waits,
    sweeper,
    aborts: createAbortWatch(),
    strayToken({ key, token }: { readonly key: string; readonly token: string }) {
      for (const { held } of watchdog.grants) if (held.token === token) return
      void sweeper.sweep({ key, token }, 0)
    },
  }
  const holdings = new Holdings(parts, watchdog)
  let closing: Promise<void> | undefined

  const close = async () => {
    const error = closedError()
    holdings.close(error)
    for (const grant of watchdog.grants) {
      watchdog.lose(grant, 'was released because its locks were closed')
      void sweeper.sweep(grant.held, CLOSE_MS)
    }
    await sweeper.briefly(
      calls.idle().then(() => sweeper.idle()),
      CLOSE_MS,
    )
    sweeper.stop()
    calls.stop(error)
    quietCalls.stop(error)
    waits.stop()
    beats.stop()
    await backend.close()
  }
  return {
    engine,
    calls,
    sweeper,
    watchdog,
    holdings,
    assertOpen() {
      if (closing !== undefined) throw closedError()
    },
    close() {
      closing ??= close()
      return closing
    },
  }
}

function closedError(): OncewardError {
  return new OncewardError('CLOSED', 'these locks were closed; make new ones with createLocks')
}
