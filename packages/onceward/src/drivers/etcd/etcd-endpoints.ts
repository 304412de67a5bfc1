import type { EtcdAuth } from './etcd-transport.ts'

/** Where etcd is. */
export interface EtcdEndpoints {
  /** Without a slash at the end and without credentials. */
  readonly urls: readonly string[]
  /** For messages. */
  readonly where: string
  /** The user that a URL names. */
  readonly auth?: EtcdAuth
}

/** Reads client URLs of etcd. @throws `TypeError` for anything else, without showing it: it may hold a password. */
export function etcdEndpoints(given: string | readonly string[]): EtcdEndpoints {
  const list = typeof given === 'string' ? given.split(',') : given
  if (!Array.isArray(list) || list.length === 0) {
    throw new TypeError('etcdLocks needs at least one client URL of etcd, such as "http://127.0.0.1:2379"')
  }
  const urls = list.map(parsed)
  const named = urls.find(({ username }) => username !== '')
  return {
    urls: urls.map(({ origin, pathname }) => `${origin}${pathname.replace(/\/+$/, '')}`),
    where: `etcd at ${urls.map(({ host }) => host).join(', ')}`,
    ...(named
      ? {
          auth: { user: decodeURIComponent(named.username), password: decodeURIComponent(named.password) },
        }
      : {}),
  }
}

function parsed(text: unknown): URL {
  const url = typeof text === 'string' ? urlOf(text.trim()) : undefined
  if (url && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') return url
  throw new TypeError(
    'each endpoint of etcdLocks must be an http or https URL without a query, such as "http://127.0.0.1:2379"',
  )
}

function urlOf(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
