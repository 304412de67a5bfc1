import type { Finding } from 'onceward'
import { upstreamAnswers } from '../admin/admin-app.ts'
import { shownValue } from '../config/print-config.ts'
import { EXIT, usageError } from '../exit-codes.ts'
import type { CatalogStore } from '../store/catalog-store.ts'
import { type CommandContext, type StoreOptions, withStore } from './context.ts'
import { printable } from './printable.ts'

/** Options of `onceward doctor`. */
export interface DoctorOptions extends StoreOptions {
  readonly upstream?: string
}

/** `onceward doctor`: looks for what would weaken the guarantees; answers the exit code. */
export async function doctor(context: CommandContext, options: DoctorOptions): Promise<number> {
  if (options.upstream !== undefined && !/^https?:\/\/./.test(options.upstream)) {
    throw usageError(
      `--upstream ${printable(shownValue('upstream', options.upstream))}: give an http:// or https:// URL`,
    )
  }
  return withStore(context, options, { withCache: true }, async (store) => {
    const findings: Finding[] = [...(await store.doctor())]
    findings.push(...(await heldFinding(store, findings)))
    if (options.upstream !== undefined) {
      const answers = await upstreamAnswers(new URL(options.upstream))
      findings.push({
        level: answers ? 'ok' : 'fail',
        check: 'upstream',
        message: answers
          ? 'The upstream accepts connections.'
          : 'The upstream does not accept connections; start it.',
      })
    }
    if (options.json) context.out(`${JSON.stringify(findings, null, 2)}\n`)
    else
      for (const { level, check, message } of findings)
        context.out(`${printable(`${level.padEnd(4)}  ${check}: ${message}`)}\n`)
    return findings.some((finding) => finding.level === 'fail') ? EXIT.failure : EXIT.ok
  })
}

/** A store that is found wanting already may well refuse to count; what was found says why. */
async function heldFinding(store: CatalogStore, findings: readonly Finding[]): Promise<readonly Finding[]> {
  try {
    const { held, oldestHeldMs } = await store.stats()
    if (held === 0) return [{ level: 'ok', check: 'held', message: 'No operation is held.' }]
    const message = `${held} held, the oldest for ${Math.round(oldestHeldMs / 1000)} s; see onceward ls --state held.`
    return [{ level: 'warn', check: 'held', message }]
  } catch (error) {
    if (findings.some(({ level }) => level === 'fail')) return []
    throw error
  }
}
