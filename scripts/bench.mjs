// npm run bench [-- NAME…]: runs the measurements, or the named ones. Each prints a table and writes it to bench/results.
import { join } from 'node:path'
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { ROOT } from './house/paths.mjs'
import { runNode } from './house/run.mjs'

const BENCHES = /** @type {Record<string, string>} */ ({
  sqlite: 'bench/sqlite/claims.mjs',
  redis: 'bench/redis/run.mjs',
  sql: 'bench/sql/run.mjs',
  http: 'bench/http/run.mjs',
  gateway: 'bench/gateway/run.mjs',
  memory: 'bench/gateway/memory.mjs',
  weight: 'bench/weight/run.mjs',
})

await main(async () => {
  const names = process.argv.slice(2)
  const unknown = names.find((name) => !Object.hasOwn(BENCHES, name))
  if (unknown !== undefined)
    throw new Error(`There is no bench "${unknown}"; there are ${Object.keys(BENCHES).join(', ')}`)
  await ensureInstalled()
  await ensureBuilt()
  let worst = 0
  for (const [name, file] of Object.entries(BENCHES)) {
    if (names.length > 0 && !names.includes(name)) continue
    const { code } = await runNode(join(ROOT, file), [], { show: true, timeoutMs: 30 * 60_000 })
    if (code !== 0) console.error(`${name} ended with code ${code}`)
    worst = Math.max(worst, code)
  }
  return worst
})
