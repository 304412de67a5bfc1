/** What the suites of the outbox share. */
import {
  createOutbox,
  type Outbox,
  type OutboxEvent,
  type OutboxOptions,
  type Relay,
  type RelayEvent,
  type RelayOptions,
} from '../../src/outbox/index.ts'
import type { DatabaseRig } from '../databases/on-each-database.ts'

/** An outbox on a database of its own, and others beside it. */
export interface OutboxRig {
  readonly db: DatabaseRig
  readonly outbox: Outbox
  /** Another one on the same database, over connections of its own, as another process has it. */
  another(options?: Partial<OutboxOptions>): Outbox
  /** Adds events in a transaction of the user. */
  add(...events: readonly OutboxEvent[]): Promise<readonly string[]>
  /** Starts a relay that is quick, and told of. */
  relay(options: RelayOptions, of?: Outbox): Started
  close(): Promise<void>
}

/** A relay with what it has told. */
export interface Started extends Relay {
  readonly told: readonly RelayEvent[]
}

/** What relays of tests have, unless they say otherwise. */
export const QUICK = { pollMs: 20, backOffMs: 10, maxBackOffMs: 50 } as const

/** What a relay could not do, for whoever waits in vain. */
let lastError: unknown

/** Opens a rig. */
export async function outboxRig(
  open: () => Promise<DatabaseRig>,
  options: Partial<OutboxOptions> = {},
): Promise<OutboxRig> {
  const db = await open()
  const made: Outbox[] = []
  const another = (own: Partial<OutboxOptions> = {}) => {
    const outbox = createOutbox({ db: db.open(), ...options, ...own })
    made.push(outbox)
    return outbox
  }
  const outbox = another()
  return {
    db,
    outbox,
    another,
    add: (...events) => db.transact(({ handle }) => outbox.add(handle, events)),
    relay(given, of = outbox) {
      const told: RelayEvent[] = []
      const observer = (event: RelayEvent) => {
        told.push(event)
        if (event.type === 'error') lastError = event.error
      }
      const relay = of.relay({ ...QUICK, observer, ...given })
      relay.start()
      return { ...relay, told }
    },
    async close() {
      await Promise.all(made.map((one) => one.close()))
      await db.close()
    },
  }
}

/** Waits until a condition holds. @throws after 15 s, or what is said. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  mostMs = 15_000,
): Promise<void> {
  const end = Date.now() + mostMs
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`never: ${what}`, { cause: lastError })
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A promise with its ends. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open() }
}
