import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, it } from 'vitest'
import { createOnce } from '../../core/create-once.ts'
import { operationId } from '../../core/identity.ts'
import type { OperationRecord, Outcome } from '../../core/operation.ts'
import type { OperationStore } from '../../core/store.ts'
import { finalFailure } from '../../core/verdict.ts'
import { memoryStore } from '../memory/index.ts'
import { sqliteStore } from '../sqlite/index.ts'
import { type EncryptedStoreOptions, encryptedStore } from './index.ts'

const KEYS = [{ id: 'k1', key: Buffer.alloc(32, 7) }]
const NEW_KEYS = [{ id: 'k2', key: Buffer.alloc(32, 9) }]
const ID = operationId('shop', 'order 42')
const receipt: Outcome = { kind: 'value', value: new TextEncoder().encode('receipt') }

let owners = 0
const claimOf = (over: object = {}) => ({
  id: ID,
  owner: `owner-${owners++}`,
  leaseMs: 60_000,
  retentionMs: 60_000,
  onCrash: 'hold' as const,
  ...over,
})

async function granted(store: OperationStore, over: object = {}) {
  const reply = await store.claim(claimOf(over))
  if (reply.state !== 'claimed') throw new Error(`not granted: ${reply.state}`)
  return reply.claim
}

/** A memory store with a completed operation that was sealed with `keys`. */
async function sealedBy(options: EncryptedStoreOptions, outcome = receipt, over: object = {}) {
  const inner = memoryStore()
  const store = encryptedStore(inner, options)
  await store.complete(await granted(store, over), outcome, 60_000)
  return { inner, store }
}

/** The same records as somebody has changed them. */
function tampered(
  inner: OperationStore,
  change: (record: OperationRecord) => OperationRecord,
): OperationStore {
  const changed = (outcome: Outcome | undefined) =>
    outcome && change({ outcome, steps: [] } as unknown as OperationRecord).outcome
  return {
    ...inner,
    async claim(request) {
      const reply = await inner.claim(request)
      return reply.state === 'done' ? { ...reply, outcome: changed(reply.outcome) ?? reply.outcome } : reply
    },
    async get(id) {
      const record = await inner.get(id)
      return record && change(record)
    },
  }
}

const corrupt = (message: RegExp) => ({ code: 'RECORD_CORRUPT', effect: 'done', retryable: false, message })

