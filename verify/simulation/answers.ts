import type { World } from './world.ts'

/** Notes the value a caller got. */
export function noteAnswer(world: World, call: number, value: string): void {
  world.note({ kind: 'answer', call, value })
}

/** Notes the error a caller got. Answers whether asking again may help. */
export function noteError(world: World, call: number, error: unknown): boolean {
  const message = error instanceof Error ? error.message : String(error)
  if (!world.engine.isOncewardError(error)) {
    const own = message.startsWith('own: ') || message === 'stopped before the effect'
    world.note({ kind: 'error', call, message: own ? message : `${message} ${(error as Error)?.stack}`, own })
    return own
  }
  const { code, effect } = error
  if (code === 'KEY_REUSED') world.statistics.reusedKeys++
  world.note({ kind: 'error', call, message, code, effect, own: false })
  return error.retryable || code === 'CLAIM_LOST' || code === 'OUTCOME_UNKNOWN'
}
