import { createHash } from 'node:crypto'
import { refuseUnknown } from '../../core/known-fields.ts'
import {
  headerOf,
  keysOf,
  matches,
  neededHeader,
  noMatch,
  parsed,
  rawBody,
  refused,
  type Secrets,
} from './signature.ts'
import type { Webhooks } from './webhook-types.ts'

/** Options of `githubWebhooks`. */
export interface GithubWebhooksOptions {
  /** The secret of the webhook, as it was typed there. A list while secrets are rotated. */
  readonly secret: Secrets
  /**
   * What an event is known by. `delivery` (the default): `X-GitHub-Delivery`, the same when it is redelivered. GitHub does not sign
   * that header, nor any time: who has captured a request can send it again under another id. `body`: the SHA-256 of the
   * signed body, which nobody can change; two events with the very same body are then taken for one.
   */
  readonly id?: 'delivery' | 'body'
}

/**
 * Checks webhooks of GitHub (`X-Hub-Signature-256`).
 *
 * Limit: GitHub signs the body and nothing else, so there is no window of time for replays; see {@link GithubWebhooksOptions.id}.
 *
 * @throws `TypeError` for a missing secret, or one of fewer than 16 bytes, at once.
 * @example
 * const webhooks = githubWebhooks({ secret: process.env['GITHUB_WEBHOOK_SECRET'] ?? '' })
 */
export function githubWebhooks(options: GithubWebhooksOptions): Webhooks {
  refuseUnknown('the options of githubWebhooks', options, ['secret', 'id'])
  const { id: kind = 'delivery' } = options
  if (kind !== 'delivery' && kind !== 'body')
    throw new TypeError("id of githubWebhooks must be 'delivery' or 'body'")
  const keys = keysOf('githubWebhooks', options.secret, (secret) => Buffer.from(secret))
  return {
    verify(request) {
      const { headers } = request
      const body = rawBody(request)
      const signature = neededHeader(headers, 'x-hub-signature-256')
      if (!signature.startsWith('sha256=')) throw refused('its signature is not of the kind sha256')
      if (!matches(keys, [body], [Buffer.from(signature.slice(7), 'hex')]))
        throw noMatch('x-hub-signature-256')
      const id =
        kind === 'body'
          ? `sha256:${createHash('sha256').update(body).digest('hex')}`
          : neededHeader(headers, 'x-github-delivery')
      return { id, type: headerOf(headers, 'x-github-event'), payload: parsed(body) }
    },
  }
}