describe('what is stored encrypted', () => {
  it('shows nothing of what went in, wherever it went in', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'onceward-canary-'))
    const inner = sqliteStore(join(folder, 'operations.sqlite'))
    const once = createOnce({
      store: encryptedStore(inner, { keys: KEYS }),
      scope: 'shop',
      leaseMs: 30_000,
      maxValueBytes: 5000,
      reconcile: () => ({ outcome: 'done', value: 'CANARY reconciled' }),
    })
    const settled = (work: Promise<unknown>) => work.catch(() => undefined)
    const canary = (text: string) =>
      Object.assign(new Error(`CANARY ${text}`), { name: 'CANARY', code: 'CANARY' })
    await once.run({ key: 'value', input: 'CANARY input' }, () => ({ card: 'CANARY value' }))
    await settled(
      once.run({ key: 'step', onError: 'release' }, async (op) => {
        await op.step('charge', () => 'CANARY step')
        throw canary('released')
      }),
    )
    await settled(once.run({ key: 'failure' }, () => Promise.reject(finalFailure(canary('failure')))))
    await settled(
      once.run({ key: 'held', reconcile: () => ({ outcome: 'unknown' }) }, () =>
        Promise.reject(canary('held')),
      ),
    )
    await settled(once.run({ key: 'reconciled' }, () => Promise.reject(canary('held, then reconciled'))))
    expect(await once.run({ key: 'reconciled' }, () => 'not run')).toBe('CANARY reconciled')
    await settled(once.run({ key: 'large' }, () => 'CANARY'.repeat(1000)))
    await settled(once.run({ key: 'odd' }, () => ({ CANARY: () => 'a function' })))
    const files = await readdir(folder)
    const dump = Buffer.concat(await Promise.all(files.map((file) => readFile(join(folder, file)))))
    expect(dump.includes('charge')).toBe(true)
    for (const form of [
      'CANARY',
      Buffer.from('CANARY').toString('base64'),
      Buffer.from('CANARY').toString('hex'),
    ])
      expect(dump.includes(form), form).toBe(false)
    // Without the encryption it is all there: the search above is one that finds.
    const plain = await once.get('held')
    expect(plain?.heldReason).toContain('CANARY held')
    await inner.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('is another text each time, so that equal values do not show as equal', async () => {
    const { inner } = await sealedBy({ keys: KEYS })
    const { inner: other } = await sealedBy({ keys: KEYS })
    expect((await inner.get(ID))?.outcome).not.toEqual((await other.get(ID))?.outcome)
  })

  it('has fingerprints that cannot be guessed, and that are compared all the same', async () => {
    const { inner, store } = await sealedBy({ keys: KEYS }, receipt, { fingerprint: 'small' })
    expect((await inner.get(ID))?.fingerprint).not.toContain('small')
    expect((await store.get(ID))?.fingerprint).toBe('small')
    expect(await store.claim(claimOf({ fingerprint: 'small' }))).toMatchObject({ state: 'done' })
    expect(await store.claim(claimOf({ fingerprint: 'other' }))).toEqual({ state: 'reused' })
    const elsewhere = operationId('shop', 'order 43')
    await store.claim(claimOf({ id: elsewhere, fingerprint: 'small' }))
    expect((await inner.get(elsewhere))?.fingerprint).not.toBe((await inner.get(ID))?.fingerprint)
  })

  it.each<[string, Outcome]>([
    ['a value', receipt],
    ['an empty value', { kind: 'value', value: new Uint8Array() }],
    ['a large value', { kind: 'value', value: new Uint8Array(1_048_576).fill(65) }],
    [
      'a failure',
      { kind: 'failure', failure: { name: 'Declined', message: 'no 💳', code: 'E42', effect: 'unknown' } },
    ],
    ['a failure without a code', { kind: 'failure', failure: { name: '', message: '', effect: 'none' } }],
    ['what cannot be replayed', { kind: 'unreplayable', reason: 'too large' }],
    [
      'what cannot be replayed, with a note',
      { kind: 'unreplayable', reason: 'sealed: nothing', note: new TextEncoder().encode('201') },
    ],
  ])('comes back as it was: %s', async (_name, outcome) => {
    const { store, inner } = await sealedBy({ keys: KEYS }, outcome)
    const reply = await store.claim(claimOf())
    // A megabyte is compared at once, not number by number.
    expect(isDeepStrictEqual(reply.state === 'done' && reply.outcome, outcome)).toBe(true)
    expect(isDeepStrictEqual((await inner.get(ID))?.outcome, outcome)).toBe(false)
  })

  it('keeps reasons to 300 bytes, so that their sealed form fits, also with the longest id of a key', async () => {
    const keys = [{ id: 'x'.repeat(32), key: Buffer.alloc(32, 3) }]
    for (const [reason, kept] of [
      ['short', 'short'],
      ['x'.repeat(300), 'x'.repeat(300)],
      ['x'.repeat(301), `${'x'.repeat(297)}…`],
      ['💳'.repeat(400), `${'💳'.repeat(74)}…`],
    ] as const) {
      const inner = memoryStore()
      const store = encryptedStore(inner, { keys })
      const claim = await granted(store)
      await store.hold(claim, reason)
      const record = await store.get(ID)
      expect(record?.heldReason).toBe(kept)
      expect(record?.history.at(-1)?.note).toBe(kept)
      expect(await store.claim(claimOf())).toMatchObject({ state: 'held', reason: kept })
      expect((await inner.get(ID))?.heldReason?.length).toBeLessThanOrEqual(500)
    }
  })

  it('tells why an operation was given back, to those who have the key', async () => {
    const inner = memoryStore()
    const store = encryptedStore(inner, { keys: KEYS })
    await store.release(await granted(store), { name: 'Declined', message: 'card 4242', effect: 'none' })
    expect((await store.get(ID))?.history.at(-1)?.note).toBe('Declined: card 4242')
    expect((await inner.get(ID))?.history.at(-1)?.note).toMatch(/^sealed: /)
  })
})

