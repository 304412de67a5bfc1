/** A field such as `Content-Type` or `Content-Disposition`, taken apart. */
export interface MediaField {
  /** What stands before the parameters, in lower case. */
  readonly essence: string
  /** Names in lower case, and values without quotes, in the order sent. */
  readonly parameters: readonly (readonly [name: string, value: string])[]
}

/**
 * How a quote inside quotes is written: `escaped` after a backslash (RFC 9110 section 5.6.4), or `percent` as `%22`, as
 * browsers do in forms, where a backslash is a letter like others.
 */
export type Quoting = 'escaped' | 'percent'

/** The most parameters of a field. */
const MAX_PARAMETERS = 16

/** Reads a field with at most 16 parameters; answers nothing for what is not one. In time linear in its length. */
export function mediaField(text: string, quoting: Quoting): MediaField | undefined {
  const [essence = ''] = /^[^;]*/.exec(text) ?? []
  const parameter =
    quoting === 'escaped'
      ? /[ \t]*;[ \t]*(?:([!#$%&'*+.^`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+)))?/y
      : /[ \t]*;[ \t]*(?:([!#$%&'*+.^`|~\w-]+)=(?:"([^"]*)"|([^\s";]+)))?/y
  const parameters: [string, string][] = []
  let at = essence.length
  for (let count = 0; count < MAX_PARAMETERS; count++) {
    parameter.lastIndex = at
    const found = parameter.exec(text)
    if (found === null) break
    at = parameter.lastIndex
    const [, name, quoted, bare = ''] = found
    if (name !== undefined) parameters.push([name.toLowerCase(), unquoted(quoted, quoting) ?? bare])
  }
  if (/[^ \t]/.test(text.slice(at))) return undefined
  return { essence: essence.trim().toLowerCase(), parameters }
}

function unquoted(quoted: string | undefined, quoting: Quoting): string | undefined {
  return quoting === 'escaped' ? quoted?.replace(/\\(.)/g, '$1') : quoted
}
