import type { Atomically } from '../../core/transition-port.ts'
import { isLockTimeout, ownTransaction } from '../../drivers/pg/index.ts'
import { type Decided, decideLocked, type Undecided } from './decide-locked.ts'
import { sendBatches } from './send-batches.ts'
import type { StoreContext } from './store-context.ts'

/** How long a batch waits for a record that somebody's transaction has locked, in ms, before the others go without it. */
export const BATCH_LOCK_MS = 50

/**
 * How long a claim that is alone waits for such a record, in ms, before it is answered that somebody runs it. Much longer
 * than batches of other stores keep a record locked, so that a duplicate is counted. A key that is only being created by
 * somebody's transaction does not get here: the fast way answers it.
 */
const CLAIM_LOCK_MS = 2000

/** A transition, and what to answer while somebody's transaction keeps the record locked. */
interface Ask extends Undecided {
  readonly whenLocked?: unknown
}

/** Transitions of many callers in few transactions. */
export interface LockedCalls {
  /** @param whenLocked - The answer while somebody's transaction keeps the record locked. Absent: it is waited for. */
  readonly submit: <Reply>(
    digest: string,
    step: Parameters<Atomically>[1],
    whenLocked?: Reply,
  ) => Promise<Reply>
  idle(): Promise<void>
}

/** Makes the slow way, which all transitions may take: row locks, the rules of core, one commit for the batch. */
export function lockedCalls(context: StoreContext, onEnded: (ended: readonly Ended[]) => void): LockedCalls {
  const { settings, statements, driver } = context
  const group = sendBatches<Ask, unknown>(context, async (batch) => {
    await context.ready()
    const asks = batch.map((one) => one.ask)
    const alone = batch.length === 1 ? batch[0] : undefined
    const patient = alone !== undefined && !('whenLocked' in alone.ask)
    const lockTimeoutMs = patient
      ? settings.lockTimeoutMs
      : alone
        ? Math.min(CLAIM_LOCK_MS, settings.lockTimeoutMs)
        : BATCH_LOCK_MS
    let decided: ReadonlyMap<string, Decided>
    try {
      decided = await ownTransaction(context, ({ run }) =>
        decideLocked({ run, statements, lockTimeoutMs, where: driver.where, joined: false }, asks),
      )
    } catch (error) {
      if (!alone || patient || !isLockTimeout(error)) throw error
      return alone.resolve(alone.ask.whenLocked)
    }
    onEnded(endedIn(decided))
    for (const { ask, resolve, reject } of batch) {
      const one = decided.get(ask.digest)
      if (one && 'reply' in one) resolve(one.reply)
      else reject(one?.error ?? new TypeError('a transition was left undecided'))
    }
  })
  return {
    submit: (digest, step, whenLocked) =>
      group.call(digest, {
        digest,
        step: step as Undecided['step'],
        ...(whenLocked === undefined ? {} : { whenLocked }),
      }) as Promise<never>,
    idle: group.idle,
  }
}

/** A record that has left `running` or `held`, and whether callers in other processes may wait for it. */
export interface Ended {
  readonly digest: string
  readonly contended: boolean
}

/** Those that a batch has ended. */
export function endedIn(decided: ReadonlyMap<string, Decided>): readonly Ended[] {
  const ended: Ended[] = []
  for (const [digest, one] of decided) {
    if (!('write' in one) || one.write === undefined || one.write.state === 'running') continue
    ended.push({ digest, contended: one.write.duplicates > 0 })
  }
  return ended
}
