/** What the README and docs/locks.md show of locks runs as it is written, on real servers. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import ts from 'typescript-6'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { describeWith, type TestDatabase } from '../test-servers/index.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The first example of a section. */
function exampleOf(page: string, from: string): string {
  const [, after = ''] = readFileSync(join(ROOT, page), 'utf8').split(from)
  const code = /```ts\n([\s\S]*?)```/.exec(after)?.[1]
  if (code === undefined) throw new Error(`${page} has no example after "${from}"`)
  return code
}

await describeWith(['postgres', 'redis'], 'what the pages about locks show', ({ postgres, redis }) => {
  let folder: string
  let database: TestDatabase
  beforeAll(async () => {
    // Below the repository, so that `onceward` resolves as it does for a user.
    mkdirSync(join(ROOT, '.cache'), { recursive: true })
    folder = mkdtempSync(join(ROOT, '.cache/locks-pages-'))
    database = await postgres.createDatabase()
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    await client.query('CREATE TABLE orders (id integer PRIMARY KEY, status text, last_fence bigint)')
    await client.query("INSERT INTO orders VALUES (42, 'unpaid', NULL)")
    await client.end()
  })
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true })
    await database.drop()
  })

  async function run(code: string): Promise<string> {
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    })
    const file = join(folder, 'example.mjs')
    writeFileSync(file, outputText)
    const env = { ...process.env, DATABASE_URL: database.url, REDIS_URL: redis.url }
    const { stdout } = await promisify(execFile)(process.execPath, [file], { env, timeout: 100_000 })
    return stdout
  }

  // Only so long where the machine does much else.
  const TIMEOUT_MS = 240_000

  it(
    'runs on Redis, as docs/locks.md says',
    async () => {
      const output = await run(exampleOf('docs/locks.md', 'On Redis:'))
      expect(output).toMatch(/^done under fence \d{16}\n\d+ ms left, then released\n$/)
    },
    TIMEOUT_MS,
  )

  it(
    'runs on PostgreSQL, as docs/locks.md says',
    async () => {
      expect(await run(exampleOf('docs/locks.md', 'On PostgreSQL:'))).toMatch(/^done under fence \d{16}\n$/)
    },
    TIMEOUT_MS,
  )

  it(
    'runs on both, as the README says',
    async () => {
      const code = exampleOf('README.md', '## Locks')
      expect(await run(code)).toMatch(/^written\nnext at \d{4}-\d\d-\d\dT03:00:00.000Z\n$/)
      // The one line that the README says to replace, and its import.
      const inPostgres = code
        .replace(
          "import { redisLocks } from 'onceward/locks/redis'",
          "import { postgresLocks } from 'onceward/locks/postgres'",
        )
        .replace('createLocks(redisLocks(client))', 'createLocks(postgresLocks(pool, { autoMigrate: true }))')
      expect(inPostgres).not.toContain('redisLocks')
      expect(await run(inPostgres)).toMatch(/^missing\nnext at /)
    },
    TIMEOUT_MS,
  )
})
