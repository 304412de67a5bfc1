import { clipNote } from '../../core/clip-note.ts'
import { namedNote } from '../../core/error-note.ts'
import type { Claim, Failure, OperationRecord, Outcome, StepRecord } from '../../core/operation.ts'
import type { AskTurn, ClaimReply, ClaimRequest, Resolution, ResolveReply } from '../../core/store.ts'
import type { RedisReply } from '../../drivers/redis/index.ts'
import { byteReader } from './byte-reader.ts'
import type { ByteWriter } from './byte-writer.ts'
import {
  readOutcome,
  readRecord,
  readSteps,
  STATES,
  writeOutcome,
  writePrintAndId,
  writeStep,
} from './record-codec.ts'

/** One transition: what the script is given, and how its answer is read. */
export interface Item<Reply> {
  /** The number of its function in the script. */
  readonly op: number
  readonly digest: string
  write(to: ByteWriter): void
  read(reply: RedisReply): Reply
}

/** Longer times are taken for this one, in ms (158 years): the index keeps state and time in one number. */
const MAX_MS = 5e12

const EVENT_COMPLETED = 3
const EVENT_FAILED = 4

/** Asks for the right to run. */
export function claimItem(request: ClaimRequest): Item<ClaimReply | 'late'> {
  const { id, owner } = request
  return {
    op: 1,
    digest: id.digest,
    write(to) {
      const [leaseMs, holds] = [within(request.leaseMs), request.onCrash === 'hold' ? 1 : 0]
      to.byte(request.again ? 1 : 0)
      to.byte(holds)
      to.double(leaseMs)
      // From here on to the end it is also what is stored.
      to.shortPart(owner)
      to.double(leaseMs)
      to.double(within(request.retentionMs))
      to.byte(holds)
      writePrintAndId(to, request.fingerprint, id)
      to.byte(0)
    },
    read(reply) {
      if (!(reply instanceof Buffer)) {
        const claim: Claim = { id: { ...id }, owner, fence: Number(reply), attempt: 1 }
        return { state: 'claimed', claim, takenOver: false, steps: [] }
      }
      return readClaimReply(reply, request)
    },
  }
}

/** Prolongs a claim. */
export function renewItem(claim: Claim, leaseMs: number): Item<boolean> {
  return ownerItem(2, claim, (to) => to.double(within(leaseMs)))
}

/** Remembers a step. */
export function checkpointItem(claim: Claim, step: StepRecord): Item<boolean> {
  const note =
    step.state === 'started' ? clipNote(`the claim lapsed in step "${step.name}" without an outcome`) : ''
  return ownerItem(3, claim, (to) => {
    to.part(step.name)
    writeStep(to, step, note)
  })
}

/** Ends an operation. */
export function completeItem(claim: Claim, outcome: Outcome, retentionMs: number): Item<boolean> {
  return ownerItem(4, claim, (to) => {
    to.double(within(retentionMs))
    to.byte(outcome.kind === 'failure' ? EVENT_FAILED : EVENT_COMPLETED)
    writeOutcome(to, outcome)
    to.byte(1)
  })
}

/** Gives an operation back. */
export function releaseItem(claim: Claim, failure: Failure | undefined): Item<boolean> {
  const note = failure && namedNote(failure)
  return ownerItem(5, claim, (to) => to.optional(note))
}

/** Marks the outcome as unknown. */
export function holdItem(claim: Claim, reason: string): Item<boolean> {
  return ownerItem(6, claim, (to) => to.part(clipNote(reason)))
}

/** Reads a record. */
export function getItem(digest: string): Item<OperationRecord | undefined> {
  return {
    op: 7,
    digest,
    write: () => {},
    read: (reply) => (reply instanceof Buffer ? readRecord(reply, digest) : undefined),
  }
}

/** Gives the turn to ask. */
export function takeTurnItem(digest: string, turn: AskTurn): Item<boolean> {
  return {
    op: 8,
    digest,
    write(to) {
      to.double(turn.fence)
      to.uint32(turn.asks)
      to.double(within(turn.quietMs))
      to.byte(turn.holding ? 1 : 0)
    },
    read: isOne,
  }
}

