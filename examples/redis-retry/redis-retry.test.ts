/** The demonstration is run as its README says, smaller. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { describeWhere, startRedis } from '../../test-servers/index.mjs'

const RUN = fileURLToPath(new URL('run.js', import.meta.url))

await describeWhere('redis', 'the demonstration of the client that retries safely', () => {
  it('shows bare clients that execute twice what they acknowledge once, and wrapped ones that do not', async () => {
    await using redis = await startRedis()
    const env = { ...process.env, REDIS_URL: redis.url }
    const { stdout } = await promisify(execFile)(process.execPath, [RUN, '--commands', '300'], { env })
    expect(stdout).toContain('ok: bare clients repeat, the wrapped ones do not')
    expect(stdout.match(/INCR: 300 acknowledged, 300 executed, 0 too many/g)).toHaveLength(2)
    expect(stdout.match(/LPOP: 300 acknowledged, 300 elements handed out, 0 lost/g)).toHaveLength(2)
    expect(stdout.match(/INCR: 300 acknowledged, \d+ executed, [1-9]\d* too many/g)).toHaveLength(2)
    expect(stdout.match(/[1-9]\d* duplicates were recognised/g)).toHaveLength(2)
  }, 240_000)
})
