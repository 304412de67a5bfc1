import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { resolve as resolvePath } from 'node:path'
import type { OperationRecord, Outcome, Resolution } from 'onceward'
import { valueCodec } from 'onceward'
import { type CapturedResponse, responseCodec } from 'onceward/http'
import { CommandError, EXIT, usageError } from '../exit-codes.ts'
import { isHttpOperation, isTokenUse } from '../gateway/operation-name.ts'
import { type CommandContext, type StoreOptions, withStore } from './context.ts'
import { findOperation } from './find-operation.ts'
import { operationView } from './operation-view.ts'
import { printable } from './printable.ts'

/** Options of `onceward resolve`. */
export interface ResolveOptions extends StoreOptions {
  readonly as: string
  readonly reason: string
  readonly actor?: string
  readonly fence?: string
  readonly status?: string
  readonly bodyFile?: string
  readonly header?: readonly string[]
  readonly value?: string
}

/**
 * `onceward resolve`: decides a held operation, audited.
 *
 * `--as done` needs what duplicates are to get. For an operation made over HTTP that is a response (`--status`,
 * `--body-file`, `--header`); for one made by a call of the library a JSON value (`--value` or `--body-file`). The two
 * are told apart by their key: the HTTP layer writes `METHOD /path key`.
 */
export async function resolve(context: CommandContext, id: string, options: ResolveOptions): Promise<void> {
  const { as, reason } = options
  if (as !== 'done' && as !== 'failed' && as !== 'release') {
    throw usageError(`--as ${printable(as)}: give done, failed or release`)
  }
  if (reason.trim() === '') throw usageError('--reason: say why, for the audit')
  if (reason.length > 500) throw usageError('--reason: is longer than 500 characters; say it shorter')
  const fence = options.fence === undefined ? undefined : wholeNumber('--fence', options.fence)
  await withStore(context, options, {}, async (store) => {
    const record = await findOperation(store, id)
    if (as !== 'release') await assertOpened(record)
    const resolution: Resolution = {
      fence: fence ?? record.fence,
      as:
        as === 'release'
          ? { state: 'released' }
          : {
              state: 'done',
              outcome: as === 'failed' ? failed(reason) : await done(context, record, options),
            },
      actor: options.actor ?? context.environment['USER'] ?? userInfo().username,
      reason,
    }
    const reply = await store.resolve(record.id, resolution)
    switch (reply.state) {
      case 'resolved': {
        const view = operationView(reply.record, Date.now(), false)
        return context.out(
          options.json ? `${JSON.stringify(view, null, 2)}\n` : `${view.id} is ${DECIDED[as]}\n`,
        )
      }
      case 'absent':
        throw new CommandError(
          EXIT.notFound,
          `the operation ${record.id.digest} is gone; nothing was changed`,
        )
      case 'conflict':
        throw new CommandError(
          EXIT.conflict,
          reply.found === 'held'
            ? `the operation is held under fence ${reply.fence}, not ${resolution.fence}; look again with onceward show`
            : `the operation is ${reply.found}, not held; nothing was changed`,
        )
    }
  })
}

/** An outcome that is not sealed with the keys of the gateway would be refused by it, for every duplicate. */
async function assertOpened(record: OperationRecord): Promise<void> {
  const { holdsSealed } = await import('onceward/encrypted')
  if (holdsSealed(record))
    throw usageError(
      `the operation ${record.id.digest} is sealed with a key that is not given; give --encryption-key-file with the keys of the gateway`,
    )
}

/** What an operation is after each decision, in words. */
const DECIDED: Readonly<Record<'done' | 'failed' | 'release', string>> = {
  done: 'marked as done: duplicates get what you gave',
  failed: 'marked as failed: duplicates fail',
  release: 'released: the next duplicate runs',
}

async function done(
  context: CommandContext,
  record: OperationRecord,
  options: ResolveOptions,
): Promise<Outcome> {
  // What a library's own token is for cannot be seen: whoever gives a value means a call.
  const http = isHttpOperation(record.id) || (isTokenUse(record.id.key) && options.value === undefined)
  if (http && options.status === undefined) {
    throw usageError('--as done needs the response to replay: --status, and --body-file if it has a body')
  }
  if (http && options.value !== undefined) {
    throw usageError(
      '--value is for operations of the library; this one is a request: give --status and --body-file',
    )
  }
  if (!http && (options.status !== undefined || options.header !== undefined)) {
    throw usageError(
      '--status and --header are for requests; this operation is a call of the library: give --value JSON',
    )
  }
  const body = options.bodyFile === undefined ? undefined : await bodyOf(context, options.bodyFile)
  return { kind: 'value', value: http ? encodedResponse(options, body) : encodedValue(options, body) }
}

function encodedResponse(options: ResolveOptions, body: Buffer | undefined): Uint8Array {
  const status = wholeNumber('--status', options.status ?? '')
  if (status < 200 || status > 599) throw usageError(`--status ${status}: give a status from 200 to 599`)
  const headers = (options.header ?? []).map((text): readonly [string, string] => {
    const colon = text.indexOf(':')
    if (colon < 1) throw usageError(`--header ${printable(text)}: give "Name: value"`)
    return [text.slice(0, colon).trim(), text.slice(colon + 1).trim()]
  })
  const typed = headers.some(([name]) => name.toLowerCase() === 'content-type')
  if (body !== undefined && body.byteLength > 0 && !typed) {
    headers.push(['Content-Type', isJson(body) ? 'application/json' : 'application/octet-stream'])
  }
  let encoded: Uint8Array
  try {
    encoded = responseCodec.encode({ status, headers, body: body ?? new Uint8Array() })
  } catch (error) {
    throw usageError(`--header: ${(error as Error).message}`)
  }
  const kept = new Set((responseCodec.decode(encoded) as CapturedResponse).headers.map(([name]) => name))
  const dropped = headers.find(([name]) => !kept.has(name))
  if (dropped !== undefined) throw usageError(`--header ${dropped[0]}: is never replayed; leave it out`)
  return encoded
}

function encodedValue(options: ResolveOptions, body: Buffer | undefined): Uint8Array {
  const text = options.value ?? body?.toString()
  if (text === undefined)
    throw usageError('--as done needs the value to replay: --value JSON, or --body-file with JSON')
  try {
    return valueCodec.encode(JSON.parse(text))
  } catch (error) {
    throw usageError(
      `${options.value === undefined ? '--body-file' : '--value'}: is not JSON: ${(error as Error).message}`,
    )
  }
}

function failed(reason: string): Outcome {
  return { kind: 'failure', failure: { name: 'Error', message: reason, effect: 'none' } }
}

async function bodyOf(context: CommandContext, file: string): Promise<Buffer> {
  try {
    return await readFile(resolvePath(context.folder, file))
  } catch (error) {
    throw usageError(
      `--body-file ${printable(file)}: cannot be read (${(error as NodeJS.ErrnoException).code}); check the path`,
    )
  }
}

function isJson(body: Buffer): boolean {
  try {
    JSON.parse(body.toString())
    return true
  } catch {
    return false
  }
}

function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw usageError(`${flag} ${printable(text)}: give a whole number`)
  return Number(text)
}
