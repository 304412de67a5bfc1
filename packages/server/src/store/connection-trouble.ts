import { CommandError, EXIT } from '../exit-codes.ts'
import type { OpenOptions } from './catalog-store.ts'

/** What errors of the network and of TLS mean, and the mend. */
const MENDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there; start the server, or correct host and port',
  ENOTFOUND: 'there is no such host; correct its name',
  EAI_AGAIN: 'its name cannot be looked up now; see whether the network is up',
  ETIMEDOUT: 'it does not answer; see whether it is up and a firewall lets you through',
  EHOSTUNREACH: 'there is no way to that host; see whether it is up',
  ENETUNREACH: 'there is no way to that network; see whether it is up',
  ECONNRESET: 'it broke the connection; see whether it is healthy, and whether it speaks TLS or not',
  EPROTO: 'the TLS handshake failed; see whether the server speaks TLS on that port',
  ERR_SSL_WRONG_VERSION_NUMBER:
    'it does not speak TLS on that port; use the scheme without s, or its TLS port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    'it does not speak TLS on that port; use the scheme without s, or its TLS port',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted; give its authority in NODE_EXTRA_CA_CERTS',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted; give its authority in NODE_EXTRA_CA_CERTS',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate is not trusted; give its authority in NODE_EXTRA_CA_CERTS',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    'its certificate is not trusted; give its authority in NODE_EXTRA_CA_CERTS',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host; use the name that is in it',
  CERT_HAS_EXPIRED: 'its certificate has expired; renew it',
}

/** One line about why a connection could not be made, with the mend where it is known. */
export function connectionTrouble(error: unknown): string {
  const reasons = reasonsOf(error)
  for (const { code, message } of reasons) {
    const known = code ?? /\b(E[A-Z_]{4,})\b/.exec(message)?.[1] ?? ''
    const mend = MENDS[known]
    if (mend !== undefined) return `${mend} (${known})`
  }
  return reasons[0]?.message.split('\n', 1)[0] ?? String(error)
}

interface Reason {
  readonly code: string | undefined
  readonly message: string
}

/** An error and what led to it; a host with several addresses has an error for each. */
function reasonsOf(error: unknown, depth = 0): readonly Reason[] {
  if (!(error instanceof Error) || depth > 4) return []
  const { code } = error as { readonly code?: unknown }
  const own: Reason = { code: typeof code === 'string' ? code : undefined, message: error.message }
  const inner = error instanceof AggregateError ? error.errors : [error.cause]
  return [own, ...inner.flatMap((one) => reasonsOf(one, depth + 1))]
}

/** The error for a store that cannot be reached. */
export function unreachable(flag: string, shown: string, error: unknown): CommandError {
  return new CommandError(EXIT.store, `${flag} ${shown}: ${connectionTrouble(error)}`, { cause: error })
}

/** Tells of the first trouble after each time that all was well; a server that is down is not news every second. */
export function connectionNews(
  shown: string,
  tell: OpenOptions['onConnection'],
): {
  lost(error: unknown): void
  back(): void
} {
  let isLost = false
  return {
    lost(error) {
      if (isLost) return
      isLost = true
      tell?.('lost', `${shown}: ${connectionTrouble(error)}`)
    },
    back() {
      if (!isLost) return
      isLost = false
      tell?.('back', shown)
    },
  }
}
