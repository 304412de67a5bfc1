import type { Claim, OperationRecord } from '../../core/operation.ts'
import type { ClaimReply, ClaimRequest } from '../../core/store.ts'
import type { Atomically } from '../../core/transition-port.ts'
import * as transitions from '../../core/transitions.ts'
import { asciiJson, ownStatement, utf8 } from '../../drivers/mysql/index.ts'
import type { SqlSession, SqlValue } from '../../drivers/sql/index.ts'
import { columnText, fitsColumn, gatherer, type Waiting } from '../../drivers/sql/index.ts'
import { assertFits } from './packets.ts'
import { CLAIM_ALIKE, CLAIM_ALONE, CLAIM_FRESH } from './record-statements.ts'
import type { StoreContext } from './store-context.ts'

type Call = Waiting<ClaimRequest, ClaimReply>

/**
 * Claims, many in one statement: operations that nobody has claimed are granted by one INSERT, and what is there already
 * is read by one SELECT. What has to change a record that is there (a takeover, the count of duplicates, a lapse) goes
 * on to `exactly`.
 *
 * Which of the two statements comes first follows what the last batch has found: replays read, fresh keys insert.
 */
export function claimCalls(
  context: StoreContext,
  exactly: Atomically,
): (request: ClaimRequest) => Promise<ClaimReply> {
  const { table } = context
  let expectsFound = false

  /** Answers all of the calls when all of the records are new; otherwise tells how the new ones are known. */
  const insert = async (calls: readonly Call[]): Promise<{ left: readonly Call[]; isNew: IsNew }> => {
    if (calls.length === 0) return { left: [], isNew: none }
    const { text, values } = freshStatement(calls.map(({ ask }) => ask))
    const { affected, insertId } = await ownStatement(context, (session) => session.query(text, values))
    const all = affected === calls.length
    // A server that does not tell what it gave to LAST_INSERT_ID is asked for the fences.
    if (!all || insertId === 0) return { left: calls, isNew: ({ fence }) => all || fence === insertId }
    for (const { ask, resolve } of calls) resolve(granted(ask, insertId))
    return { left: [], isNew: none }
  }
  /** Answers what a look is enough for; hands back the calls whose records are not there. */
  const read = async (calls: readonly Call[], isNew: IsNew): Promise<readonly Call[]> => {
    if (calls.length === 0) return []
    const found = await ownStatement(context, (session: SqlSession) =>
      table.read(
        session,
        calls.map((call) => call.key),
      ),
    )
    const absent: Call[] = []
    for (const call of calls) {
      const at = found.get(call.key)
      if (at === undefined) absent.push(call)
      else if ('fault' in at) call.reject(at.fault)
      else if (at.record.owner === call.ask.owner && isNew(at.record)) {
        call.resolve(granted(call.ask, at.record.fence))
      } else {
        const { write, reply } = transitions.claim(at.record, call.ask, at.now)
        if (write === undefined) call.resolve(reply)
        else decide(call)
      }
    }
    return absent
  }
  const decide = ({ key, ask, resolve, reject }: Call) => {
    exactly(key, (found, now) => transitions.claim(found, ask, now)).then(resolve, reject)
  }

  const gathered = gatherer<ClaimRequest, ClaimReply>({
    maxBatch: context.maxBatch,
    maxInFlight: context.maxInFlight,
    async send(batch) {
      const known = batch.filter(({ ask }) => expectsFound || ask.again)
      const fresh = batch.filter(({ ask }) => !(expectsFound || ask.again))
      const absent = await read(known, none)
      const { left, isNew } = await insert([...fresh, ...absent].sort(byKey))
      expectsFound = (known.length - absent.length + left.length) * 2 > batch.length
      for (const call of await read(left, isNew)) decide(call)
    },
  })
  return async (request) => {
    assertFits('owner', request.owner)
    assertFits('fingerprint', request.fingerprint)
    return gathered.call(request.id.digest, request)
  }
}

/** Whether a record was created by the statement before. */
type IsNew = (record: OperationRecord) => boolean

const none: IsNew = () => false

function byKey(a: Call, b: Call): number {
  return a.key < b.key ? -1 : 1
}

/** A request as `FRESH_ROWS` reads it. */
export function freshRow(request: ClaimRequest): readonly (string | number | null)[] {
  const { id, owner, fingerprint, onCrash, leaseMs, retentionMs } = request
  const scope = columnText(id.scope)
  const key = columnText(id.key)
  const detail = scope === id.scope && key === id.key ? null : asciiJson({ id: [id.scope, id.key] })
  return [id.digest, scope, key, fingerprint ?? null, onCrash, owner, leaseMs, retentionMs, detail]
}

/** The statement that grants these, in their order. */
function freshStatement(requests: readonly ClaimRequest[]): Statement {
  const [first] = requests
  if (first === undefined || !requests.every((request) => isAlike(request, first)))
    return { text: CLAIM_FRESH, values: [asciiJson(requests.map(freshRow))] }
  const { id, owner, fingerprint = null, onCrash, leaseMs, retentionMs } = first
  const holds = onCrash === 'hold' ? 1 : 0
  // Some modes of the server make null of a parameter that is empty.
  if (requests.length === 1 && fingerprint !== '') {
    const name = [id.digest, utf8(id.scope), utf8(id.key), fingerprint && utf8(fingerprint)]
    return { text: CLAIM_ALONE, values: [...name, onCrash, holds, utf8(owner), leaseMs, retentionMs, null] }
  }
  const rows = requests.map((one) => [one.id.digest, one.id.key, one.fingerprint ?? null, one.owner])
  return {
    text: CLAIM_ALIKE,
    values: [utf8(id.scope), onCrash, holds, leaseMs, retentionMs, asciiJson(rows)],
  }
}

interface Statement {
  readonly text: string
  readonly values: readonly SqlValue[]
}

/** Whether a request differs from `first` in what is its own only, and its columns hold scope and key as they are. */
function isAlike({ id, onCrash, leaseMs, retentionMs }: ClaimRequest, first: ClaimRequest): boolean {
  return (
    id.scope === first.id.scope &&
    onCrash === first.onCrash &&
    leaseMs === first.leaseMs &&
    retentionMs === first.retentionMs &&
    fitsColumn(id.scope) &&
    fitsColumn(id.key)
  )
}

/** The answer for a record that CLAIM_FRESH has created. */
export function granted({ id, owner }: ClaimRequest, fence: number): ClaimReply {
  const claim: Claim = { id, owner, fence, attempt: 1 }
  return { state: 'claimed', claim, takenOver: false, steps: [] }
}
