import type { RelayedEvent } from 'onceward/outbox'
import type { Prng } from '../../simulation/prng.ts'
import { type Answer, ask, chances, Own, settled, sleep, type WorkLane, type WorkRoom } from './work-room.ts'

/** What events are in order by. */
const KEYS = ['a', 'b', 'c', ''] as const

const ROW = 'INSERT INTO work_rows (trial, call_id, item) VALUES (?, ?, ?)'
const EFFECT = 'INSERT INTO work_effects (trial, message, call_id) VALUES (?, ?, ?)'

/** Writes rows with events, relays the events to the broker, and takes the broker's messages through an inbox elsewhere. */
export async function messageLane(room: WorkRoom): Promise<WorkLane> {
  const { plan, worker, life, library, sink, crash, note } = room
  const { trial, leaseMs, timeoutMs } = plan
  const main = await room.openMain()
  const other = await room.openOther()
  const options = { queryTimeoutMs: timeoutMs, autoMigrate: false }
  const outbox = library.createOutbox({ ...options, db: main.db })
  const inbox = library.createInbox({ ...options, db: other.db, consumer: trial })

  let published = 0
  const publish = async (events: readonly RelayedEvent[]): Promise<void> => {
    const prng = chances(room, 1000 + published++)
    if (prng.chance(0.08)) throw new Own('the broker is not there')
    if (prng.chance(0.06)) await sleep(leaseMs * prng.between(0.5, 1.6))
    crash('before-publish')
    const messages = events.map(({ id, payload, attempt }) => ({
      id,
      attempt,
      body: JSON.stringify(payload),
    }))
    await sink({ op: 'deliver', trial, by: `${worker}.${life}.${published}`, messages })
    crash('after-publish')
    if (prng.chance(0.05)) throw new Own('the answer of the broker was lost')
  }
  const relay = outbox.relay({
    ...(plan.seed % 2 === 0
      ? { publishBatch: publish }
      : { publish: (event: RelayedEvent) => publish([event]) }),
    topics: [trial],
    batchSize: 8,
    concurrency: 4,
    // A claim waits for its turn among all relays: one that waits longer than a lease has lost what it is given.
    leaseMs: leaseMs * 3,
    publishTimeoutMs: leaseMs * 2,
    pollMs: 40,
    maxAttempts: Number.POSITIVE_INFINITY,
    backOffMs: 150,
    maxBackOffMs: 300,
    observer({ type, error }) {
      if (type === 'error') note({ k: 'trouble', message: String(error).slice(0, 300) })
    },
  })

  const write = async (prng: Prng, call: string, key: string) => {
    const commits = prng.chance(0.85)
    await ask(room, call, { about: 'write', item: key, commits }, async () => {
      const event = {
        topic: trial,
        payload: { of: call },
        ...(key === '' ? {} : { key }),
        // Of the library's making, or of the user's.
        ...(prng.chance(0.3) ? { id: `${trial}/${call}` } : {}),
      }
      let id = ''
      await main.transact(
        [
          ({ run }) => run(ROW, [trial, call, key]),
          ({ handle }) => {
            const added = outbox.add(handle, event)
            return settled(added, (one) => {
              id = one
            })
          },
          // Others begin and end meanwhile.
          () => (main.kind !== 'sqlite' && prng.chance(0.2) ? sleep(prng.between(0, 60)) : undefined),
        ],
        { commits, crash },
      )
      return { outcome: commits ? 'committed' : 'rolled-back', id }
    })
  }
  const keepWriting = async (caller: number) => {
    const prng = chances(room, caller)
    for (let count = 0; !room.isOver(); count++) {
      await write(prng, `${worker}.${life}.${caller}.${count}`, prng.pick(KEYS))
      await sleep(prng.between(10, 90))
    }
  }

  const effect = (tx: unknown, call: string, message: string, prng: Prng): void | Promise<void> => {
    const written = other.runOn(tx, EFFECT, [trial, message, call])
    const after = () => {
      crash('in-inbox')
      if (prng.chance(0.05)) throw new Own('the handler has failed')
    }
    return written instanceof Promise ? written.then(after) : after()
  }
  /** The same in one of the three ways there are. */
  const take = (prng: Prng, call: string, ids: readonly string[]): Promise<Answer> => {
    const [id = ''] = ids
    if (ids.length > 1) {
      return ask(room, call, { about: 'take', items: ids }, async () => {
        const { fresh } = await inbox.processBatch(ids, (tx, all) =>
          inTurn(all, (one) => effect(tx, call, one, prng)),
        )
        return { outcome: 'processed', value: fresh.join(' ') }
      })
    }
    if (prng.chance(0.3)) {
      return ask(room, call, { about: 'take', items: [id] }, async () => {
        let isNew = false
        await other.transact(
          [
            ({ handle }) => {
              const told = inbox.within(handle, id)
              return settled(told, (one) => {
                isNew = one
              })
            },
            ({ handle }) => (isNew ? effect(handle, call, id, prng) : undefined),
          ],
          { commits: true, crash },
        )
        return { outcome: 'processed', value: isNew ? id : '' }
      })
    }
    return ask(room, call, { about: 'take', items: [id] }, async () => {
      const { outcome } = await inbox.process(id, (tx) => effect(tx, call, id, prng))
      return { outcome: 'processed', value: outcome === 'processed' ? id : '' }
    })
  }
  let closing = false
  const keepTaking = async (caller: number) => {
    const prng = chances(room, 500 + caller)
    for (let count = 0; !closing; count++) {
      const most = prng.chance(0.3) ? 3 : 1
      const { messages } = await sink({ op: 'take', trial, most })
      if (messages.length > 0) {
        const call = `${worker}.${life}.t${caller}.${count}`
        const { outcome } = await take(prng, call, messages)
        crash('after-inbox')
        if (outcome !== 'failed') await sink({ op: 'ack', trial, ids: messages })
      }
      await sleep(prng.between(10, 80))
    }
  }

  let taking: Promise<unknown> = Promise.resolve()
  return {
    async go() {
      relay.start()
      taking = Promise.all([keepTaking(0), keepTaking(1)])
      await Promise.all(Array.from({ length: plan.callers }, (_, nth) => keepWriting(nth)))
    },
    probe: async () => {},
    async close() {
      closing = true
      await taking
      await relay.stop({ graceMs: 1000 })
      await outbox.close()
      await inbox.close()
      await main.end()
      await other.end()
    },
  }
}

/** One after the other; at once where nothing is to be waited for. */
function inTurn<T>(all: readonly T[], make: (one: T) => void | Promise<void>): void | Promise<void> {
  const [first, ...others] = all
  if (first === undefined) return
  const made = make(first)
  return made instanceof Promise ? made.then(() => inTurn(others, make)) : inTurn(others, make)
}
