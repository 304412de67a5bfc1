import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { operationId } from '../../src/core/identity.ts'
import type { Claim, OperationId, Outcome } from '../../src/core/operation.ts'
import type { ClaimRequest, OperationStore } from '../../src/core/store.ts'
import { openSqlite, type SqliteHandle } from '../../src/drivers/sqlite/index.ts'

/** A path in a folder that is removed when the test is over. */
export function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'onceward-sqlite-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'operations.sqlite')
}

/** A handle that is closed when the test is over. */
export function opened(path: string): SqliteHandle {
  const handle = openSqlite(path)
  onTestFinished(() => void handle.close())
  return handle
}

/** Closes what is given when the test is over. */
export function closing<S extends { close(): Promise<void> }>(store: S): S {
  onTestFinished(() => store.close())
  return store
}

export const DAY_MS = 86_400_000

let ids = 0

/** An operation nobody has used. */
export function freshId(): OperationId {
  return operationId('test', `operation-${ids++}`)
}

/** A claim as a caller asks for it. */
export function asks(id: OperationId, owner = `owner-of-${id.key}`): ClaimRequest {
  return { id, owner, leaseMs: 60_000, retentionMs: DAY_MS, onCrash: 'hold' }
}

/** The outcome of a finished operation. */
export function value(text: string): Outcome {
  return { kind: 'value', value: new TextEncoder().encode(text) }
}

/** Claims what nobody else has claimed. */
export async function claimed(store: OperationStore, id: OperationId): Promise<Claim> {
  const reply = await store.claim(asks(id))
  if (reply.state !== 'claimed') throw new Error(`expected to own ${id.key}, found it ${reply.state}`)
  return reply.claim
}

/** Reads one number. */
export function count(handle: SqliteHandle, sql: string): number {
  return Number(Object.values(handle.prepare(sql).get() as object)[0])
}
