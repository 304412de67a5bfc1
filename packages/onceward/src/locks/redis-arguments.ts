/** A time as an argument of a script, in whole ms: never shorter than was asked for. */
export function whole(ms: number): string {
  return String(Math.ceil(ms))
}

/** A text that may be absent as an argument of a script, told apart from an empty one. */
export function noted(text: string | undefined): string {
  return text === undefined ? '' : `+${text}`
}
