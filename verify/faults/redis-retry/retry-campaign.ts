import { type SafeRedis, type SafeRedisStats, safeRedis } from 'onceward/redis-retry'
import { createPrng } from '../../simulation/prng.ts'
import { BREAKAGES, type Breakage } from './breaking-proxy.ts'
import { type CallerModel, callerModel } from './caller-model.ts'
import { type ClientName, openRetryClient, type Topology } from './retry-clients.ts'
import type { RetryStage } from './retry-stage.ts'
import { sharedWork } from './shared-work.ts'

/** What one lane of the campaign is. */
export interface RetryLane {
  readonly client: ClientName
  readonly topology: Topology
  readonly operations: number
  readonly seed: number
}

/** What came of it. */
export interface RetryOutcome {
  readonly acknowledged: number
  /** What was wrong, in sentences. */
  readonly wrong: readonly string[]
  readonly breakages: Readonly<Record<Breakage, number>>
  readonly restarts: number
  readonly flushes: number
  readonly stats: SafeRedisStats
  readonly seconds: number
}

const CALLERS = 50
/** A fault becomes due after so many acknowledged operations. */
const FAULT_EVERY = 10
/** A server is killed once for so many operations, within the bounds; scripts are flushed twice as often. */
const KILL_EVERY = 250
const LEAST_KILLS = 2
const MOST_KILLS = 8

/** Runs the operations of one lane, and compares what the server holds at the end. */
export async function runRetryLane(stage: RetryStage, lane: RetryLane): Promise<RetryOutcome> {
  const prng = createPrng(lane.seed)
  const run = `${lane.client[0]}${lane.seed}`
  const opened = await openRetryClient(lane.client, lane.topology, stage.broken, false)
  const redis = safeRedis(opened.client as Parameters<typeof safeRedis>[0], {
    deadlineMs: 60_000,
    attemptTimeoutMs: 300,
    prefix: 'marks',
  })
  const callers: CallerModel[] = []
  for (let caller = 0; caller < CALLERS; caller++) {
    callers.push(callerModel(`${run}-${caller}`, createPrng(lane.seed * 1000 + caller)))
  }
  const shared = sharedWork(run, lane.operations)
  await Promise.all([shared.begin(redis), ...callers.map((caller) => caller.begin(redis))])

  const wrong: string[] = []
  const breakages: Record<Breakage, number> = { reset: 0, half: 0, before: 0, silence: 0, hole: 0 }
  const chaos = { restarts: 0, flushes: 0 }
  const kills = Math.min(MOST_KILLS, Math.max(LEAST_KILLS, Math.floor(lane.operations / KILL_EVERY)))
  let begun = 0
  let acknowledged = 0
  let dueAt = FAULT_EVERY
  stage.breakBy((request) => {
    if (acknowledged < dueAt || !request.includes('EVAL')) return undefined
    dueAt = acknowledged + FAULT_EVERY
    const breakage = prng.pick(BREAKAGES)
    breakages[breakage]++
    return breakage
  })
  const startedAt = performance.now()
  const chaosAt = (times: number, done: number) => acknowledged >= ((done + 0.5) / times) * lane.operations
  let busy: Promise<void> | undefined
  const strike = (what: 'restarts' | 'flushes', does: () => Promise<void>) => {
    chaos[what]++
    busy = does()
      .catch(
        (error: unknown) => void wrong.push(`a ${what.slice(0, -1)} of the server failed: ${String(error)}`),
      )
      .finally(() => {
        busy = undefined
      })
  }
  const disturb = () => {
    if (busy !== undefined) return
    if (chaos.restarts < kills && chaosAt(kills, chaos.restarts)) {
      strike('restarts', () => stage.restart(prng.int(8)))
    } else if (chaos.flushes < 2 * kills && chaosAt(2 * kills, chaos.flushes)) {
      strike('flushes', () => stage.flushScripts())
    }
  }
  const worker = async (caller: CallerModel) => {
    while (begun < lane.operations && wrong.length === 0) {
      begun++
      try {
        const finding = await (prng.chance(0.3) ? shared.step(redis, prng) : caller.step(redis))
        acknowledged++
        if (finding !== undefined) wrong.push(finding)
      } catch (error) {
        wrong.push(`an operation was not acknowledged: ${told(error)}`)
      }
      disturb()
    }
  }
  try {
    await Promise.all(callers.map(worker))
  } finally {
    stage.breakBy(undefined)
    await busy
  }
  const stats = redis.stats()
  await closed(redis, opened)
  const direct = await openRetryClient(lane.client, lane.topology, stage.direct, true)
  try {
    const read = ([command = '', key = '', ...args]: readonly string[]) => direct.send(command, key, ...args)
    for (const part of [shared, ...callers]) wrong.push(...(await part.compare((...words) => read(words))))
  } finally {
    direct.close()
  }
  const seconds = (performance.now() - startedAt) / 1000
  return { acknowledged, wrong, breakages, ...chaos, stats, seconds }
}

async function closed(redis: SafeRedis, { close }: { close(): void }): Promise<void> {
  await redis.close()
  close()
}

function told(error: unknown): string {
  const { code, effect } = error as { readonly code?: unknown; readonly effect?: unknown }
  return `${String(code)}, effect ${String(effect)}: ${error instanceof Error ? error.message : String(error)}`
}
