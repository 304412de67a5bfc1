import { after } from '../../core/after.ts'
import { refuseUnknown } from '../../core/known-fields.ts'
import type {
  ClaimReply,
  ClaimRequest,
  Finding,
  OperationCatalog,
  OperationStore,
  TransactionalStore,
} from '../../core/store.ts'
import { type EncryptionKey, keyRing } from './key-ring.ts'
import {
  openOutcome,
  openReason,
  openRecord,
  openStep,
  type Sealing,
  sealedFingerprints,
  sealNote,
  sealOutcome,
  sealReason,
  sealStep,
} from './sealed-fields.ts'

/** Options of {@link encryptedStore}. */
export interface EncryptedStoreOptions {
  /** The key ring: the first key seals, all of them open. For the order in which keys change see docs/encryption.md. */
  readonly keys: readonly EncryptionKey[]
  /**
   * Whether what was stored before the encryption was turned on is read too. Default false. While it is set, whoever can
   * write to the database can plant an unsealed outcome.
   */
  readonly acceptPlain?: boolean
  /** Whether nothing is sealed yet, so that processes without the keys can still read. Needs `acceptPlain`. Default false. */
  readonly writePlain?: boolean
  /**
   * Whether the reasons of held operations and the messages of released ones stay readable to people without the keys.
   * Default false: they are sealed, and cut to 300 bytes. They often quote what failed.
   */
  readonly plainReasons?: boolean
}

type AnyStore = OperationStore & Partial<OperationCatalog> & Partial<TransactionalStore<unknown>>

/**
 * The same store, with what it remembers encrypted: outcomes (values, failures, notes), values of steps, fingerprints,
 * and the reasons why operations are held or were given back. AES-256-GCM, bound to the operation and the place.
 *
 * It keeps the type of the store: catalog, transactions and waiting are those of the store it wraps. What was changed,
 * moved to another operation, or sealed with a key that is not in the ring is `RECORD_CORRUPT` (effect done, never run
 * again). Listings are for people: there such a value is left as it is stored.
 *
 * Limits: scopes, keys, names of steps, states and times stay readable, and so does who resolved a held operation and
 * why. The length of a value shows. Restoring an old record of the same operation as a whole is not noticed.
 *
 * @throws `TypeError` for keys or options that make no sense.
 * @example
 * import { encryptedStore } from 'onceward/encrypted'
 *
 * const store = encryptedStore(sqliteStore('operations.sqlite'), { keys: [{ id: '2026-11', key: process.env.KEY ?? '' }] })
 */
export function encryptedStore<S extends OperationStore>(store: S, options: EncryptedStoreOptions): S {
  if (typeof store?.claim !== 'function') throw new TypeError('encryptedStore needs a store to wrap')
  const sealing = sealingOf(options)
  const replaced = sealedMethods(store, sealing)
  const bound = new Map<PropertyKey, unknown>()
  return new Proxy(store, {
    get(target, name) {
      if (Object.hasOwn(replaced, name)) return Reflect.get(replaced, name) as unknown
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      if (!bound.has(name)) bound.set(name, member.bind(target))
      return bound.get(name)
    },
  })
}

