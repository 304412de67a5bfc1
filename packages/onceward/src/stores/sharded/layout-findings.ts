import type { OperationRecord, OperationState } from '../../core/operation.ts'
import type { Finding } from '../../core/store.ts'
import { isLive } from './record-rank.ts'
import type { Shard } from './shard.ts'
import type { ShardLayout } from './shard-layout.ts'

/** What has not ended: all of it is looked at. */
const OPEN_STATES: readonly OperationState[] = ['held', 'running', 'released']

/** Records of one page. They come with their values, which may be large. */
const PAGE = 100

/** Operations of one shard that lie elsewhere than at home. */
interface Strays {
  readonly shard: Shard
  /** Those that no layout leads to: a duplicate would run them again. */
  readonly lost: number
  /** Those that another layout leads to and that have not ended. */
  readonly open: number
  /** Those that another layout leads to and that are done, among the newest that are done. */
  readonly done: number
}

/**
 * Looks for operations that lie elsewhere than at their home: what must end before a layout may be dropped, and what
 * was dropped too early. It reads all that has not ended, and of what is done the newest 100 of each shard.
 */
export async function layoutFindings(layout: ShardLayout): Promise<readonly Finding[]> {
  // A shard that cannot be read has been told of already.
  const looked = await Promise.allSettled(layout.shards.map((shard) => straysOn(layout, shard)))
  const strays = looked.flatMap((look) => (look.status === 'fulfilled' ? [look.value] : []))
  const findings: Finding[] = []
  for (const { shard, lost, open } of strays) {
    if (lost > 0) {
      findings.push({
        level: 'fail',
        check: 'layout',
        message: `shard "${shard.name}" holds operations that no layout leads to, so that duplicates of them run again (${lost} or more); name in otherLayouts the layout they were made under`,
      })
    }
    if (open > 0) {
      findings.push({
        level: 'warn',
        check: 'layout',
        message: `shard "${shard.name}" holds ${open} operations of another layout that have not ended; keep that layout in otherLayouts until they have, and for the longest retention after it`,
      })
    }
  }
  if (strays.length < looked.length) {
    const message = 'not every shard could be read; whether other layouts may be dropped cannot be told'
    findings.push({ level: 'warn', check: 'layout', message })
  }
  if (findings.length > 0) return findings
  const done = strays.reduce((count, one) => count + one.done, 0)
  const message = layout.isMoving
    ? `every operation of another layout has ended; ${done} or more are still remembered: drop the other layouts after the longest retention from now`
    : 'every operation that was looked at lies at its home'
  return [{ level: 'ok', check: 'layout', message }]
}

async function straysOn(layout: ShardLayout, shard: Shard): Promise<Strays> {
  const strays = { shard, lost: 0, open: 0, done: 0 }
  const look = (records: readonly OperationRecord[]) => {
    for (const record of records) {
      if (layout.homeOf(record.id.digest) === shard) continue
      if (!layout.homesOf(record.id.digest).includes(shard)) strays.lost += isLive(record) ? 1 : 0
      else if (record.state === 'done') strays.done++
      else strays.open++
    }
  }
  for (const state of OPEN_STATES) {
    let cursor: string | undefined
    do {
      const query = { state, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) }
      const page = await shard.call((store) => store.list(query))
      look(page.records)
      cursor = page.cursor
    } while (cursor !== undefined)
  }
  look((await shard.call((store) => store.list({ state: 'done', limit: PAGE }))).records)
  return strays
}
