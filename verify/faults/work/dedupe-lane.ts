import type { Prng } from '../../simulation/prng.ts'
import { ask, chances, probeMs, sleep, type WorkLane, type WorkRoom, within } from './work-room.ts'

/** How many items a trial has. */
const ITEMS = 60

/** How items are looked at: just so; by sights that have names; just so, and forgotten now and then; within a short window. */
const HOW = ['plain', 'named', 'forgotten', 'short'] as const
type How = (typeof HOW)[number]

/** The names of the sights of an item: deliveries of a broker, which come again after an error or a crash. */
const NAMES = ['first delivery', 'second delivery', 'third delivery'] as const

/** Remembers items for longer than a trial lasts, in ms. */
const LONG_MS = 3_600_000

/** Looks at items, several callers at each of them at about the same time. */
export async function dedupeLane(room: WorkRoom): Promise<WorkLane> {
  const { plan, library, crash, worker, life } = room
  const opened = await room.openStore()
  const made = (scope: string, windowMs: number) => ({
    windowMs,
    dedupe: library.createDedupe({
      store: opened.store,
      scope: `${plan.trial}/${scope}`,
      windowMs,
      retries: 1,
    }),
  })
  const long = made('long', LONG_MS)
  const short = made('short', plan.leaseMs * 2)

  /** Looks at items of one kind in one call, and tells which were new. */
  const look = async (
    call: string,
    how: How,
    items: readonly string[],
    name: string | undefined,
    probe = false,
  ) => {
    const { dedupe, windowMs } = how === 'short' ? short : long
    const named = name === undefined ? {} : { name }
    const options = name === undefined ? undefined : { markId: name }
    return ask(room, call, { about: 'sight', items, windowMs, ...named, probe }, async () => {
      const [item = ''] = items
      const asking =
        items.length > 1
          ? dedupe.filterNew(items, options)
          : dedupe.firstTime(item, options).then((isNew) => (isNew ? items : []))
      asking.catch(() => {})
      await new Promise((resolve) => setImmediate(resolve))
      if (!probe) crash('at-call')
      const fresh = await asking
      if (!probe) crash('after-call')
      return { outcome: 'told', value: fresh.join(' ') }
    })
  }
  const nameOf = (prng: Prng, how: How) => (how === 'named' ? prng.pick(NAMES) : undefined)

  const keepLooking = async (caller: number) => {
    const prng = chances(room, caller)
    for (let count = 0; !room.isOver(); count++) {
      const call = `${worker}.${life}.${caller}.${count}`
      const how = prng.pick(HOW)
      const at = Math.min(ITEMS - 1, Math.floor(room.passed() * (ITEMS - 3)) + prng.int(4))
      const items = prng.chance(0.3) ? [at, at - 1, at - 3].filter((nth) => nth >= 0) : [at]
      const all = items.map((nth) => itemOf(how, how === 'short' ? nth % 4 : nth))
      await look(call, how, [...new Set(all)], nameOf(prng, how))
      if (how === 'forgotten' && prng.chance(0.4))
        await ask(room, `${call}.forget`, { about: 'forget', items: all }, async () => ({
          outcome: 'forgotten',
          value: String(await long.dedupe.forget(all)),
        }))
      await sleep(prng.between(5, 40))
    }
  }

  return {
    go: async () =>
      void (await Promise.all(Array.from({ length: plan.callers }, (_, nth) => keepLooking(nth)))),
    async probe() {
      const insist = async (what: string, how: How, name: string | undefined) => {
        let tries = 0
        const all = Array.from({ length: ITEMS }, (_, nth) => itemOf(how, nth))
        const told = await within(probeMs(plan), async () => {
          const call = `${worker}.${life}.probe.${what}.${tries++}`
          return (await look(call, how, all, name, true)).outcome === 'told'
        })
        if (!told) room.note({ k: 'unsettled', what: `a look at items (${what})` })
      }
      await insist('plain', 'plain', undefined)
      for (const [nth, name] of NAMES.entries()) await insist(`named.${nth}`, 'named', name)
    },
    close: () => opened.close(),
  }
}

function itemOf(how: How, nth: number): string {
  return `${how}-${nth}`
}
