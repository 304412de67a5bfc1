import type { Prng } from '../../simulation/prng.ts'
import type { UserTx } from './work-database.ts'
import {
  type Answer,
  ask,
  chances,
  Own,
  probeMs,
  settled,
  sleep,
  type WorkLane,
  type WorkRoom,
  within,
} from './work-room.ts'

/** How many orders a trial has. */
export const ORDERS = 30
/** How many shelves, and how much is on each: less than is asked for. */
export const SHELVES = 3
export const UNITS = 10

/** An order, which is paid or cancelled; and a payment of it, which there is once. */
export const orderId = (trial: string, nth: number): string => `${trial}/order-${nth}`
/** A shelf, from which is sold until nothing is left. */
export const shelfId = (trial: string, nth: number): string => `${trial}/shelf-${nth}`

const ROW = 'INSERT INTO work_rows (trial, call_id, item) VALUES (?, ?, ?)'

/** How much a transaction of PostgreSQL sees of others, in turn: where it sees less, it is refused more. */
const ISOLATIONS = [undefined, 'REPEATABLE READ', 'SERIALIZABLE'] as const

/** What a guard told within its transaction. `row` is what the user writes because of it. */
interface Told extends Answer {
  readonly row?: string
}

/** Ends orders, sells from shelves and pays, each by a guard, with a row that tells of it in the same transaction. */
export async function guardLane(room: WorkRoom): Promise<WorkLane> {
  const { plan, worker, life, library, crash } = room
  const { transition, updateVersioned, withRow, insertOnce } = library.guards
  const { trial } = plan
  const main = await room.openMain()
  const isolation = main.kind === 'postgres' ? ISOLATIONS[plan.seed % ISOLATIONS.length] : undefined

  /** Asks a guard in a transaction. Whatever fails before COMMIT is sent has no effect. */
  const guarded = async (
    call: string,
    item: string,
    prng: Prng | undefined,
    guard: (tx: UserTx) => Told | Promise<Told>,
  ): Promise<Answer> => {
    const commits = prng?.chance(0.85) ?? true
    return ask(room, call, { about: 'guard', item, commits, probe: prng === undefined }, async () => {
      let told: Told = { outcome: 'none' }
      let sent = false
      try {
        await main.transact(
          [
            ({ run }) => (isolation ? run(`SET TRANSACTION ISOLATION LEVEL ${isolation}`, []) : undefined),
            (tx) =>
              settled(guard(tx), (answer) => {
                told = answer
              }),
            // Others come meanwhile, and have to wait or be refused.
            () => (main.kind !== 'sqlite' && prng?.chance(0.2) ? sleep(prng.between(0, 40)) : undefined),
            () => crash('in-transaction'),
            ({ run }) => (told.row === undefined ? undefined : run(ROW, [trial, call, told.row])),
          ],
          {
            commits,
            crash(point) {
              crash(point)
              sent = true
            },
          },
        )
      } catch (error) {
        if (sent || error instanceof TypeError || error instanceof ReferenceError) throw error
        return { outcome: 'none', value: error instanceof Own ? '' : String(error).slice(0, 200) }
      }
      const { row: _, ...answer } = told
      return commits ? answer : { outcome: 'rolled-back' }
    })
  }

  const endOrder = (call: string, nth: number, to: string, prng?: Prng) =>
    guarded(call, orderId(trial, nth), prng, ({ handle }) => {
      const id = orderId(trial, nth)
      const moved = transition(handle, {
        table: 'work_orders',
        id,
        from: 'new',
        to,
        set: { ending: call },
      })
      return answered(moved, (one) =>
        one.won
          ? { outcome: 'moved', value: to, row: `${id} ${to}` }
          : { outcome: one.outcome, value: one.outcome === 'stale' ? String(one.state) : '' },
      )
    })

  const sellByVersion = async (prng: Prng, call: string, id: string) => {
    const read = await main
      .query('SELECT units, version FROM work_stock WHERE id = ?', [id])
      .catch(() => undefined)
    const [row] = read ?? []
    if (row === undefined) return
    const [units, version] = [Number(row['units']), Number(row['version'])]
    // Somebody looks at it, and then decides.
    await sleep(prng.between(0, 60))
    if (units === 0) return
    await guarded(call, id, prng, ({ handle }) => {
      const updated = updateVersioned(handle, {
        table: 'work_stock',
        id,
        version,
        set: { units: units - 1 },
      })
      return answered(updated, (one) =>
        one.outcome === 'updated'
          ? { outcome: 'updated', value: String(one.version), row: id }
          : { outcome: one.outcome === 'stale' ? 'stale-version' : one.outcome },
      )
    })
  }

  const sellLocked = (call: string, id: string, prng?: Prng) =>
    guarded(call, id, prng, ({ handle }) => {
      const sold = withRow(
        handle,
        { table: 'work_stock', id },
        (row: { readonly units: unknown; readonly version: unknown }, update) => {
          const [units, version] = [Number(row.units), Number(row.version) + 1]
          if (units === 0) return answered(undefined, () => 0)
          const written = update({ units: units - 1, version }) as unknown
          return answered(written, () => version)
        },
      )
      return answered(sold as { readonly value?: number } | Promise<{ readonly value?: number }>, (one) =>
        one.value === 0 ? { outcome: 'sold-out' } : { outcome: 'done', value: String(one.value), row: id },
      )
    })

  const pay = (call: string, nth: number, prng?: Prng) =>
    guarded(call, orderId(trial, nth), prng, ({ handle }) => {
      const id = orderId(trial, nth)
      const inserted = insertOnce(handle, {
        table: 'work_payments',
        values: { id, trial, call_id: call },
        unique: ['id'],
      })
      return answered(inserted, ({ outcome, won }) => ({ outcome, ...(won ? { row: `${id} payment` } : {}) }))
    })

  const keepAsking = async (caller: number) => {
    const prng = chances(room, caller)
    for (let count = 0; !room.isOver(); count++) {
      const call = `${worker}.${life}.${caller}.${count}`
      const nth = Math.min(ORDERS - 1, Math.floor(room.passed() * (ORDERS - 3)) + prng.int(4))
      const shelf = shelfId(trial, prng.int(SHELVES))
      const what = prng.int(6)
      if (what < 2) await endOrder(call, nth, prng.pick(['paid', 'cancelled']), prng)
      else if (what === 2) await pay(call, nth, prng)
      else if (what < 5) await sellByVersion(prng, call, shelf)
      else await sellLocked(call, shelf, prng)
      await sleep(prng.between(5, 40))
    }
  }

  return {
    go: async () =>
      void (await Promise.all(Array.from({ length: plan.callers }, (_, nth) => keepAsking(nth)))),
    async probe() {
      for (let nth = 0; nth < ORDERS; nth++) {
        let tries = 0
        const ended = await within(probeMs(plan), async () => {
          const call = `${worker}.${life}.probe.${nth}.${tries++}`
          const moved = await endOrder(call, nth, 'cancelled')
          const paid = await pay(`${call}.pay`, nth)
          return [moved, paid].every(({ outcome }) => outcome !== 'failed' && outcome !== 'none')
        })
        if (!ended) room.note({ k: 'unsettled', what: `order ${nth}` })
      }
      // All workers at once, until nothing is left.
      for (let nth = 0; nth < SHELVES; nth++) {
        let tries = 0
        const empty = await within(probeMs(plan), async () => {
          for (let sold = true; sold; ) {
            const call = `${worker}.${life}.probe.shelf.${nth}.${tries++}`
            const { outcome } = await sellLocked(call, shelfId(trial, nth))
            if (outcome === 'sold-out') return true
            sold = outcome === 'done'
          }
          return false
        })
        if (!empty) room.note({ k: 'unsettled', what: `shelf ${nth}` })
      }
    },
    close: () => main.end(),
  }
}

/** Makes something of an answer: at once where it is there at once. */
function answered<T, R>(answer: T | Promise<T>, make: (value: T) => R): R | Promise<R> {
  return answer instanceof Promise ? answer.then(make) : make(answer)
}
