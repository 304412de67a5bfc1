import type { SeenItems } from '../../core/seen-items.ts'
import {
  failure,
  type RedisConnection,
  type RedisScript,
  type ReplicaWait,
  redisScript,
} from '../../drivers/redis/index.ts'
import type { KeyLayout } from './key-layout.ts'

/** Tells for each key whether this call has marked it. */
const MARK_LUA = /* lua */ `
local mark, window, sliding = ARGV[1], ARGV[2], ARGV[3] == '1'
local mine = {}
for i = 1, #KEYS do
  if redis.call('SET', KEYS[i], mark, 'NX', 'PX', window) then
    mine[i] = 1
  else
    local by = redis.call('GET', KEYS[i])
    mine[i] = by == mark and 1 or 0
    if sliding then redis.call('SET', KEYS[i], by, 'PX', window) end
  end
end
return mine
`

const FORGET_LUA = /* lua */ `
local gone = {}
for i = 1, #KEYS do gone[i] = redis.call('UNLINK', KEYS[i]) end
return gone
`

/** So many keys are one script, so that others have their turn between two. They are sent together. */
const PART = 1000

/** What marking needs of its store. */
interface SeenParts {
  readonly connection: RedisConnection
  readonly layout: KeyLayout
  readonly wait: ReplicaWait | undefined
}

/**
 * Remembers items as keys of their own that the server expires: the bytes of the digest in the key, the nonce of the call as
 * the value. One round trip a call; in a cluster one to each node.
 */
export function redisSeen(
  { connection, layout, wait }: SeenParts,
  call: <T>(body: () => Promise<T>) => Promise<T>,
): SeenItems {
  const [markScript, forgetScript] = [redisScript(MARK_LUA), redisScript(FORGET_LUA)]

  const run = async (script: RedisScript, keys: readonly Buffer[], args: readonly (string | Buffer)[]) => {
    if (!wait) return connection.script(script, keys, args)
    const [reply, acknowledged] = await connection.scriptAcknowledged(script, keys, args, wait)
    if (acknowledged >= wait.replicas) return reply
    throw failure(
      'STORE_UNAVAILABLE',
      `${acknowledged} of ${wait.replicas} replicas of ${connection.where} acknowledged a write within ${wait.timeoutMs} ms; bring the replicas back, or ask for fewer`,
    )
  }
  /** Runs a script over all digests, and tells for each whether its key was answered with 1. */
  const overAll = async (
    script: RedisScript,
    digests: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<readonly boolean[]> => {
    const answers: boolean[] = new Array<boolean>(digests.length).fill(false)
    const groups = connection.cluster ? byBucket(layout, digests) : [[...digests.keys()]]
    await Promise.all(
      groups.flatMap(inParts).map(async (places) => {
        const keys = places.map((place) => keyOf(layout, digests[place] as string))
        const reply = (await run(script, keys, args)) as readonly unknown[]
        places.forEach((place, at) => {
          answers[place] = reply[at] === 1
        })
      }),
    )
    return answers
  }

  return {
    mark: ({ digests, markId, windowMs, sliding }) =>
      call(() =>
        overAll(markScript, digests, [
          Buffer.from(markId, 'base64url'),
          String(windowMs),
          sliding ? '1' : '0',
        ]),
      ),
    forget: (digests) => call(() => overAll(forgetScript, digests, [])),
    // The server does it.
    purge: async () => 0,
  }
}

function keyOf(layout: KeyLayout, digest: string): Buffer {
  return Buffer.concat([Buffer.from(layout.bucketOf(digest).seen), Buffer.from(digest, 'base64url')])
}

function byBucket(layout: KeyLayout, digests: readonly string[]): readonly (readonly number[])[] {
  const groups = new Map<number, number[]>()
  for (const [place, digest] of digests.entries()) {
    const { number } = layout.bucketOf(digest)
    const group = groups.get(number)
    if (group) group.push(place)
    else groups.set(number, [place])
  }
  return [...groups.values()]
}

function inParts(places: readonly number[]): readonly (readonly number[])[] {
  const parts: (readonly number[])[] = []
  for (let from = 0; from < places.length; from += PART) parts.push(places.slice(from, from + PART))
  return parts
}
