/** A request target in the one form that routing, identity and forwarding share. */
export interface Target {
  /** The path: unreserved characters decoded, hex digits in capitals, dot segments resolved. */
  readonly path: string
  /** The query with its `?`, or the empty text. */
  readonly query: string
}

/**
 * Reads a request target in origin form (RFC 9112 section 3.2.1).
 *
 * Answers nothing for what a gateway must not guess about: absolute and authority forms, `//host`, backslashes,
 * fragments, broken percent-encoding, dot segments hidden behind an encoded slash, and `..` after a doubled slash.
 */
export function parseTarget(target: string): Target | undefined {
  if (!ORIGIN_FORM.test(target) || target.startsWith('//')) return undefined
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  const query = question < 0 ? '' : target.slice(question)
  if (query === '?') return normalised(path, '')
  return normalised(path, query)
}

function normalised(path: string, query: string): Target | undefined {
  if (!NEEDS_WORK.test(path)) return { path, query }
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return undefined
  const decoded = path.replace(/%[0-9A-Fa-f]{2}/g, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(character) ? character : encoded.toUpperCase()
  })
  const kept: string[] = []
  const segments = decoded.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    // `/a//..` is `/a/` by the letter, and `/` for a service that merges slashes first.
    if (segment === '..' && kept.pop() === '') return undefined
    if (segment === '.' || segment === '..') {
      if (last) kept.push('')
      continue
    }
    // `..%2Fadmin` is one segment here and two for a service that decodes before it resolves.
    if (segment.split(/%2F|%5C/).some((part) => part === '.' || part === '..')) return undefined
    kept.push(segment)
  }
  const result = `/${kept.join('/')}`
  return result.startsWith('//') ? undefined : { path: result, query }
}

// Visible ASCII without backslash and fragment.
const ORIGIN_FORM = /^\/[\x21\x22\x24-\x5b\x5d-\x7e]*$/
const NEEDS_WORK = /%|\/\.{1,2}(?:\/|$)/
