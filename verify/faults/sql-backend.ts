import type { SqlServer, TestDatabase } from '../../test-servers/index.d.mts'
import { type Backend, type BusinessRow, PROCESS_FAULTS, STORE_MODES } from './backend.ts'
import { BUSINESS_TABLES } from './business.ts'
import type { FaultKind } from './harness/fault-kinds.ts'
import { NETWORK_FAULTS } from './harness/fault-kinds.ts'
import { type AddressShape, PATIENT } from './harness/trial-kind.ts'
import type { Library } from './library.ts'
import { serverFaults } from './server-faults.ts'
import { type OpenedStore, openStore, type StoreAddress } from './store-kinds.ts'

/** What differs between two SQL servers. */
export interface SqlDialect {
  readonly name: string
  readonly drivers: readonly string[]
  /** Where a worker finds the database, by this URL. */
  address(url: string, shape: AddressShape): StoreAddress
  /** Ends all sessions in a database. */
  endSessions(server: SqlServer, database: string): Promise<void>
  /** Its `n`-th parameter. */
  parameter(n: number): string
  readonly faults: readonly FaultKind[]
}

/** A {@link Backend} whose address a front may change. */
export interface SqlBackend extends Backend {
  /** The URL of the database as it is reached through a port. */
  urlAt(port: number): string
}

/** A store on a SQL server: a database for it, its faults, and the business tables beside its own. */
export async function sqlBackend(
  library: Library,
  server: SqlServer,
  dialect: SqlDialect,
): Promise<SqlBackend> {
  const { name, parameter } = dialect
  const faults = serverFaults(server)
  let database: TestDatabase
  let direct: OpenedStore
  const open = async (migrateBy = library) => {
    database = await server.createDatabase()
    direct = await openStore(library, dialect.address(database.url, PATIENT))
    const migrating =
      migrateBy === library ? direct : await openStore(migrateBy, dialect.address(database.url, PATIENT))
    await migrating.store.migrate()
    if (migrating !== direct) await migrating.close()
    for (const table of BUSINESS_TABLES) await server.query(table, [], database.name)
  }
  const query = (sql: string, values: readonly unknown[]) => server.query(sql, values, database.name)
  const urlAt = (port: number) => {
    const url = new URL(database.url)
    url.port = String(port)
    return url.href
  }
  await open()
  return {
    name,
    drivers: dialect.drivers,
    modes: [...STORE_MODES, 'transaction', 'transaction'],
    faults: [
      ...PROCESS_FAULTS,
      ...NETWORK_FAULTS,
      'net-cut-commit',
      'store-kill',
      'store-stop',
      ...dialect.faults,
    ],
    targets: [server],
    urlAt,
    address: ([port = 0], shape) => dialect.address(urlAt(port), shape),
    async prepare(accounts) {
      const values = accounts.map((_, index) => `(${parameter(index + 1)}, 0)`).join(', ')
      await query(`INSERT INTO faults_accounts (id, amount) VALUES ${values}`, accounts)
    },
    async strike({ kind, forMs }) {
      if (kind === 'store-kill') await faults.kill(forMs)
      else if (kind === 'store-stop') await faults.stop(forMs)
      else if (kind === 'sessions-ended') await dialect.endSessions(server, database.name)
    },
    heal: () => faults.heal(),
    get store() {
      return direct.store
    },
    async rows(scopes) {
      const list = scopes.map((_, index) => parameter(index + 1)).join(', ')
      const sql = `SELECT scope, op_key, call_id, fence, nonce FROM faults_rows WHERE scope IN (${list})`
      const rows = (await query(sql, scopes)) as {
        scope: string
        op_key: string
        call_id: string
        fence: unknown
        nonce: string
      }[]
      return rows.map(
        ({ scope, op_key: key, call_id: call, fence, nonce }): BusinessRow => ({
          scope,
          key,
          call,
          fence: Number(fence),
          nonce,
        }),
      )
    },
    async sum(accounts) {
      const list = accounts.map((_, index) => parameter(index + 1)).join(', ')
      const [row] = await query(
        `SELECT sum(amount) AS total FROM faults_accounts WHERE id IN (${list})`,
        accounts,
      )
      return Number(row?.['total'] ?? 0)
    },
    async renew(migrateBy) {
      await direct.close()
      const old = database
      await open(migrateBy)
      await old.drop()
    },
    async stop() {
      await faults.heal()
      await direct.close()
      await server.stop()
    },
  }
}
