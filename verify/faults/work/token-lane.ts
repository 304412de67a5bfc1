import type { Prng } from '../../simulation/prng.ts'
import {
  type Answer,
  ask,
  chances,
  Own,
  probeMs,
  sleep,
  type WorkLane,
  type WorkRoom,
  within,
} from './work-room.ts'

/** How many tokens a trial has. */
export const TOKENS = 60

/** Whose they are. */
export const holderOf = (trial: string): string => `${trial}/user`

/** What a token is used for: one in three for whatever comes first. */
export const useOf = (nth: number): 'consume' | 'redeem' | 'either' =>
  nth % 3 === 0 ? 'consume' : nth % 3 === 1 ? 'redeem' : 'either'

/** Uses tokens, several callers each of them at about the same time. */
export async function tokenLane(room: WorkRoom): Promise<WorkLane> {
  const { plan, library, given, sink, crash } = room
  const { noEffect } = library
  const opened = await room.openStore()
  const once = library.createOnce({
    store: opened.store,
    scope: plan.trial,
    leaseMs: plan.leaseMs,
    retentionMs: 3_600_000,
    storeTimeoutMs: plan.timeoutMs,
  })
  const tokens = library.createTokens<{ nth: number }>({ once })
  const scope = holderOf(plan.trial)

  const consume = async (token: string): Promise<Answer> => {
    const reply = await tokens.consume(token, { scope })
    const value = reply.outcome === 'consumed' ? { value: String(reply.payload.nth) } : {}
    return { outcome: reply.outcome, ...value }
  }
  const redeem = async (prng: Prng, call: string, token: string, calm: boolean): Promise<Answer> => {
    const reply = await tokens.attempt(
      token,
      async (op, { nth }) => {
        room.note({ k: 'began', call, item: String(nth) })
        if (!calm && prng.chance(0.15)) throw noEffect(new Own('not now'))
        if (!calm && prng.chance(0.1)) await sleep(plan.leaseMs * prng.between(0.2, 1.5))
        crash('before-effect')
        const effect = { item: String(nth), call, attempt: op.attempt, fence: op.fence }
        await sink({ op: 'effect', trial: plan.trial, ...effect })
        crash('after-effect')
        return { by: call, nth }
      },
      { scope, onCrash: 'hold' },
    )
    return { outcome: reply.outcome, ...('value' in reply ? { value: JSON.stringify(reply.value) } : {}) }
  }
  const use = (prng: Prng, call: string, nth: number, probe: boolean) => {
    const token = given[nth] as string
    const kind = useOf(nth)
    const consumes = kind === 'consume' || (kind === 'either' && prng.chance(0.5))
    const about = consumes ? 'consume' : 'redeem'
    return ask(room, call, { about, item: String(nth), probe }, () =>
      consumes ? consume(token) : redeem(prng, call, token, probe),
    )
  }
  const keepUsing = async (caller: number) => {
    const prng = chances(room, caller)
    for (let count = 0; !room.isOver(); count++) {
      const nth = Math.min(TOKENS - 1, Math.floor(room.passed() * (TOKENS - 3)) + prng.int(4))
      await use(prng, `${room.worker}.${room.life}.${caller}.${count}`, nth, false)
      await sleep(prng.between(5, 40))
    }
  }

  return {
    go: async () =>
      void (await Promise.all(Array.from({ length: plan.callers }, (_, nth) => keepUsing(nth)))),
    async probe() {
      const prng = chances(room, 99)
      for (let nth = 0; nth < TOKENS; nth++) {
        let tries = 0
        const settled = await within(probeMs(plan), async () => {
          const call = `${room.worker}.${room.life}.probe.${nth}.${tries++}`
          const { outcome, value } = await use(prng, call, nth, true)
          return outcome === 'failed' ? value === 'TOKEN_REFUSED' : outcome !== 'running'
        })
        if (!settled) room.note({ k: 'unsettled', what: `token ${nth}` })
      }
    },
    async close() {
      await once.close()
      await opened.close()
    },
  }
}