describe('what was tampered with', () => {
  it('is refused wherever a byte was changed or cut off, and never run again', async () => {
    const { inner } = await sealedBy({ keys: KEYS })
    const stored = (await inner.get(ID))?.outcome
    if (stored?.kind !== 'value') throw new Error('no value')
    const bytes = stored.value
    const forms = [
      ...Array.from(bytes, (byte, at) => {
        const flipped = Uint8Array.from(bytes)
        flipped[at] = byte ^ 1
        return flipped
      }),
      ...[0, 1, 4, 5, 20, bytes.length - 1].map((length) => bytes.slice(0, length)),
      Uint8Array.from([...bytes, 0]),
    ]
    for (const value of forms) {
      const store = encryptedStore(
        tampered(inner, (record) => ({ ...record, outcome: { kind: 'value', value } })),
        { keys: KEYS },
      )
      await expect(store.claim(claimOf())).rejects.toMatchObject(corrupt(/not run again/))
      await expect(store.get(ID)).rejects.toMatchObject(corrupt(/not run again/))
    }
    let ran = 0
    const value = forms[30] ?? new Uint8Array()
    const store = encryptedStore(
      tampered(inner, (record) => ({ ...record, outcome: { kind: 'value', value } })),
      { keys: KEYS },
    )
    const once = createOnce({ store, scope: 'shop' })
    await expect(once.run({ key: 'order 42' }, () => ran++)).rejects.toMatchObject(corrupt(/order|operation/))
    expect(ran).toBe(0)
  })

  it('is refused under another operation, and where a step stands for an outcome', async () => {
    const { inner } = await sealedBy({ keys: KEYS })
    const stolen = (await inner.get(ID))?.outcome
    const other = memoryStore()
    const store = encryptedStore(other, { keys: KEYS })
    const id = operationId('shop', 'order 43')
    const claim = await granted(store, { id })
    await other.complete(claim, stolen ?? receipt, 60_000)
    await expect(store.claim(claimOf({ id }))).rejects.toMatchObject(corrupt(/belongs to another operation/))

    const steps = memoryStore()
    const stepping = encryptedStore(steps, { keys: KEYS })
    const step = { name: 'charge', state: 'done', onCrash: 'hold', value: new Uint8Array([1, 2]) } as const
    const stepped = await granted(stepping)
    await stepping.checkpoint(stepped, step)
    const sealed = (await steps.get(ID))?.steps[0]?.value
    await steps.complete(stepped, { kind: 'value', value: sealed ?? new Uint8Array() }, 60_000)
    await expect(stepping.claim(claimOf())).rejects.toMatchObject(corrupt(/does not open/))
  })

  it('is refused where the effect of a failure was changed', async () => {
    const failure = { name: 'Declined', message: 'no funds', effect: 'unknown' } as const
    const { inner } = await sealedBy({ keys: KEYS }, { kind: 'failure', failure })
    const store = encryptedStore(
      tampered(inner, (record) =>
        record.outcome?.kind === 'failure'
          ? {
              ...record,
              outcome: { kind: 'failure', failure: { ...record.outcome.failure, effect: 'none' } },
            }
          : record,
      ),
      { keys: KEYS },
    )
    await expect(store.claim(claimOf())).rejects.toMatchObject(corrupt(/does not open/))
  })

  it('keeps a finished step from being run again: its operation is given back, with the step', async () => {
    const inner = memoryStore()
    const store = encryptedStore(inner, { keys: KEYS })
    const claim = await granted(store)
    const step = { name: 'charge', state: 'done', onCrash: 'hold', value: new Uint8Array([1, 2]) } as const
    await store.checkpoint(claim, step)
    await store.release(claim)
    const withoutKey = encryptedStore(inner, { keys: NEW_KEYS })
    await expect(withoutKey.claim(claimOf())).rejects.toMatchObject(corrupt(/key "k1", which is not among/))
    expect(await inner.get(ID)).toMatchObject({ state: 'released', steps: [{ name: 'charge' }] })
    const reply = await store.claim(claimOf())
    expect(reply).toMatchObject({ state: 'claimed', steps: [step] })
  })
})

