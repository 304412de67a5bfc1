import { usageError } from '../exit-codes.ts'
import type { PendingMigration } from '../store/catalog-store.ts'
import { type CommandContext, type StoreOptions, withStore } from './context.ts'

/** Options of `onceward migrate`. */
export interface MigrateOptions extends StoreOptions {
  /** Only tells what would be applied. */
  readonly dryRun?: boolean
  /** Only prints the SQL that would be run, for whoever runs it. */
  readonly sql?: boolean
}

/** `onceward migrate`: brings the schema up to date, making a file when it is not there. Safe to run by many at once. */
export async function migrate(context: CommandContext, options: MigrateOptions): Promise<void> {
  const { dryRun = false, sql = false, json = false } = options
  if (dryRun && sql) throw usageError('--dry-run and --sql: give one of them')
  if (sql && json) throw usageError('--sql and --json: give one of them; --dry-run --json has the SQL too')
  const looksOnly = dryRun || sql
  await withStore(context, options, { create: !looksOnly }, async (store) => {
    if (looksOnly) return tell(context, (await store.plan?.()) ?? [], options)
    const applied = await store.migrate()
    if (json) return context.out(`${JSON.stringify({ applied })}\n`)
    return context.out(`${applied.length === 0 ? NOTHING : `applied ${applied.join(', ')}`}\n`)
  })
}

function tell(
  context: CommandContext,
  pending: readonly PendingMigration[],
  { sql = false, json = false }: MigrateOptions,
): void {
  if (json) context.out(`${JSON.stringify({ pending }, null, 2)}\n`)
  // SQL for a file or a pipe stays SQL.
  else if (pending.length === 0) context.out(`${sql ? '-- ' : ''}${NOTHING}\n`)
  else
    for (const { name, sql: text } of pending)
      context.out(sql ? `-- ${name}\n${text.trimEnd()}\n\n` : `would apply ${name}\n`)
}

const NOTHING = 'nothing to do: the schema is up to date'
