import type { OperationId, OperationRecord } from '../../src/core/operation.ts'
import type { ClaimRequest } from '../../src/core/store.ts'
import { transitionMethods } from '../../src/core/transition-port.ts'
import * as transitions from '../../src/core/transitions.ts'
import { type Flaw, type Parts, torn } from './broken-rig.ts'

type Claiming = (
  found: OperationRecord | undefined,
  request: ClaimRequest,
  now: number,
) => ReturnType<typeof transitions.claim>

/** Flaws in who is granted an operation, and what the others are told. */
export const brokenClaims: readonly Flaw[] = [
  {
    name: 'a claim that reads and then writes',
    rule: /of 50 concurrent claims of one key over all connections one wins/,
    break: (parts) => ({ claim: transitionMethods(torn(parts)).claim }),
  },
  {
    name: 'a claim that reads and then writes, in a batch of many keys',
    rule: /concurrent claims of many keys/,
    break: (parts) => ({ claim: transitionMethods(torn(parts)).claim }),
  },
  {
    name: 'a second owner gets in while the first is running',
    rule: /run alone, one after the other/,
    break: (parts) => ({ claim: transitionMethods(torn(parts)).claim }),
  },
  {
    name: 'leases judged by the clock of the client',
    rule: /before its lease has lapsed/,
    break: (parts, second) =>
      claiming(parts, (found, request, now) =>
        transitions.claim(found, request, second ? now + 600_000 : now),
      ),
  },
  {
    name: 'a takeover a moment before the lapse',
    rule: /before its lease has lapsed/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => transitions.claim(found, request, found ? now + 500 : now)),
  },
  {
    name: 'a repeated claim is another claim',
    rule: /asked again by the same owner is the same claim/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) =>
        transitions.claim(found, { ...request, owner: `${request.owner}${now}${Math.random()}` }, now),
      ),
  },
  {
    name: 'a late copy of a claim is granted after its release',
    rule: /arrives late, after its own operation was released/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => {
        if (found?.state !== 'released') return transitions.claim(found, request, now)
        const { owner: _, ...ownerless } = found
        return transitions.claim(ownerless, request, now)
      }),
  },
  {
    name: 'in progress is told before the mismatch',
    rule: /a mismatch is told before anything else/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => {
        if (found?.state !== 'running') return transitions.claim(found, request, now)
        const { fingerprint: _, ...rest } = found
        const { write, reply } = transitions.claim(rest, request, now)
        return write ? { write: { ...write, ...fingerprintOf(found) }, reply } : { reply }
      }),
  },
  {
    name: 'a mismatch leaves a mark on the record',
    rule: /a mismatch is told before anything else/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => {
        const answer = transitions.claim(found, request, now)
        if (answer.reply.state !== 'reused' || !found) return answer
        return { ...answer, write: { ...found, duplicates: found.duplicates + 1 } }
      }),
  },
  {
    name: 'a mismatch is never told',
    rule: /a mismatch is told before anything else/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => {
        const { fingerprint: _, ...rest } = request
        return transitions.claim(found, found ? rest : request, now)
      }),
  },
  {
    name: 'an absent fingerprint is compared as if it were one',
    rule: /a fingerprint that either side leaves out is not compared/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) =>
        found && found.fingerprint !== request.fingerprint && found.state !== 'released'
          ? { reply: { state: 'reused' } }
          : transitions.claim(found, request, now),
      ),
  },
  {
    name: 'another input may go on where the first one had finished steps',
    rule: /one with finished steps does not/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => {
        if (found?.state !== 'released') return transitions.claim(found, request, now)
        const { fingerprint: _, ...rest } = found
        return transitions.claim(rest, request, now)
      }),
  },
  {
    name: 'hold is ignored: every lapse is rerun',
    rule: /a lapsed claim with hold is found held by the next claim/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) =>
        transitions.claim(found && { ...found, onCrash: 'rerun', steps: [] }, request, now),
      ),
  },
  {
    name: 'whoever finds a lapse decides about it',
    rule: /the policy of the owner decides about its lapse/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) =>
        transitions.claim(found && { ...found, onCrash: request.onCrash }, request, now),
      ),
  },
  {
    name: 'a crash inside a hold step is rerun',
    rule: /a started step with hold makes a lapsed rerun held/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) =>
        transitions.claim(
          found && { ...found, steps: found.steps.filter((step) => step.state === 'done') },
          request,
          now,
        ),
      ),
  },
  {
    name: 'steps are lost at a takeover',
    rule: /finished steps kept, started ones dropped/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => {
        const { write, reply } = transitions.claim(found, request, now)
        if (!write || reply.state !== 'claimed' || !reply.takenOver)
          return write ? { write, reply } : { reply }
        return { write: { ...write, steps: [] }, reply: { ...reply, steps: [] } }
      }),
  },
  {
    name: 'started steps are kept at a takeover',
    rule: /finished steps kept, started ones dropped/,
    model: true,
    break: (parts) =>
      claiming(parts, (found, request, now) => {
        const { write, reply } = transitions.claim(found, request, now)
        if (!write || !found || reply.state !== 'claimed' || !reply.takenOver)
          return write ? { write, reply } : { reply }
        return { write: { ...write, steps: found.steps }, reply: { ...reply, steps: found.steps } }
      }),
  },
  {
    name: 'a fence that starts over at 1 after expiry',
    rule: /fences strictly increase over release, lapse, resolve and expiry/,
    model: true,
    break: (parts) =>
      withFence(parts, (fence, found, now) => (!found || transitions.isExpired(found, now) ? 1 : fence)),
  },
  {
    name: 'a fence that only counts',
    rule: /a fence is at least the store’s time in µs/,
    break: (parts) => withFence(parts, (_, found) => (found?.fence ?? 0) + 1),
  },
  {
    name: 'a fence that is the time and nothing else',
    rule: /fences strictly increase over release/,
    model: true,
    break: (parts) => withFence(parts, (_fence, _found, now) => now * 1000),
  },
  {
    name: 'a fence beyond 2^53',
    rule: /a safe integer/,
    break: (parts) => withFence(parts, (fence) => fence * 1000),
  },
  {
    name: 'every ask of a waiting caller is counted',
    rule: /a duplicate is counted once for each caller/,
    model: true,
    break: ({ sound }) => ({ claim: (request) => sound.claim({ ...request, again: false }) }),
  },
  {
    name: 'ids are folded to one case',
    rule: /ids that only look alike/,
    break: ({ sound }) => folded(sound, (text) => text.toLowerCase()),
  },
  {
    name: 'ids are brought to one normal form',
    rule: /ids that only look alike/,
    break: ({ sound }) => folded(sound, (text) => text.normalize('NFKC')),
  },
  {
    name: 'trailing spaces of ids are dropped',
    rule: /ids that only look alike/,
    break: ({ sound }) => folded(sound, (text) => text.trimEnd()),
  },
  {
    name: 'scope and key are joined by a colon',
    rule: /ids that only look alike/,
    break: ({ sound }) => refiled(sound, (id) => Buffer.from(`${id.scope}:${id.key}`).toString('base64url')),
  },
  {
    name: 'the digest is compared without regard to case',
    rule: /digests that differ only in the case of a letter/,
    break: ({ sound }) => refiled(sound, (id) => id.digest.toLowerCase()),
  },
  {
    name: 'a NUL ends the key',
    rule: /hostile scopes and keys are ordinary text/,
    break: ({ sound }) => ({
      async get(id) {
        const record = await sound.get(id)
        return record && { ...record, id: { ...record.id, key: record.id.key.replace(/\0.*$/s, '') } }
      },
    }),
  },
]

