import assert from 'node:assert/strict'
import type { Claim, OperationId, Outcome } from '../../core/operation.ts'
import type { OperationCatalog, OperationStore } from '../../core/store.ts'
import { nonce, outcomeOf, someId } from '../case-kit.ts'
import type { Rig, StoreCase, StoreHarness } from '../store-harness.ts'
import { anyCommand, type Command } from './model-commands.ts'
import { type ModelClaim, type ModelRequest, ModelStore } from './model-store.ts'

/**
 * Random sequences of commands, by several owners over all connections, against the model. A failure is shrunk.
 * On real time short leases end within the next command; between the commands nothing else does.
 */
export function modelCase(options: StoreHarness['model'] = {}): StoreCase<OperationStore> {
  return {
    name: 'random sequences of commands over all connections agree with a model',
    timeoutMs: 120_000,
    ...(options === false ? { unless: () => 'the harness asks for no model' } : {}),
    async run(rig) {
      const fc = await import('fast-check').catch((cause: unknown) => {
        throw new Error('the model case needs fast-check: npm install --save-dev fast-check', { cause })
      })
      const settings = options === false ? {} : options
      const command = anyCommand(fc, rig.stores.length)
      const details = await fc.check(
        fc.asyncProperty(fc.array(command, { maxLength: 50, size: 'max' }), async (commands) => {
          const run = new ModelRun(rig)
          for (const one of commands) await run.step(one)
          await run.end()
        }),
        {
          numRuns: settings.runs ?? (rig.exactTime ? 100 : 10),
          ...(settings.seed === undefined ? {} : { seed: settings.seed }),
        },
      )
      if (!details.failed) return
      const report = fc.defaultReportMessage(details)
      throw new assert.AssertionError({ message: `the store and the model disagree\n${report}` })
    },
  }
}

/** A time that does not end within any number of runs, in ms: ten years. */
const FOREVER_MS = 315_360_000_000

/** One sequence: the same commands to the store and to the model. */
class ModelRun {
  readonly #rig: Rig<OperationStore>
  readonly #model = new ModelStore()
  readonly #ids: readonly OperationId[] = [someId(), someId()]
  readonly #owners = new Map<number, string>()
  readonly #claims: { readonly real: Claim; readonly model: ModelClaim }[] = []
  readonly #briefMs: number

  constructor(rig: Rig<OperationStore>) {
    this.#rig = rig
    this.#briefMs = rig.exactTime ? 1000 : 1
  }

