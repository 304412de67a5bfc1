import type { HeldOperation, Reconcile, Reconciliation } from 'onceward'
import type { CapturedResponse, HeaderPairs } from 'onceward/http'
import { Agent, request } from 'undici'
import { keyField } from './key-field.ts'
import { operationName } from './operation-name.ts'
import type { RouteTable } from './route-table.ts'

/** How long one question may take, in ms. */
export const RECONCILE_TIMEOUT_MS = 10_000

/** Asks routes' `reconcile` URLs. */
export interface Reconciler {
  readonly reconcile: Reconcile
  close(): Promise<void>
}

/**
 * Asks the `reconcile` URL of a held operation's route, by GET, what became of it.
 *
 * The question carries `Idempotency-Key`, and, because a key is only unique within them, `Onceward-Caller`
 * (percent-encoded), `Onceward-Method` and `Onceward-Path`. The answer 200 means done with this very response (under
 * the status that `Onceward-Status` names, else 200), 404 means that nothing happened, anything else that it is still
 * unknown. Redirects are not followed.
 */
export function createReconciler(routes: RouteTable, namespace: string): Reconciler {
  const agent = new Agent({
    headersTimeout: RECONCILE_TIMEOUT_MS,
    bodyTimeout: RECONCILE_TIMEOUT_MS,
    keepAliveTimeout: 1000,
  })
  return {
    reconcile: (operation) => ask(operation, routes, namespace, agent),
    close: () => agent.destroy(),
  }
}

async function ask(
  operation: HeldOperation,
  routes: RouteTable,
  namespace: string,
  agent: Agent,
): Promise<Reconciliation> {
  const name = operationName(operation.key)
  if (name === undefined) return { outcome: 'unknown' }
  const { reconcile: url, maxResponseBytes, replayHeaders } = routes(name.method, name.path).policy
  if (url === undefined) return { outcome: 'unknown' }
  const answer = await request(url, {
    method: 'GET',
    dispatcher: agent,
    signal: operation.signal,
    responseHeaders: 'raw',
    headers: {
      'Idempotency-Key': keyField(name.key),
      'Onceward-Caller': encodeURIComponent(callerOf(operation.scope, namespace)),
      'Onceward-Method': name.method,
      'Onceward-Path': name.path,
      'Onceward-Fence': String(operation.fence),
    },
  })
  if (answer.statusCode === 404) {
    await answer.body.dump()
    return { outcome: 'not-happened' }
  }
  if (answer.statusCode !== 200) {
    await answer.body.dump()
    return { outcome: 'unknown' }
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer.body as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size > maxResponseBytes) return { outcome: 'unknown' }
    chunks.push(chunk)
  }
  const pairs = rawPairs(answer.headers)
  const value: CapturedResponse = {
    status: statusOf(pairs),
    headers: pairs.filter(([field]) => isKept(field.toLowerCase(), replayHeaders)),
    body: Buffer.concat(chunks),
  }
  return { outcome: 'done', value }
}

/** The caller inside a scope of the gateway: `8:onceward/tenant`. */
function callerOf(scope: string, namespace: string): string {
  const prefix = `${namespace.length}:${namespace}/`
  return scope.startsWith(prefix) ? scope.slice(prefix.length) : scope
}

function statusOf(pairs: HeaderPairs): number {
  const said = pairs.find(([field]) => field.toLowerCase() === 'onceward-status')?.[1] ?? ''
  return /^[2-5]\d\d$/.test(said) ? Number(said) : 200
}

/** Asked for as a list, undici's `request` gives names and values in turn; its types do not know. */
function rawPairs(headers: unknown): HeaderPairs {
  const list = headers as readonly (Buffer | string)[]
  const pairs: (readonly [string, string])[] = []
  for (let index = 0; index < list.length; index += 2)
    pairs.push([String(list[index]), String(list[index + 1])])
  return pairs
}

function isKept(field: string, replayHeaders: readonly string[]): boolean {
  return KEPT.has(field) || replayHeaders.some((name) => name.toLowerCase() === field)
}

const KEPT: ReadonlySet<string> = new Set([
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'etag',
  'last-modified',
  'link',
  'location',
])
