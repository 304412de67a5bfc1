/** Flags that take no value: what follows them may be an id. */
const BARE = new Set(['--json', '--help', '-h'])

/**
 * Puts an id that begins with a dash behind `--`, where it is not taken for an option. Ids are base64url: one in 64
 * begins so, and whoever copies it from `ls` cannot know that it needs care.
 *
 * A whole id is told by its length, a beginning of one by its single dash, since no option of several letters has one.
 * A beginning with two dashes stays an option: a misspelt one is the likelier meaning.
 */
export function withDashedIdLast(args: readonly string[]): readonly string[] {
  if ((args[0] !== 'show' && args[0] !== 'resolve') || args.includes('--')) return args
  const at = args.findIndex((arg, i) => isDashedId(arg) && !takesValue(args[i - 1] ?? ''))
  const id = args[at]
  return id === undefined ? args : [...args.slice(0, at), ...args.slice(at + 1), '--', id]
}

function isDashedId(arg: string): boolean {
  return /^-(?:[A-Za-z0-9_][A-Za-z0-9_-]{4,41}|[A-Za-z0-9_-]{42})$/.test(arg)
}

function takesValue(arg: string): boolean {
  return arg.startsWith('--') && !arg.includes('=') && !BARE.has(arg)
}
