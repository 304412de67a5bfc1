import { type CommandContext, type StoreOptions, withStore } from './context.ts'
import { findOperation } from './find-operation.ts'
import { operationView } from './operation-view.ts'
import { printable } from './printable.ts'

/** `onceward show`: everything that is known of one operation, but for the bytes of its outcome. */
export async function show(context: CommandContext, id: string, options: StoreOptions): Promise<void> {
  await withStore(context, options, {}, async (store) => {
    const record = await findOperation(store, id)
    const view = operationView(record, Date.now(), true)
    const decisions = await store.audit({ digest: record.id.digest })
    const audit = decisions.map(({ at, as, actor, reason, fence }) => ({
      at: new Date(at).toISOString(),
      as,
      actor,
      reason,
      fence,
    }))
    if (options.json) return context.out(`${JSON.stringify({ ...view, audit }, null, 2)}\n`)
    const { history = [], outcome, ...plain } = view
    for (const [name, value] of Object.entries(plain)) context.out(line(name, String(value)))
    if (outcome) {
      const parts = Object.entries(outcome).map(([name, value]) => `${name}=${String(value)}`)
      context.out(line('outcome', parts.join(' ')))
    }
    for (const entry of history) {
      context.out(
        line('history', `${entry.at} ${entry.event}${entry.note === undefined ? '' : `: ${entry.note}`}`),
      )
    }
    for (const entry of audit)
      context.out(line('audit', `${entry.at} ${entry.as} by ${entry.actor}: ${entry.reason}`))
    return undefined
  })
}

function line(name: string, value: string): string {
  return `${name.padEnd(12)} ${printable(value)}\n`
}