/** The methods through which anything passes that is sealed. */
function sealedMethods(store: AnyStore, sealing: Sealing): Partial<AnyStore> {
  const { list, find, doctor, claimIn, completeIn } = store
  const claim = async (request: ClaimRequest): Promise<ClaimReply> => {
    const reply = await claimSealed(sealing, request, (sealed) => store.claim(sealed))
    try {
      return openReply(sealing, request.id.digest, reply)
    } catch (error) {
      // A finished step that cannot be read stops the work before it begins: the next one may have the key.
      if (reply.state === 'claimed') await store.release(reply.claim).catch(() => false)
      throw error
    }
  }
  return {
    claim,
    checkpoint: (claim, step) => store.checkpoint(claim, sealStep(sealing, claim.id.digest, step)),
    complete: (claim, outcome, retentionMs) =>
      store.complete(claim, sealOutcome(sealing, claim.id.digest, outcome), retentionMs),
    release: (claim, failure) =>
      failure === undefined
        ? store.release(claim)
        : store.release(claim, sealNote(sealing, claim.id.digest, failure)),
    hold: (claim, reason) => store.hold(claim, sealReason(sealing, claim.id.digest, reason)),
    async get(id) {
      const record = await store.get(id)
      return record && openRecord(sealing, id.digest, record, 'throw')
    },
    async resolve(id, resolution) {
      const { as } = resolution
      const sealed =
        as.state === 'done'
          ? { ...resolution, as: { ...as, outcome: sealOutcome(sealing, id.digest, as.outcome) } }
          : resolution
      const reply = await store.resolve(id, sealed)
      return reply.state === 'resolved'
        ? { ...reply, record: openRecord(sealing, id.digest, reply.record, 'leave') }
        : reply
    },
    ...(list && {
      async list(query) {
        const page = await list.call(store, query)
        const records = page.records.map((record) => openRecord(sealing, record.id.digest, record, 'leave'))
        return { ...page, records }
      },
    }),
    ...(find && {
      async find(digest) {
        const record = await find.call(store, digest)
        return record && openRecord(sealing, record.id.digest, record, 'leave')
      },
    }),
    ...(doctor && {
      doctor: async () => [...(await doctor.call(store)), findingOf(sealing)],
    }),
    ...(claimIn && {
      claimIn: (tx, request) =>
        after(
          claimSealed(sealing, request, (sealed) => claimIn.call(store, tx, sealed)),
          (reply) => openReply(sealing, request.id.digest, reply),
        ),
    }),
    ...(completeIn && {
      completeIn: (tx, claim, outcome, retentionMs) =>
        completeIn.call(store, tx, claim, sealOutcome(sealing, claim.id.digest, outcome), retentionMs),
    }),
  }
}

/**
 * Claims with the fingerprint in its sealed form. A record from before a change of keys has it in another form: a reuse
 * is one only when no form of the fingerprint is that of the record. A mismatch changes nothing, so asking again is safe.
 */
function claimSealed(
  sealing: Sealing,
  request: ClaimRequest,
  ask: (request: ClaimRequest) => ClaimReply | Promise<ClaimReply>,
): ClaimReply | Promise<ClaimReply> {
  const { id, fingerprint } = request
  if (fingerprint === undefined) return ask(request)
  const forms = sealedFingerprints(sealing, id.digest, fingerprint)
  const askWith = (at: number): ClaimReply | Promise<ClaimReply> =>
    after(ask({ ...request, fingerprint: forms[at] ?? fingerprint }), (reply) =>
      reply.state === 'reused' && at + 1 < forms.length ? askWith(at + 1) : reply,
    )
  return askWith(0)
}

function openReply(sealing: Sealing, digest: string, reply: ClaimReply): ClaimReply {
  switch (reply.state) {
    case 'claimed':
      return { ...reply, steps: reply.steps.map((step) => openStep(sealing, digest, step)) }
    case 'done':
      return { ...reply, outcome: openOutcome(sealing, digest, reply.outcome) }
    case 'held':
      return { ...reply, reason: openReason(sealing, digest, reply.reason) }
    default:
      return reply
  }
}

function findingOf({ ring, acceptPlain, writePlain }: Sealing): Finding {
  const check = 'encryption'
  if (writePlain) {
    return {
      level: 'warn',
      check,
      message: 'nothing is sealed yet; unset writePlain once every process has the keys',
    }
  }
  const [first] = ring.ids
  if (acceptPlain) {
    return {
      level: 'warn',
      check,
      message: `sealed with key "${first}", and what is not sealed is believed; unset acceptPlain once no record from before is remembered`,
    }
  }
  return { level: 'ok', check, message: `sealed with key "${first}"; ${ring.ids.length} keys open` }
}

/** @throws `TypeError` for what makes no sense. */
function sealingOf(options: EncryptedStoreOptions): Sealing {
  refuseUnknown('encryptedStore', options, ['keys', 'acceptPlain', 'writePlain', 'plainReasons'])
  const { keys, acceptPlain = false, writePlain = false, plainReasons = false } = options
  if (writePlain && !acceptPlain)
    throw new TypeError('writePlain needs acceptPlain: what is written plain must be read too')
  return { ring: keyRing(keys), acceptPlain, writePlain, plainReasons }
}