describe('the keys', () => {
  it('are told by their id where one is missing, with the mend and without any key', async () => {
    const { inner } = await sealedBy({ keys: KEYS })
    const store = encryptedStore(inner, { keys: NEW_KEYS })
    const error = await store.claim(claimOf()).catch((thrown: unknown) => thrown as Error)
    expect(error).toMatchObject(
      corrupt(/sealed with key "k1", which is not among the keys \(k2\); add it at the end/),
    )
  })

  it('are told where another key has taken an id', async () => {
    const { inner } = await sealedBy({ keys: KEYS })
    const store = encryptedStore(inner, { keys: [{ id: 'k1', key: Buffer.alloc(32, 8) }] })
    await expect(store.claim(claimOf())).rejects.toMatchObject(corrupt(/the key of that id is another one/))
  })

  it('are changed by a new one in front: old records open, new ones are sealed with it', async () => {
    const { inner } = await sealedBy({ keys: KEYS }, receipt, { fingerprint: 'small' })
    const store = encryptedStore(inner, { keys: [...NEW_KEYS, ...KEYS] })
    expect(await store.claim(claimOf({ fingerprint: 'small' }))).toMatchObject({
      state: 'done',
      outcome: receipt,
    })
    expect(await store.claim(claimOf({ fingerprint: 'other' }))).toEqual({ state: 'reused' })
    const id = operationId('shop', 'order 43')
    await store.complete(await granted(store, { id }), receipt, 60_000)
    const onlyNew = encryptedStore(inner, { keys: NEW_KEYS })
    expect(await onlyNew.claim(claimOf({ id }))).toMatchObject({ state: 'done', outcome: receipt })
    await expect(onlyNew.claim(claimOf())).rejects.toMatchObject({ code: 'RECORD_CORRUPT' })
    // What it repeats cannot be compared any more.
    expect(await onlyNew.claim(claimOf({ fingerprint: 'small' }))).toEqual({ state: 'reused' })
  })

  it('may be bytes, base64 or base64url, and changing the bytes later changes nothing', async () => {
    const key = Buffer.alloc(32, 0xfb)
    const { inner } = await sealedBy({ keys: [{ id: 'k', key: Buffer.from(key) }] })
    const own = Buffer.from(key)
    const stores = [own, key.toString('base64'), key.toString('base64url')].map((form) =>
      encryptedStore(inner, { keys: [{ id: 'k', key: form }] }),
    )
    own.fill(1)
    for (const store of stores) expect(await store.claim(claimOf())).toMatchObject({ state: 'done' })
  })

  it.each([
    ['no keys', { keys: [] }, /needs keys/],
    ['nothing', undefined, /must be an object/],
    [
      'a short key',
      { keys: [{ id: 'k', key: Buffer.alloc(16, 1) }] },
      /32 bytes, or their base64, not 16 bytes/,
    ],
    ['a text that is no key', { keys: [{ id: 'k', key: 'hunter2' }] }, /not a text that is neither/],
    ['zeros', { keys: [{ id: 'k', key: Buffer.alloc(32) }] }, /all zeros/],
    ['an id twice', { keys: [...KEYS, ...KEYS] }, /two keys have the id "k1"/],
    ['an id with spaces', { keys: [{ id: 'my key', key: Buffer.alloc(32, 1) }] }, /the id of a key/],
    ['a long id', { keys: [{ id: 'x'.repeat(33), key: Buffer.alloc(32, 1) }] }, /1 to 32 letters/],
    ['an unknown option', { keys: KEYS, cipher: 'rot13' }, /unknown field "cipher"/],
    ['plain writing that is not read', { keys: KEYS, writePlain: true }, /writePlain needs acceptPlain/],
  ])('that make no sense are refused at once: %s', (_name, options, message) => {
    const make = () => encryptedStore(memoryStore(), options as unknown as EncryptedStoreOptions)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
    try {
      make()
    } catch (error) {
      expect(String(error)).not.toContain('hunter2')
    }
  })
})

