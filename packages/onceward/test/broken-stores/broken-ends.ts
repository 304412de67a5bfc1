import type { Claim, OperationRecord } from '../../src/core/operation.ts'
import { transitionMethods } from '../../src/core/transition-port.ts'
import * as transitions from '../../src/core/transitions.ts'
import { checkpoint, complete, hold, release, renew } from '../../src/core/transitions.ts'
import { type Flaw, type Parts, torn } from './broken-rig.ts'

/** Flaws in what owners may do, and in what is stored. */
export const brokenEnds: readonly Flaw[] = [
  ...(['renew', 'checkpoint', 'complete', 'release', 'hold'] as const).flatMap((method): readonly Flaw[] => [
    {
      name: `${method} without a look at the owner`,
      rule: new RegExp(`^${method} needs the owner and the fence of the claim`),
      break: (parts) =>
        guardless(parts, method, (claim, found) => ({ ...claim, owner: found?.owner ?? claim.owner })),
    },
    {
      name: `${method} without a look at the fence`,
      rule: new RegExp(`^${method} needs the owner and the fence of the claim`),
      break: (parts) =>
        guardless(parts, method, (claim, found) => ({ ...claim, fence: found?.fence ?? claim.fence })),
    },
  ]),
  {
    name: 'a stale owner may renew what was taken over',
    rule: /an owner whose operation was taken over changes nothing/,
    model: true,
    break: (parts) =>
      guardless(parts, 'renew', (claim, found) => ({
        ...claim,
        owner: found?.owner ?? '',
        fence: found?.fence ?? 0,
      })),
  },
  {
    name: 'a held operation may be completed by its late owner',
    rule: /an owner whose operation was held by its owner changes nothing/,
    model: true,
    break: ({ atomically }) => ({
      complete: (claim, outcome, retentionMs) =>
        atomically(claim.id.digest, (found, now) =>
          transitions.complete(
            found?.state === 'held' ? { ...found, state: 'running' } : found,
            claim,
            outcome,
            retentionMs,
            now,
          ),
        ),
    }),
  },
  {
    name: 'done may be overwritten by its owner',
    rule: /a done operation keeps its first outcome/,
    model: true,
    break: ({ atomically }) => ({
      complete: (claim, outcome, retentionMs) =>
        atomically(claim.id.digest, (found, now) =>
          transitions.complete(
            found?.state === 'done' ? { ...found, state: 'running' } : found,
            claim,
            outcome,
            retentionMs,
            now,
          ),
        ),
    }),
  },
  ...(['complete', 'release', 'hold'] as const).map(
    (method): Flaw => ({
      name: `${method} asked again after a lost reply is refused`,
      rule: new RegExp(`^${method} repeated after its reply was lost`),
      model: true,
      break: ({ sound }) => ({
        [method]: async (claim: Claim, ...rest: unknown[]) => {
          if ((await sound.get(claim.id))?.state !== 'running') return false
          return Reflect.apply(sound[method], sound, [claim, ...rest])
        },
      }),
    }),
  ),
  {
    name: 'ends that read and then write',
    rule: /concurrent complete, release and hold exactly one/,
    break: (parts) => {
      const { complete, release, hold } = transitionMethods(torn(parts))
      return { complete, release, hold }
    },
  },
  {
    name: 'checkpoints that read and then write',
    rule: /concurrent checkpoints of one claim are all kept/,
    break: (parts) => ({ checkpoint: transitionMethods(torn(parts)).checkpoint }),
  },
  {
    name: 'a lapsed claim cannot be renewed though nobody took it',
    rule: /a lapsed claim that nobody has taken can still be renewed/,
    model: true,
    break: ({ sound, clock }) => ({
      async renew(claim, leaseMs) {
        const record = await sound.get(claim.id)
        return record !== undefined && clock.now() < record.leaseUntil && sound.renew(claim, leaseMs)
      },
    }),
  },
  {
    name: 'renew says yes and does nothing',
    rule: /renew prolongs the lease from now/,
    model: true,
    break: ({ sound }) => ({ renew: async (claim) => sound.renew(claim, 0) }),
  },
  {
    name: 'held expires',
    rule: /what could hide an effect never expires/,
    model: true,
    break: ({ sound, records, clock }) => ({
      async claim(request) {
        const record = records.get(request.id.digest)
        if (record?.state === 'held' && clock.now() >= record.updatedAt + record.retentionMs)
          records.delete(request.id.digest)
        return sound.claim(request)
      },
      async get(id) {
        const record = await sound.get(id)
        return record?.state === 'held'
          ? { ...record, expiresAt: record.updatedAt + record.retentionMs }
          : record
      },
    }),
  },
  {
    name: 'done is forgotten early',
    rule: /a done operation is remembered until its retention ends/,
    model: true,
    break: ({ sound, clock }) => ({
      get: async (id) => {
        const record = await sound.get(id)
        return record?.expiresAt !== undefined && clock.now() + 500 >= record.expiresAt ? undefined : record
      },
    }),
  },
  {
    name: 'done is never forgotten',
    rule: /a done operation is remembered until its retention ends, and not longer/,
    model: true,
    break: ({ sound }) => ({
      complete: (claim, outcome, retentionMs) => sound.complete(claim, outcome, retentionMs * 2),
    }),
  },
  {
    name: 'the retention is the one asked at the claim',
    rule: /the retention is the one given at completion/,
    break: ({ sound }) => ({
      async complete(claim, outcome) {
        return sound.complete(claim, outcome, (await sound.get(claim.id))?.retentionMs ?? 1)
      },
    }),
  },
  {
    name: 'a history without an end',
    rule: /keeps the newest 16 entries/,
    break: ({ sound }) => ({
      async get(id) {
        const record = await sound.get(id)
        return record && { ...record, history: [...record.history, ...record.history] }
      },
    }),
  },
  {
    name: 'values stored as text',
    rule: /a value comes back byte for byte/,
    break: ({ sound }) => ({
      complete: (claim, outcome, retentionMs) =>
        sound.complete(
          claim,
          outcome.kind === 'value'
            ? { kind: 'value', value: Buffer.from(Buffer.from(outcome.value).toString()) }
            : outcome,
          retentionMs,
        ),
    }),
  },
  {
    name: 'the code of a failure is lost',
    rule: /a failure comes back with all its fields/,
    break: ({ sound }) => ({
      complete(claim, outcome, retentionMs) {
        if (outcome.kind !== 'failure') return sound.complete(claim, outcome, retentionMs)
        const { code: _, ...failure } = outcome.failure
        return sound.complete(claim, { kind: 'failure', failure }, retentionMs)
      },
    }),
  },
  {
    name: 'records shared by reference',
    rule: /every answer is a copy/,
    break: byReference,
  },
  {
    name: 'bytes shared with the caller',
    rule: /changing the bytes handed in/,
    break: byReference,
  },
]

type Decide = (...args: unknown[]) => transitions.Transition<boolean>

function guardless(
  { atomically }: Parts,
  method: 'renew' | 'checkpoint' | 'complete' | 'release' | 'hold',
  believe: (claim: Claim, found: OperationRecord | undefined) => Claim,
): ReturnType<Flaw['break']> {
  return {
    [method]: (claim: Claim, ...rest: unknown[]) =>
      atomically(claim.id.digest, (found, now) => {
        const decide = { renew, checkpoint, complete, release, hold }[method] as Decide
        const given = method === 'release' && rest.length === 0 ? [undefined] : rest
        return decide(found, believe(claim, found), ...given, now)
      }),
  }
}

function byReference({ records, clock }: Parts): ReturnType<Flaw['break']> {
  return transitionMethods(async (digest, step) => {
    const { write, reply } = step(records.get(digest), clock.now())
    if (write) records.set(digest, write)
    return reply
  })
}
