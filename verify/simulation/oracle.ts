import type { HeldOperation, Reconciliation } from 'onceward'
import { isStrict, type PlannedKey } from './plan.ts'
import type { Incarnation } from './sim-process.ts'
import { opName } from './sim-store.ts'
import { answerOf } from './work.ts'
import type { World } from './world.ts'

/**
 * Tells what became of a held operation, by looking at the sink: the way a payment provider is asked.
 *
 * It never says that nothing happened while a run that does not look at its signal may still act: no provider could
 * know that, and no library could prevent it.
 */
export async function consult(
  world: World,
  process: Incarnation,
  key: PlannedKey,
  held: HeldOperation,
): Promise<Reconciliation> {
  const op = opName(held)
  const { fence, asks } = held
  world.note({ kind: 'ask', op, fence, asks, process: process.index })
  await process.sleep(key.oracleMs)
  const finding =
    key.oracle === 'silent' ? ({ outcome: 'unknown' } as const) : find(world, key, op, held.input)
  world.note({ kind: 'told', op, fence, answer: finding.outcome })
  if (finding.outcome !== 'unknown') world.statistics.reconciled++
  return finding
}

function find(world: World, key: PlannedKey, op: string, input: unknown): Reconciliation {
  const effects = world.sink.filter((effect) => effect.op === op)
  const parts = new Set(effects.map(({ part }) => part))
  const last = effects.at(-1)
  // Where a failover has lost records, or work was given back in spite of its effect, the key may belong to another
  // input than what was done under it.
  const asked = (input as { n?: number } | undefined)?.n
  const mayDiffer = world.statistics.lostTails > 0 || !isStrict(key)
  if (mayDiffer && effects.some(({ value }) => value.split('|')[1] !== String(asked))) {
    return { outcome: 'unknown' }
  }
  if (key.steps === 0 && last) return { outcome: 'done', value: answerOf(last.value) }
  if (key.steps > 0 && parts.size === key.steps) {
    const each = [...parts].sort().map((part) => effects.findLast((effect) => effect.part === part)?.value)
    return { outcome: 'done', value: answerOf(each.join(' ')) }
  }
  if (effects.length > 0) return { outcome: 'unknown' }
  for (const run of world.liveRuns.values()) {
    if (run.op === op && run.process.alive && !run.careful) return { outcome: 'unknown' }
  }
  return { outcome: 'not-happened' }
}
