import { describe, expect, it } from 'vitest'
import type { MarkRequest, SeenItems } from '../../src/core/seen-items.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { manualTime } from '../../src/testing/manual-time.ts'
import { DEDUPE_CASES } from './dedupe-cases.ts'
import { modelRun } from './dedupe-model.ts'
import type { OpenRig } from './dedupe-rig.ts'

/** What a flaw has to work with. */
interface Parts {
  readonly items: Map<string, { markId: string; expiresAt: number }>
  now(): number
}

interface Flaw {
  readonly name: string
  /** The case that must fail. */
  readonly rule: RegExp
  /** Random calls find it too. */
  readonly model?: true
  readonly breaks: (parts: Parts, sound: SeenItems) => Partial<SeenItems>
}

/** Marks one item after the other, as `decide` says. */
function eachAlone({ items, now }: Parts, decide: (digest: string, request: MarkRequest) => boolean) {
  return async (request: MarkRequest) =>
    request.digests.map((digest) => {
      const found = items.get(digest)
      if (found === undefined || found.expiresAt <= now()) {
        items.set(digest, { markId: request.markId, expiresAt: now() + request.windowMs })
        return true
      }
      return decide(digest, request)
    })
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

const FLAWS: readonly Flaw[] = [
  {
    name: 'looks first and marks later',
    rule: /one of fifty callers/,
    breaks: ({ items, now }) => ({
      async mark({ digests, markId, windowMs }) {
        const found = digests.map((digest) => items.get(digest))
        await turn()
        return digests.map((digest, place) => {
          const before = found[place]
          if (before !== undefined && before.expiresAt > now()) return before.markId === markId
          items.set(digest, { markId, expiresAt: now() + windowMs })
          return true
        })
      },
    }),
  },
  {
    name: 'marks a list only where all of it is new',
    rule: /gives each of many items/,
    model: true,
    breaks: ({ items }, sound) => ({
      async mark(request) {
        if (request.digests.some((digest) => items.has(digest))) return request.digests.map(() => false)
        return sound.mark(request)
      },
    }),
  },
  {
    name: 'takes the repetition of a call for another call',
    rule: /reply was lost/,
    model: true,
    breaks: (parts) => ({ mark: eachAlone(parts, () => false) }),
  },
  {
    name: 'prolongs the window of an item with each repetition of a call',
    rule: /and no other/,
    breaks: (parts) => ({
      mark: eachAlone(parts, (digest, { markId, windowMs, sliding }) => {
        const found = parts.items.get(digest)
        if (found && (sliding || found.markId === markId)) found.expiresAt = parts.now() + windowMs
        return found?.markId === markId
      }),
    }),
  },
  {
    name: 'tells everybody who names a sight that it is the first',
    rule: /and no other/,
    model: true,
    breaks: (parts) => ({ mark: eachAlone(parts, (digest) => parts.items.get(digest) !== undefined) }),
  },
  {
    name: 'does not prolong windows that slide',
    rule: /windows slide/,
    model: true,
    breaks: (parts) => ({
      mark: eachAlone(parts, (digest, { markId }) => parts.items.get(digest)?.markId === markId),
    }),
  },
  {
    name: 'prolongs windows that are fixed',
    rule: /its window from its first sight/,
    model: true,
    breaks: (parts) => ({
      mark: eachAlone(parts, (digest, { markId, windowMs }) => {
        const found = parts.items.get(digest)
        if (found) found.expiresAt = parts.now() + windowMs
        return found?.markId === markId
      }),
    }),
  },
  {
    name: 'remembers for ever',
    rule: /its window from its first sight/,
    model: true,
    breaks: ({ items }) => ({
      async mark({ digests, markId }) {
        return digests.map((digest) => {
          const known = items.get(digest)
          items.set(digest, known ?? { markId, expiresAt: 0 })
          return known === undefined || known.markId === markId
        })
      },
    }),
  },
  {
    name: 'forgets nothing',
    rule: /forgets items/,
    model: true,
    breaks: ({ items }) => ({
      forget: async (digests) => digests.map((digest) => items.has(digest)),
    }),
  },
  {
    name: 'counts what has expired as forgotten',
    rule: /forgets items/,
    model: true,
    breaks: ({ items }) => ({
      forget: async (digests) => digests.map((digest) => items.delete(digest)),
    }),
  },
  {
    name: 'answers in the order of digests',
    rule: /new items in their order/,
    model: true,
    breaks: (_, sound) => ({
      async mark(request) {
        return sound.mark({ ...request, digests: [...request.digests].sort() })
      },
    }),
  },
  {
    name: 'looks at the beginning of digests',
    rule: /gives each of many items/,
    breaks: (_, sound) => ({
      mark: (request) =>
        sound.mark({ ...request, digests: request.digests.map((digest) => digest.slice(0, 1)) }),
    }),
  },
  {
    name: 'purges what is remembered',
    rule: /purges what/,
    model: true,
    breaks: ({ items }) => ({
      async purge(limit) {
        const gone = [...items.keys()].slice(0, limit)
        for (const digest of gone) items.delete(digest)
        return gone.length
      },
    }),
  },
  {
    name: 'purges without bound',
    rule: /purges what/,
    model: true,
    breaks: ({ items, now }) => ({
      async purge() {
        const gone = [...items].filter(([, { expiresAt }]) => expiresAt <= now())
        for (const [digest] of gone) items.delete(digest)
        return gone.length
      },
    }),
  },
]

/** A store in memory whose items are taken apart, with a flaw. */
function rigOf(flaw?: Flaw): OpenRig {
  return async () => {
    const time = manualTime()
    const parts: Parts = { items: new Map(), now: time.now }
    const { items } = parts
    const sound: SeenItems = {
      mark: async (request) =>
        eachAlone(parts, (digest, { markId, windowMs, sliding }) => {
          const found = items.get(digest)
          if (found && sliding) found.expiresAt = time.now() + windowMs
          return found?.markId === markId
        })(request),
      forget: async (digests) =>
        digests.map((digest) => {
          const found = items.get(digest)
          items.delete(digest)
          return found !== undefined && found.expiresAt > time.now()
        }),
      async purge(limit) {
        const gone = [...items].filter(([, { expiresAt }]) => expiresAt <= time.now()).slice(0, limit)
        for (const [digest] of gone) items.delete(digest)
        return gone.length
      },
    }
    const seen: SeenItems = { ...sound, ...flaw?.breaks(parts, sound) }
    const memory = memoryStore({ clock: time })
    const store = { ...memory, seen, purge: (limit?: number) => seen.purge(limit ?? 1000) }
    return {
      stores: [store, store],
      advance: time.advance,
      keepsExpired: true,
      close: () => memory.close(),
    }
  }
}

async function fails(open: OpenRig, run: (typeof DEDUPE_CASES)[number]['run']): Promise<boolean> {
  const rig = await open()
  return run(rig).then(
    () => false,
    () => true,
  )
}

describe('the suite of dedupe', () => {
  it('finds nothing in a store that is sound', async () => {
    for (const { rule, run } of DEDUPE_CASES) expect(await fails(rigOf(), run), rule).toBe(false)
    await modelRun(rigOf(), { runs: 200, seed: 42 })
  })

  for (const flaw of FLAWS) {
    it(`finds a store that ${flaw.name}`, async () => {
      const meant = DEDUPE_CASES.filter(({ rule }) => flaw.rule.test(rule))
      expect(meant.length).toBe(1)
      for (const { run } of meant) expect(await fails(rigOf(flaw), run)).toBe(true)
      if (flaw.model)
        await expect(modelRun(rigOf(flaw), { runs: 1000, seed: 42 })).rejects.toThrow(/Property failed/)
    })
  }
})
