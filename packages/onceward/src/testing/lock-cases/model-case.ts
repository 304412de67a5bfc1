import assert from 'node:assert/strict'
import { type LockCase, type LockHarness, unlessAll, unlessFences, unlessPlaces } from '../lock-harness.ts'
import { anyLockCommand } from './model-commands.ts'
import { LockModelRun } from './model-run.ts'

/** Above this, in ms, a sequence on real time lets nothing end: waiting for it would take minutes. */
const LONGEST_UNIT_MS = 500

/**
 * Random sequences of commands, by several holders and waiters over all connections, against the rules as pure functions.
 * A failure is shrunk. On real time, what is brief ends before the next command.
 */
export function lockModelCase(options: LockHarness['model'] = {}): LockCase {
  return {
    name: 'random sequences of commands over all connections agree with the rules',
    timeoutMs: 180_000,
    unless:
      options === false
        ? () => 'the harness asks for no model'
        : unlessAll(unlessFences, unlessPlaces, ({ maxFences = 5 }) =>
            maxFences < 5 ? 'the backend gives too few fences for it' : undefined,
          ),
    async run(rig) {
      const fc = await import('fast-check').catch((cause: unknown) => {
        throw new Error('the model case needs fast-check: npm install --save-dev fast-check', { cause })
      })
      const settings = options === false ? {} : options
      const command = anyLockCommand(fc, {
        connections: rig.backends.length,
        shared: rig.capabilities.shared,
        marks: rig.capabilities.marks,
        brief: rig.exactTime || rig.unitMs <= LONGEST_UNIT_MS,
      })
      const details = await fc.check(
        fc.asyncProperty(fc.array(command, { maxLength: 40, size: 'max' }), async (commands) => {
          const run = new LockModelRun(rig)
          for (const one of commands) await run.step(one)
        }),
        {
          numRuns: settings.runs ?? (rig.exactTime ? 200 : 10),
          ...(settings.seed === undefined ? {} : { seed: settings.seed }),
        },
      )
      if (!details.failed) return
      const report = fc.defaultReportMessage(details)
      throw new assert.AssertionError({ message: `the backend and the rules disagree\n${report}` })
    },
  }
}
