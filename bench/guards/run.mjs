// SQL guards: each beside the statements that it stands for, in a transaction each, on PostgreSQL and MariaDB.
// Run: node bench/guards/run.mjs [--server postgres] [--rounds 5] [--ms 500] (after a build)
import { startMariadb, startPostgres } from '../../test-servers/index.mjs'
import { interleave } from '../lib/interleave.mjs'
import { readOptions } from '../lib/options.mjs'
import { report, table } from '../lib/report.mjs'
import { pairedRatio, withRange } from '../lib/statistics.mjs'
import { buyers, mariadbShop, postgresShop } from './shops.mjs'

const CONNECTIONS = 8
const ITEMS =
  "CREATE TABLE items (id integer PRIMARY KEY, status VARCHAR(8) DEFAULT 'free', stock integer DEFAULT 0, version bigint DEFAULT 1)"
const SERVERS = {
  postgres: { start: startPostgres, connect: postgresShop },
  mariadb: { start: startMariadb, connect: mariadbShop },
}

const options = readOptions({ server: '', rounds: 5, ms: 500 })
const rows = []
const abouts = []
for (const name of /** @type {const} */ (['postgres', 'mariadb'])) {
  if (options.server !== '' && options.server !== name) continue
  const { start, connect } = SERVERS[name]
  const server = await start()
  const database = await server.createDatabase()
  await server.query(ITEMS, [], database.name)
  const shops = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(database.url)))
  abouts.push(name === 'postgres' ? `PostgreSQL ${server.version}` : server.version)
  try {
    const contestants = buyers(name)
    const samples = await interleave(Object.keys(contestants), options.rounds, async (one) => {
      await server.query('DELETE FROM items', [], database.name)
      const ids = shops.map((_, at) => `(${at})`).join(', ')
      await server.query(`INSERT INTO items (id) VALUES ${ids}`, [], database.name)
      const until = performance.now() + options.ms
      const counts = await Promise.all(
        shops.map(async (shop, id) => {
          let turn = 0
          for (; performance.now() < until; turn++) {
            await shop.query('BEGIN')
            await contestants[one]?.(shop, id, turn)
            await shop.query('COMMIT')
          }
          return turn
        }),
      )
      return (counts.reduce((sum, count) => sum + count, 0) / options.ms) * 1000
    })
    const rates = (/** @type {string} */ one) => samples.get(one) ?? []
    const names = Object.keys(contestants)
    for (let at = 0; at < names.length; at += 2) {
      const [byHand = '', guard = ''] = names.slice(at, at + 2)
      const ratio = pairedRatio(rates(guard), rates(byHand))
      rows.push([name, `\`${guard}\``, withRange(rates(byHand)), withRange(rates(guard)), ratio.toFixed(2)])
    }
  } finally {
    await Promise.all(shops.map((shop) => shop.close()))
    await server.stop()
  }
}

report(options.server === '' ? 'guards' : `guards-${options.server}`, 'SQL guards', [
  `${abouts.join('; ')}; one client process with ${CONNECTIONS} connections, a row for each, nothing flushed to disk. Transactions a ` +
    `second, median (min–max) of ${options.rounds} interleaved rounds of ${options.ms} ms; the ratio is the median of the ratios ` +
    'within a round. Every transition and version is won, every insert finds its row there. By hand are the same statements without ' +
    'a check of names, of the constraint (`insertOnce` on MariaDB: `SHOW INDEX`) and of an open transaction (`withRow`).',
  table(['server', 'guard', 'by hand', 'onceward', 'ratio'], rows),
])