  async step(command: Command): Promise<void> {
    const store = this.#rig.stores[command.conn] ?? this.#rig.a
    await this.#run(store, command)
    // On real time whatever is brief is let end here, or its end would be a matter of luck.
    if (!this.#rig.exactTime) await this.#pass(this.#briefMs * 3)
    for (const [key, id] of this.#ids.entries()) this.#model.agrees(key, await store.get(id))
  }

  /** Leaves nothing behind that a later sequence could sweep. */
  async end(): Promise<void> {
    await this.#pass(this.#briefMs * 2)
    await this.#sweep(this.#rig.a)
  }

  async #run(store: OperationStore, command: Command): Promise<void> {
    const id = this.#ids[command.key]
    assert.ok(id)
    const model = this.#model
    const duration = (brief: boolean) => (brief ? this.#briefMs : FOREVER_MS)
    if (command.do === 'claim') return this.#claim(store, id, command)
    if (command.do === 'pass') return this.#pass(this.#briefMs * command.part)
    if (command.do === 'sweep') return this.#sweep(store)
    if (command.do === 'purge') return purge(store)
    if (command.do === 'resolve') {
      const fence = model.known(command.key).fence + (command.wrongFence ? 1 : 0)
      const as = command.done
        ? ({ state: 'done', outcome: outcomeOf('found') } as const)
        : ({ state: 'released' } as const)
      const { state } = await store.resolve(id, { fence, as, actor: 'ada', reason: 'looked it up' })
      assert.equal(state, model.resolve(command.key, fence, command.done ? 'found' : undefined), 'resolve')
      return
    }
    if (command.do === 'takeTurn') {
      const known = model.known(command.key)
      const fence = known.fence + (command.wrongFence ? 1 : 0)
      const asks = Math.max(0, known.asks - command.behind)
      const quietMs = duration(command.brief)
      const told = await store.takeTurn(id, { fence, asks, quietMs, holding: command.holding })
      assert.equal(told, model.takeTurn(command.key, fence, asks, quietMs, command.holding), 'takeTurn')
      return
    }
    const chosen = this.#claims.at(-1 - command.of)
    if (!chosen) return
    const { real, model: claim } = chosen
    switch (command.do) {
      case 'renew': {
        const told = await store.renew(real, duration(command.brief))
        assert.equal(told, model.renew(claim, duration(command.brief), told), 'renew')
        return
      }
      case 'checkpoint': {
        const { step: name, done, hold } = command
        const onCrash = hold ? 'hold' : 'rerun'
        const value = new TextEncoder().encode(name)
        const step = done
          ? ({ name, state: 'done', onCrash, value } as const)
          : ({ name, state: 'started', onCrash } as const)
        const told = await store.checkpoint(real, step)
        assert.equal(
          told,
          model.checkpoint(claim, name, { done, hold, value: done ? name : '' }, told),
          'checkpoint',
        )
        return
      }
      case 'complete': {
        const retentionMs = duration(command.forgetful)
        const told = await store.complete(
          real,
          command.failed ? declined() : outcomeOf('receipt'),
          retentionMs,
        )
        const outcome = command.failed ? 'no funds' : 'receipt'
        assert.equal(told, model.complete(claim, outcome, command.failed, retentionMs, told), 'complete')
        return
      }
      case 'release': {
        const told = await store.release(real)
        assert.equal(told, model.release(claim, told), 'release')
        return
      }
      case 'hold': {
        const told = await store.hold(real, 'no reply')
        assert.equal(told, model.hold(claim, told), 'hold')
      }
    }
  }

  async #claim(store: OperationStore, id: OperationId, command: Command & { do: 'claim' }): Promise<void> {
    const { key, who, fresh, fingerprint, onCrash, again } = command
    const owner = (fresh ? undefined : this.#owners.get(who)) ?? nonce()
    this.#owners.set(who, owner)
    const request: ModelRequest = {
      owner,
      fingerprint,
      leaseMs: command.brief ? this.#briefMs : FOREVER_MS,
      retentionMs: command.forgetful ? this.#briefMs : FOREVER_MS,
      onCrash,
      again,
    }
    const { fingerprint: _, ...rest } = request
    const reply = await store.claim({ id, ...rest, ...(fingerprint === undefined ? {} : { fingerprint }) })
    const expected = this.#model.claim(key, request)
    assert.equal(reply.state, expected.state, 'claim')
    if (reply.state !== 'claimed' || expected.state !== 'claimed') return
    const { claim } = reply
    assert.equal(reply.takenOver, expected.takenOver, 'claim tells a takeover')
    assert.equal(claim.attempt, expected.attempt, 'claim tells the attempt')
    if (expected.fence === undefined) this.#model.grant(key, request, expected, claim.fence)
    else assert.equal(claim.fence, expected.fence, 'the same claim has the same fence')
    this.#claims.push({ real: claim, model: { key, owner, fence: claim.fence } })
  }

  async #sweep(store: OperationStore): Promise<void> {
    if (!store.capabilities.listing) return
    assert.equal(await (store as OperationStore & OperationCatalog).sweep(), this.#model.sweep(), 'sweep')
  }

  async #pass(ms: number): Promise<void> {
    await this.#rig.pass(ms)
    this.#model.now += ms
  }
}

/** What it may remove, the model holds for forgotten already: it must make no difference. */
async function purge(store: OperationStore): Promise<void> {
  if (store.capabilities.listing) await (store as OperationStore & OperationCatalog).purge()
}

function declined(): Outcome {
  return { kind: 'failure', failure: { name: 'Declined', message: 'no funds', effect: 'none' } }
}
