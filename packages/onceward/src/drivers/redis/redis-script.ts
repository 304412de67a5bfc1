import { createHash } from 'node:crypto'

/** A fixed Lua script. Its text is never built from input; what varies comes as keys and arguments. */
export interface RedisScript {
  readonly text: string
  /** SHA-1 of the text, by which the server knows it. */
  readonly sha: string
}

/** Makes a script of its text. */
export function redisScript(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
