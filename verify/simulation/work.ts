import type { Once, Operation } from 'onceward'
import { noteAnswer, noteError } from './answers.ts'
import type { PlannedCall, PlannedKey } from './plan.ts'
import type { Incarnation } from './sim-process.ts'
import { opName } from './sim-store.ts'
import type { World } from './world.ts'

/** What a call works on. */
export interface WorkPlace {
  readonly world: World
  readonly process: Incarnation
  readonly once: Once
  readonly key: PlannedKey
  readonly call: PlannedCall
  /** The number of this very call in the history. */
  readonly callNumber: number
}

/** The work of one call, as a user would write it: it waits, has its effect, waits again and answers. */
export function workOf(place: WorkPlace): (op: Operation) => Promise<unknown> {
  const { world, process, key, callNumber } = place
  return async (op) => {
    const run = world.nextRun()
    const { attempt, fence, takenOver } = op
    const name = opName(op.id)
    if (takenOver) world.statistics.takeovers++
    world.note({ kind: 'begin', run, call: callNumber, op: name, attempt, fence, takenOver })
    world.liveRuns.set(run, { op: name, process, careful: key.careful })
    look(place, op, run)
    let threw: string | undefined
    try {
      return key.steps > 0 ? await inSteps(place, op, run) : await whole(place, op, run)
    } catch (error) {
      threw = String(error)
      throw error
    } finally {
      world.liveRuns.delete(run)
      world.note(threw === undefined ? { kind: 'end', run } : { kind: 'end', run, threw })
    }
  }
}

async function whole(place: WorkPlace, op: Operation, run: number): Promise<unknown> {
  const { call, world } = place
  await take(place, op, run, call.beforeMs)
  await misbehaveBefore(place, op)
  const value = effect(place, op, run, '')
  await take(place, op, run, call.afterMs)
  look(place, op, run)
  await misbehaveAfter(place)
  if (call.behaviour === 'unstorable') return { told: value, size: 'x'.repeat(MAX_VALUE_BYTES) }
  world.statistics.answers++
  return answerOf(value)
}

async function inSteps(place: WorkPlace, op: Operation, run: number): Promise<unknown> {
  const { call, key, world } = place
  const told: string[] = []
  for (let index = 0; index < key.steps; index++) {
    let ran = false
    const step = async () => {
      ran = true
      await take(place, op, run, call.beforeMs / key.steps)
      if (index === key.steps - 1) await misbehaveBefore(place, op)
      const value = effect(place, op, run, `step${index}`)
      await take(place, op, run, call.afterMs / key.steps)
      if (index === key.steps - 1) await misbehaveAfter(place)
      return answerOf(value)
    }
    const options = index === 1 && key.holdingStep ? ({ onCrash: 'hold' } as const) : {}
    const value = await op.step(`step${index}`, step, options)
    if (!ran) world.statistics.skippedSteps++
    told.push(tellAnswer(value))
  }
  return answerOf(told.join(' '))
}

/** Values above this size cannot be stored, in bytes. */
export const MAX_VALUE_BYTES = 2000

/** A value with types that JSON alone would lose. */
export function answerOf(told: string): unknown {
  return { told, at: new Date(1_000), count: 3n, nothing: undefined }
}

/** Tells an answer whole, its types included, so that two are equal when their texts are. */
export function tellAnswer(value: unknown): string {
  const { told, at, count, size } = value as { told?: string; at?: unknown; count?: unknown; size?: string }
  if (size !== undefined) return String(told)
  const whole = at instanceof Date && at.getTime() === 1_000 && count === 3n && 'nothing' in (value as object)
  return whole ? String(told) : `not as it was stored: ${String(told)}`
}

/** Lets time pass, and looks at the signal now and then as long work does. */
async function take(place: WorkPlace, op: Operation, run: number, ms: number): Promise<void> {
  const { process, world } = place
  const sliceMs = world.plan.leaseMs / 4
  for (let left = ms; left > 0; left -= sliceMs) {
    await process.sleep(Math.min(left, sliceMs))
    if (left > sliceMs) look(place, op, run)
  }
}

/** Looks at the signal as careful work does, and notes whether it tells the truth. */
function look(place: WorkPlace, op: Operation, run: number): boolean {
  const { world } = place
  const { aborted } = op.signal
  if (aborted) world.statistics.abortedSignals++
  const record = world.store.peek(op.id.digest)
  const holds =
    record?.state === 'running' && record.fence === op.fence && world.store.time() < record.leaseUntil
  world.note({ kind: 'signal', run, aborted, holds })
  return aborted
}

function effect(place: WorkPlace, op: Operation, run: number, part: string): string {
  const { world, key, call, callNumber } = place
  const stopped = look(place, op, run)
  if (key.careful && stopped) throw world.engine.noEffect(new Error('stopped before the effect'))
  const name = opName(op.id)
  const value = `${name}|${call.input}|${part}|${world.nextEffect()}`
  world.statistics.effects++
  world.sink.push({ op: name, part, value })
  world.note({ kind: 'effect', run, call: callNumber, op: name, part, fence: op.fence, value })
  return value
}

async function misbehaveBefore(place: WorkPlace, op: Operation): Promise<void> {
  const { call, world, key } = place
  switch (call.behaviour) {
    case 'no-effect':
      throw world.engine.noEffect(new Error('own: refused before anything happened'))
    case 'throw-before':
      throw new Error('own: broke down')
    case 'final':
      // With steps, earlier ones have had their effects.
      throw world.engine.finalFailure(new Error('own: declined for good'), {
        effect: key.steps > 0 ? 'done' : 'none',
      })
    case 'reentrant':
      return nested(place, { key: key.name, scope: key.scope }, () => Promise.resolve(answerOf('never')), op)
  }
}

async function misbehaveAfter(place: WorkPlace): Promise<void> {
  const { call, world, key } = place
  switch (call.behaviour) {
    case 'throw-after':
      throw new Error('own: broke down after the effect')
    case 'final-after':
      throw world.engine.finalFailure(new Error('own: declined after the effect'), { effect: 'done' })
    case 'nested-failure': {
      const refuse = () => Promise.reject(world.engine.noEffect(new Error('own: the inner one refused')))
      return nested(place, { key: `${key.name} inner`, scope: key.scope }, refuse)
    }
  }
}

/** Calls another operation from inside the work. Reentrance is expected to fail, and goes no further. */
async function nested(
  place: WorkPlace,
  inner: { readonly key: string; readonly scope: string },
  work: () => Promise<unknown>,
  self?: Operation,
): Promise<void> {
  const { world, once, process, call } = place
  const number = world.nextCall()
  const { index } = process
  world.note({
    kind: 'call',
    call: number,
    process: index,
    op: opName(inner),
    input: call.input,
    probe: false,
  })
  try {
    noteAnswer(
      world,
      number,
      tellAnswer(await once.run({ ...inner, input: { n: call.input }, onError: 'release' }, work)),
    )
  } catch (error) {
    noteError(world, number, error)
    if (self === undefined) throw error
  }
}
