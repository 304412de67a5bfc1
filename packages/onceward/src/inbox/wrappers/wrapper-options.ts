import { checkWork, refuseUnknown } from '../../core/known-fields.ts'
import type { Dead, Inbox } from '../inbox-types.ts'
import { idOf } from '../message-id.ts'

/** What a wrapper needs of an inbox. */
export type ProcessingInbox<Tx> = Pick<Inbox<Tx>, 'process'>

/** What all wrappers take. `M` is a message as its package has it. */
export interface WrapperOptions<M> {
  /** The id of a message: the same in each delivery of it, and in no other message. Default: as the wrapper says. */
  readonly id?: (message: M) => string | undefined
  /** Called, and awaited, when a message is dead by `maxAttempts`, before the broker is told. */
  readonly onDead?: (message: M, dead: Dead) => void | Promise<void>
  /** Told what a delivery has failed with. Must not throw. */
  readonly onError?: (error: unknown, message: M) => void
}

/** Checks what a wrapper is given, before any message comes. @throws `TypeError` with the mend. */
export function checkWrapper(where: string, handler: unknown, options: object, own: readonly string[]): void {
  checkWork(where, handler)
  refuseUnknown(`the options of ${where}`, options, ['id', 'onDead', 'onError', ...own])
}

/** The id of a message. @throws `TypeError` for one without. */
export function wrapperId<M>(message: M, own: WrapperOptions<M>['id'], usual: () => unknown): string {
  return idOf((own ? own(message) : usual()) as string)
}
