import { type OperationRecord, operationId } from 'onceward'
import type { Backend } from './backend.ts'
import type { StorePlan } from './plan.ts'
import type { Note } from './tap.ts'

/** Writes down what a store holds of a trial when everything is over: records, decisions, rows, sums. */
export async function lookAtStore(
  backend: Backend,
  plan: StorePlan,
  accounts: readonly string[],
  note: Note,
): Promise<void> {
  for (const { op, scope, key } of plan.keys) {
    const id = operationId(scope, key)
    try {
      const record = await backend.store.get(id)
      if (record === undefined) continue
      noteRecord(op, record, note)
    } catch (error) {
      note({ k: 'unreadable', op, message: String(error).slice(0, 300) })
      continue
    }
    for (const { fence, as } of await backend.store.audit({ digest: id.digest }))
      note({ k: 'audit', op, fence, as })
  }
  if (!plan.keys.some(({ mode }) => mode === 'transaction')) return
  const scopes = [...new Set(plan.keys.map(({ scope }) => scope))]
  for (const { scope, key, call, fence, nonce } of await backend.rows(scopes)) {
    note({ k: 'row', op: `${scope}/${key}`, call, fence: Number(fence), nonce })
  }
  note({ k: 'sum', sum: Number(await backend.sum(accounts)) })
}

function noteRecord(op: string, record: OperationRecord, note: Note): void {
  const { state, fence, attempt, outcome, heldReason, nextAskAt, history } = record
  note({
    k: 'record',
    op,
    state,
    fence,
    attempt,
    ...(outcome === undefined ? {} : { value: outcome.kind }),
    ...(heldReason === undefined ? {} : { heldReason }),
    mayAskInMs: state === 'held' ? Math.max(0, nextAskAt - Date.now()) : 0,
    events: history.map(({ at, event, fence: of, note: why }) => ({
      at,
      event,
      fence: of,
      ...(why === undefined ? {} : { note: why }),
    })),
  })
}
