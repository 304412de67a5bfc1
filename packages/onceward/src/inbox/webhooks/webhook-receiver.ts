import { checkWork } from '../../core/known-fields.ts'
import type { Inbox, InboxOutcome } from '../inbox-types.ts'
import type { WebhookEvent, WebhookRequest, Webhooks } from './webhook-types.ts'

/** What a receiver is made of. */
export interface WebhookReceiverParts<Tx, T> {
  readonly webhooks: Webhooks
  readonly inbox: Pick<Inbox<Tx>, 'process'>
  /** Writes what the event changes through `tx`; synchronous on SQLite. */
  handler(tx: Tx, event: WebhookEvent): T | Promise<T>
}

/** What became of a webhook. */
export type WebhookOutcome<T> = InboxOutcome<T> & { readonly event: WebhookEvent }

/**
 * Makes a function that takes a webhook: checks it, and runs the handler once for each id in the transaction of the inbox.
 *
 * Answer the sender with 2xx for every outcome, with `error.status` for a `SIGNATURE_INVALID`, and with 5xx for anything else, so
 * that it sends again.
 *
 * @example
 * import type { PoolClient } from 'pg'
 *
 * const receive = webhookReceiver({
 *   webhooks: stripeWebhooks({ secret: process.env['STRIPE_WEBHOOK_SECRET'] ?? '' }),
 *   inbox: createInbox<PoolClient>({ db: pool, consumer: 'stripe' }),
 *   async handler(tx, event) {
 *     await tx.query('INSERT INTO events (id, type) VALUES ($1, $2)', [event.id, event.type])
 *   },
 * })
 */
export function webhookReceiver<Tx, T>(
  parts: WebhookReceiverParts<Tx, T>,
): (request: WebhookRequest) => Promise<WebhookOutcome<T>> {
  checkWork('webhookReceiver', parts.handler)
  return async (request) => {
    const event = parts.webhooks.verify(request)
    const outcome = await parts.inbox.process(event.id, (tx) => parts.handler(tx, event))
    return { ...outcome, event }
  }
}
