/** The example is run as its README says, smaller: every number that it prints has to be right. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { describeWith } from '../../test-servers/index.mjs'

const RUN = fileURLToPath(new URL('run.js', import.meta.url))
const SMALL = ['--orders', '60', '--carts', '200', '--seconds', '15']

await describeWith(['postgres', 'redis'], 'the example that cancels unpaid orders', ({ postgres, redis }) => {
  for (const locks of ['redis', 'postgres']) {
    it(`cancels each order once with locks in ${locks}, whoever is stopped or killed`, async () => {
      const database = await postgres.createDatabase()
      try {
        const env = { ...process.env, DATABASE_URL: database.url, REDIS_URL: redis.url }
        const run = promisify(execFile)(process.execPath, [RUN, '--locks', locks, ...SMALL], { env })
        const { stdout } = await run
        expect(stdout).toContain('10 workers, 40 unpaid orders, 150 expired carts')
        expect(stdout).toMatch(/[1-9]\d* times a process was stopped past its locks, [1-9]\d* were killed/)
        expect(stdout.match(/^ok {4}/gm)).toHaveLength(9)
        expect(stdout).not.toContain('WRONG')
      } finally {
        await database.drop()
      }
    }, 360_000)
  }
})
