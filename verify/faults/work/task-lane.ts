import type { Task, TaskRun } from 'onceward/tasks'
import type { Prng } from '../../simulation/prng.ts'
import { type Answer, ask, chances, Own, settled, sleep, type WorkLane, type WorkRoom } from './work-room.ts'

/** How many external ids several callers ask for. */
const SHARED = 30

/** Creates tasks, cancels some, and works on them, each worker for itself. */
export async function taskLane(room: WorkRoom): Promise<WorkLane> {
  const { plan, library, sink, note, crash } = room
  const { noEffect, finalFailure } = library
  const main = await room.openMain()
  const ledger = library.createTasks({
    db: main.db,
    queryTimeoutMs: plan.timeoutMs,
    autoMigrate: false,
    observer({ type, id, attempt = 0, error }) {
      if (type === 'error') note({ k: 'trouble', message: String(error).slice(0, 300) })
      else note({ k: 'notice', type, id, attempt })
    },
  })
  const action = plan.trial

  let handled = 0
  const handle = async (task: Task, run: TaskRun): Promise<string> => {
    const prng = chances(room, 1000 + handled++)
    if (prng.chance(0.12)) throw noEffect(new Own('not now'))
    if (prng.chance(0.04)) throw finalFailure(new Own('never'))
    // Now and then the work takes longer than a lease, which is renewed.
    await sleep(prng.chance(0.1) ? plan.leaseMs * prng.between(0.5, 1.5) : prng.between(0, 20))
    const careless = prng.chance(plan.careless)
    if (!careless && run.signal.aborted) throw noEffect(new Own('the lease was lost'))
    crash('before-effect')
    const call = `${room.worker}.${room.life}.h${handled}`
    const effect = { item: task.id, call, attempt: run.attempt, fence: run.fence }
    await sink({ op: 'effect', trial: plan.trial, ...effect })
    crash('after-effect')
    if (prng.chance(0.1)) await sleep(prng.between(0, plan.leaseMs / 2))
    return `effect of ${call}`
  }
  const worker = ledger.worker({
    handlers: { [action]: handle },
    concurrency: 4,
    batchSize: 3,
    leaseMs: plan.leaseMs,
    pollMs: 40,
  })

  const create = async (prng: Prng, call: string, item: string, tx: boolean): Promise<Answer> => {
    const task = {
      userId: plan.trial,
      actionType: action,
      taskId: item,
      input: { call },
      maxAttempts: 4,
      onCrash: item.length % 2 === 0 ? 'hold' : 'rerun',
      backoff: { initialMs: 20, maxMs: 60 },
    } as const
    if (!tx) {
      // Alone or in a batch with one that is there already.
      if (prng.chance(0.7)) return answerOf(await ledger.create(task))
      const [made] = await ledger.create([task, { ...task, taskId: 's-0' }])
      return answerOf(made)
    }
    let made: Answer | undefined
    const commits = prng.chance(0.85)
    await main.transact(
      [
        ({ run }) => run(ROW, [plan.trial, call, item]),
        ({ handle: handed }) => {
          const created = ledger.create(task, { tx: handed })
          return settled(created, (one) => {
            made = answerOf(one)
          })
        },
      ],
      { commits, crash },
    )
    return commits && made ? made : { outcome: 'rolled-back' }
  }
  const keepCreating = async (caller: number) => {
    const prng = chances(room, caller)
    for (let count = 0; !room.isOver(); count++) {
      const call = `${room.worker}.${room.life}.${caller}.${count}`
      const tx = prng.chance(0.4)
      const shared = Math.min(SHARED - 1, Math.floor(room.passed() * (SHARED - 2)) + prng.int(3))
      const item = prng.chance(0.5) ? `s-${shared}` : `own-${call}`
      const { outcome, id } = await ask(room, call, { about: 'create', item, tx }, () =>
        create(prng, call, item, tx),
      )
      if (outcome === 'created' && id !== undefined && prng.chance(0.08)) {
        await ask(room, `${call}.cancel`, { about: 'cancel', item: id }, async () => {
          const { outcome: became } = await ledger.cancel(id, { reason: 'a whim' })
          return { outcome: became }
        })
      }
      await sleep(prng.between(20, 120))
    }
  }

  return {
    go: async () =>
      void (await Promise.all(Array.from({ length: plan.callers }, (_, nth) => keepCreating(nth)))),
    probe: async () => {},
    async close() {
      await worker.stop({ graceMs: 1000 })
      await ledger.close()
      await main.end()
    },
  }
}

const ROW = 'INSERT INTO work_rows (trial, call_id, item) VALUES (?, ?, ?)'

function answerOf(made: { readonly outcome: string; readonly task: Task } | undefined): Answer {
  if (made === undefined) throw new Error('no answer for a task of a batch')
  return { outcome: made.outcome, id: made.task.id, value: made.task.state }
}
