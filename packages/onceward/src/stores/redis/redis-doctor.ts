import type { Finding } from '../../core/store.ts'
import { checkServer, checkUp, clockVerdict, ok, type ServerUse, warn } from '../../drivers/redis/index.ts'
import { readIndex, type StoreContext } from './store-context.ts'

/** What the store needs a server for, as messages say it. */
export const STORE_USE: ServerUse = {
  who: 'the store',
  thrown: 'records away, and their operations would run again',
  forgotten: 'those operations would run again',
}

/** Looks at what would weaken the guarantees. It changes nothing. */
export async function doctorFindings(
  context: StoreContext,
  { allowEviction }: { readonly allowEviction: boolean },
): Promise<readonly Finding[]> {
  const check = checkUp()
  if (!(await checkServer(check, context.connection, { allowEviction, use: STORE_USE })))
    return check.findings
  await check.look('clock', async () => clockVerdict(await skewMs(context)))
  await check.look('index', async () => {
    const counts = await readIndex(context, context.layout.buckets, { what: 'stats' })
    const sum = (place: number) => counts.reduce((total, { entries }) => total + Number(entries[place]), 0)
    const [lapsed, expired] = [sum(5), sum(6)]
    if (lapsed > 0) return warn(`${lapsed} lapsed claims wait to be marked as held; run a sweep.`)
    if (expired > 10_000)
      return warn(`${expired} entries of expired records are still in the index; run a purge.`)
    return ok(`No lapsed claim waits to be swept, ${expired} expired entries wait to be purged.`)
  })
  return check.findings
}

async function skewMs(context: StoreContext): Promise<number> {
  const before = context.clock.now()
  const [answer] = await readIndex(context, context.layout.buckets.slice(0, 1), { what: 'stats' })
  const after = context.clock.now()
  return (answer?.now ?? before) - (before + after) / 2
}
