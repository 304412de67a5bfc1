/** Headers as a server has them: of `fetch`, or of `node:http` and what is built on it. */
export type WebhookHeaders =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>

/** A request as it came in. */
export interface WebhookRequest {
  readonly headers: WebhookHeaders
  /** The body as it was sent, before any parser: the signature is over these bytes. A text is taken as UTF-8. */
  readonly body: Uint8Array | string
}

/** What a sender whose signature is right has sent. */
export interface WebhookEvent {
  /** The sender's own id of the event: the same in each delivery of it. */
  readonly id: string
  /** What kind of event it is, where the sender says so. */
  readonly type: string | undefined
  /** The body, as JSON. */
  readonly payload: unknown
}

/** Tells true webhooks from false ones. */
export interface Webhooks {
  /**
   * Checks the signature over the raw body, in constant time, and the age where the sender signs a time.
   *
   * @throws `SIGNATURE_INVALID` (401, effect none) that tells what is wrong: a missing header, too old, no match.
   * `REQUEST_INVALID` (400, effect none) where the signature is right and the body cannot be read. `TypeError` for a body that a
   * parser has already been at.
   */
  verify(request: WebhookRequest): WebhookEvent
}