function claiming({ atomically }: Parts, decide: Claiming): ReturnType<Flaw['break']> {
  return {
    claim: (request) => atomically(request.id.digest, (found, now) => decide(found, request, now)),
  }
}

function withFence(
  parts: Parts,
  fenceOf: (fence: number, found: OperationRecord | undefined, now: number) => number,
): ReturnType<Flaw['break']> {
  return claiming(parts, (found, request, now) => {
    const { write, reply } = transitions.claim(found, request, now)
    const granted = write && reply.state === 'claimed' && write.fence !== found?.fence
    if (!granted) return write ? { write, reply } : { reply }
    const fence = fenceOf(write.fence, found, now)
    return { write: { ...write, fence }, reply: { ...reply, claim: { ...reply.claim, fence } } }
  })
}

function fingerprintOf({ fingerprint }: OperationRecord): Pick<OperationRecord, 'fingerprint'> {
  return fingerprint === undefined ? {} : { fingerprint }
}

/** Files operations under their folded texts. */
function folded(sound: Parts['sound'], fold: (text: string) => string): ReturnType<Flaw['break']> {
  return refiled(sound, (id) =>
    Buffer.from(JSON.stringify([fold(id.scope), fold(id.key)])).toString('base64url'),
  )
}

/** Files operations under another digest, and answers under the digest asked for. */
function refiled(sound: Parts['sound'], digestOf: (id: OperationId) => string): ReturnType<Flaw['break']> {
  const filed = (id: OperationId): OperationId => ({ ...id, digest: digestOf(id) })
  return {
    async claim(request) {
      const reply = await sound.claim({ ...request, id: filed(request.id) })
      return reply.state === 'claimed' ? { ...reply, claim: { ...reply.claim, id: request.id } } : reply
    },
    complete: (claim, ...rest) => sound.complete({ ...claim, id: filed(claim.id) }, ...rest),
    async get(id) {
      const record = await sound.get(filed(id))
      return record && { ...record, id: { ...record.id, digest: id.digest } }
    },
  }
}