/** Decides a held operation. `audit` is the place of the audit's key among the keys of the call. */
export function resolveItem(
  digest: string,
  { fence, as, actor, reason, retentionMs }: Resolution,
  audit: () => number,
): Item<ResolveReply> {
  return {
    op: 9,
    digest,
    write(to) {
      to.double(fence)
      to.double(retentionMs === undefined ? -1 : within(retentionMs))
      to.byte(as.state === 'released' ? 0 : as.outcome.kind === 'failure' ? 2 : 1)
      to.uint32(audit())
      to.part(clipNote(`${actor}: ${reason}`))
      const said = to.begin()
      to.part(clipNote(actor))
      to.part(clipNote(reason))
      to.end(said)
      const outcome = to.begin()
      if (as.state === 'done') writeOutcome(to, as.outcome)
      to.end(outcome)
    },
    read(reply) {
      if (!(reply instanceof Buffer)) return { state: 'absent' }
      const read = byteReader(reply)
      if (read.text(1) === 'o') return { state: 'resolved', record: readRecord(reply.subarray(1), digest) }
      return { state: 'conflict', found: STATES[read.byte()] ?? 'running', fence: read.double() }
    },
  }
}

/** Makes a lapsed claim held, if it still is one and its owner said so. */
export function sweepItem(digest: string): Item<boolean> {
  return { op: 10, digest, write: () => {}, read: isOne }
}

/** Removes a record, if it has expired. */
export function forgetItem(digest: string): Item<boolean> {
  return { op: 11, digest, write: () => {}, read: isOne }
}

/** What one who waits for a change finds. */
export type Sight = 'ended' | 'running' | { readonly heldForMs: number }

/** Notes that somebody waits for a change, and looks whether there is one to wait for. */
export function watchItem(digest: string): Item<Sight> {
  return {
    op: 12,
    digest,
    write: () => {},
    read(reply) {
      const seen = Number(reply)
      return seen === 0 ? 'ended' : seen === 1 ? 'running' : { heldForMs: seen - 2 }
    },
  }
}

/** Reads when a record was changed last, in ms since the epoch. */
export function peekItem(digest: string): Item<number | undefined> {
  return {
    op: 13,
    digest,
    write: () => {},
    read: (reply) => (reply instanceof Buffer ? reply.readDoubleLE(1) : undefined),
  }
}

/** An item that only the owner may ask for: fence and owner come first, as they are stored. */
function ownerItem(op: number, { id, owner, fence }: Claim, write: (to: ByteWriter) => void): Item<boolean> {
  return {
    op,
    digest: id.digest,
    write(to) {
      to.double(fence)
      to.shortPart(owner)
      write(to)
    },
    read: isOne,
  }
}

function isOne(reply: RedisReply): boolean {
  return Number(reply) === 1
}

function within(ms: number): number {
  return Math.min(ms, MAX_MS)
}

function readClaimReply(reply: Buffer, { id, owner }: ClaimRequest): ClaimReply | 'late' {
  const read = byteReader(reply)
  const kind = read.text(1)
  switch (kind) {
    case 'c': {
      const claim: Claim = { id: { ...id }, owner, fence: read.double(), attempt: read.uint32() }
      const takenOver = read.byte() === 1
      return { state: 'claimed', claim, takenOver, steps: readSteps(read, read.left()) }
    }
    case 'r':
      return { state: 'running', attempt: read.uint32(), remainingMs: read.double() }
    case 'd': {
      const [attempt, fence, remainingMs] = [read.uint32(), read.double(), read.double()]
      return { state: 'done', outcome: readOutcome(read), attempt, fence, remainingMs }
    }
    case 'h': {
      const [fence, attempt, asks, mayAskInMs] = [read.double(), read.uint32(), read.uint32(), read.double()]
      return { state: 'held', reason: read.text(read.left()), fence, attempt, asks, mayAskInMs }
    }
    case 'u':
      return { state: 'reused' }
    case 'l':
      return 'late'
    default:
      throw new TypeError('the script answered something unknown')
  }
}