describe('records from before the encryption', () => {
  async function plainRecord() {
    const inner = memoryStore()
    await inner.complete(await granted(inner, { fingerprint: 'small' }), receipt, 60_000)
    return inner
  }

  it('are refused unless they are accepted, and are never taken for sealed ones', async () => {
    const inner = await plainRecord()
    const strict = encryptedStore(inner, { keys: KEYS })
    await expect(strict.get(ID)).rejects.toMatchObject(corrupt(/not sealed; set acceptPlain/))
    await expect(strict.claim(claimOf())).rejects.toMatchObject({ code: 'RECORD_CORRUPT' })
    const accepting = encryptedStore(inner, { keys: KEYS, acceptPlain: true })
    expect(await accepting.claim(claimOf({ fingerprint: 'small' }))).toMatchObject({
      state: 'done',
      outcome: receipt,
    })
    expect(await accepting.claim(claimOf({ fingerprint: 'other' }))).toEqual({ state: 'reused' })
  })

  it('that failed are refused and accepted in the same way', async () => {
    const inner = memoryStore()
    const failure = { name: 'sealed', message: 'not really', effect: 'none' } as const
    await inner.complete(await granted(inner), { kind: 'failure', failure }, 60_000)
    await expect(encryptedStore(inner, { keys: KEYS }).get(ID)).rejects.toMatchObject({
      code: 'RECORD_CORRUPT',
    })
    const accepting = encryptedStore(inner, { keys: KEYS, acceptPlain: true })
    expect(await accepting.claim(claimOf())).toMatchObject({ state: 'done', outcome: { failure } })
  })

  it('are readable in every stage of turning it on, by the processes of the stage before and after', async () => {
    const stages: readonly (EncryptedStoreOptions | undefined)[] = [
      undefined,
      { keys: KEYS, acceptPlain: true, writePlain: true },
      { keys: KEYS, acceptPlain: true },
    ]
    for (let stage = 0; stage + 1 < stages.length; stage++) {
      for (const [writer, reader] of [
        [stages[stage], stages[stage + 1]],
        [stages[stage + 1], stages[stage]],
      ]) {
        const inner = memoryStore()
        const write = writer ? encryptedStore(inner, writer) : inner
        const read = reader ? encryptedStore(inner, reader) : inner
        await write.complete(await granted(write, { fingerprint: 'small' }), receipt, 60_000)
        const reply = await read.claim(claimOf({ fingerprint: 'small' }))
        expect(reply).toMatchObject({ state: 'done', outcome: receipt })
      }
    }
  })
})

describe('the encrypted store', () => {
  it('leaves what does not open as it is stored where it is only shown', async () => {
    const { inner } = await sealedBy({ keys: KEYS })
    const store = encryptedStore(inner, { keys: NEW_KEYS })
    const stored = await inner.get(ID)
    expect((await store.list({})).records).toEqual([stored])
    expect(await store.find(ID.digest.slice(0, 8))).toEqual(stored)
  })

  it('is the store it wraps in everything else', async () => {
    const inner = sqliteStore(':memory:')
    const store = encryptedStore(inner, { keys: KEYS })
    expect(store.capabilities).toBe(inner.capabilities)
    expect(store.database).toBe(inner.database)
    expect(store.stats).toBe(store.stats)
    expect(await store.stats()).toMatchObject({ done: 0 })
    await store.close()
    await expect(inner.get(ID)).rejects.toMatchObject({ code: 'CLOSED' })
    const bare = { ...memoryStore(), list: undefined, find: undefined, doctor: undefined }
    expect(encryptedStore(bare as unknown as OperationStore, { keys: KEYS })).not.toHaveProperty('claimIn')
    expect(
      (encryptedStore(bare as unknown as OperationStore, { keys: KEYS }) as { list?: unknown }).list,
    ).toBe(undefined)
  })

  it('replays in transactions, and rolls back what does not open', async () => {
    const inner = sqliteStore(':memory:')
    await inner.migrate()
    const once = createOnce({ store: encryptedStore(inner, { keys: KEYS }), scope: 'shop', cache: false })
    const place = (one: typeof once) => one.transaction({ key: 'order 42' }, () => ({ at: new Date(0) }))
    expect(await place(once)).toEqual({ at: new Date(0) })
    expect(await place(once)).toEqual({ at: new Date(0) })
    const wrong = createOnce({ store: encryptedStore(inner, { keys: NEW_KEYS }), scope: 'shop' })
    await expect(place(wrong)).rejects.toMatchObject({ code: 'RECORD_CORRUPT', effect: 'done' })
    await inner.close()
  })

  it.each([
    ['ok', { keys: [...KEYS, ...NEW_KEYS] }, /sealed with key "k1"; 2 keys open/],
    ['warn', { keys: KEYS, acceptPlain: true }, /unset acceptPlain/],
    ['warn', { keys: KEYS, acceptPlain: true, writePlain: true }, /unset writePlain/],
  ])('tells the doctor how it stands: %s', async (level, options, message) => {
    const findings = await encryptedStore(memoryStore(), options).doctor()
    expect(findings.at(-1)).toMatchObject({ level, check: 'encryption', message })
  })
})
