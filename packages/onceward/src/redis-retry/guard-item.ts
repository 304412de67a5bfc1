import type { RedisArgument } from '../drivers/redis/redis-link.ts'
import type { GuardItem } from './guard-batches.ts'
import type { GuardedOperation } from './guard-context.ts'
import { type AttemptTerms, operationHead } from './guard-lua.ts'

/** An attempt at an operation. To settle it, its commands are not needed. */
export function guardItem(operation: GuardedOperation, settling: boolean, terms: AttemptTerms): GuardItem {
  const { marker, keys, digest, commands, slot, bytes, atomic } = operation
  if (settling) {
    return { marker, keys: [marker], args: [operationHead('s', '', 1, 0, digest, terms)], bytes: 200, slot }
  }
  const [first] = commands
  if (!atomic && first !== undefined) {
    const head = operationHead('c', first.exactly, keys.length, first.words.length, digest, terms)
    return { marker, keys, args: [head, ...first.words], bytes, slot }
  }
  const args: RedisArgument[] = [operationHead('a', '', keys.length, commands.length, digest, terms)]
  for (const { words, exactly } of commands) {
    args.push(`${exactly || '-'}${words.length}`)
    for (const word of words) args.push(word)
  }
  return { marker, keys, args, bytes, slot }
}
