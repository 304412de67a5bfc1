/** A request target in the one form that identity and routing share. */
export interface NormalTarget {
  /** Starts with a slash. */
  readonly path: string
  /** As received, without the question mark; empty when there is none. */
  readonly query: string
}

/**
 * Normalises a request target, after RFC 3986 section 6.2.2: escapes of unreserved characters are decoded, other
 * escapes get capital letters, `.` and `..` segments are resolved, runs of slashes become one, scheme and authority of
 * the absolute form and a fragment are dropped. Reserved characters stay as they are: `%2F` is not a slash, and
 * `%252e` is not a dot. A slash at the end counts. The query is left alone.
 *
 * @returns `undefined` for a target that no server should act on: a broken escape, a backslash, a control byte, or
 * neither a path nor the absolute form.
 */
export function normalizeTarget(target: string): NormalTarget | undefined {
  const withoutFragment = before(target, '#')
  const mark = withoutFragment.indexOf('?')
  const query = mark < 0 ? '' : withoutFragment.slice(mark + 1)
  const raw = pathOf(mark < 0 ? withoutFragment : withoutFragment.slice(0, mark))
  const decoded = raw === undefined ? undefined : decodeUnreserved(raw)
  return decoded === undefined ? undefined : { path: resolveSegments(decoded), query }
}

/** Most paths are what they are to be already. */
const IS_PLAIN = /^[A-Za-z0-9/._~-]*$/
const HAS_ODD_SEGMENTS = /\/\/|\/\.{1,2}(?:\/|$)/

function pathOf(text: string): string | undefined {
  if (text.startsWith('/')) return text
  const scheme = text.indexOf('://')
  if (scheme <= 0 || !isScheme(text.slice(0, scheme))) return undefined
  const slash = text.indexOf('/', scheme + 3)
  return slash < 0 ? '/' : text.slice(slash)
}

function isScheme(text: string): boolean {
  return [...text].every((char) => isAlphanumeric(char) || char === '+' || char === '-' || char === '.')
}

function decodeUnreserved(path: string): string | undefined {
  if (IS_PLAIN.test(path)) return path
  let decoded = ''
  for (let at = 0; at < path.length; at++) {
    const char = path[at] as string
    if (char <= ' ' || char === '\\' || char === '\u007f') return undefined
    if (char !== '%') {
      decoded += char
      continue
    }
    const digits = path.slice(at + 1, at + 3)
    if (digits.length < 2 || ![...digits].every(isHexDigit)) return undefined
    const meant = String.fromCharCode(Number.parseInt(digits, 16))
    decoded += isUnreserved(meant) ? meant : `%${digits.toUpperCase()}`
    at += 2
  }
  return decoded
}

function resolveSegments(path: string): string {
  if (!HAS_ODD_SEGMENTS.test(path)) return path
  const kept: string[] = []
  const segments = path.split('/')
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '.' && segment !== '') kept.push(segment)
  }
  const last = segments.at(-1)
  const endsInSlash = kept.length > 0 && (last === '' || last === '.' || last === '..')
  return `/${kept.join('/')}${endsInSlash ? '/' : ''}`
}

function isUnreserved(char: string): boolean {
  return isAlphanumeric(char) || char === '-' || char === '.' || char === '_' || char === '~'
}

function isAlphanumeric(char: string): boolean {
  return (char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z') || (char >= '0' && char <= '9')
}

function isHexDigit(char: string): boolean {
  return (char >= '0' && char <= '9') || (char >= 'a' && char <= 'f') || (char >= 'A' && char <= 'F')
}

function before(text: string, mark: string): string {
  const at = text.indexOf(mark)
  return at < 0 ? text : text.slice(0, at)
}
