/** What examples in documents and doc comments may use without saying where it comes from. */
import type { createReadStream as nodeCreateReadStream } from 'node:fs'
import type { createServer as nodeCreateServer } from 'node:http'
import type promiseMysql from 'mysql2/promise'
import type { Once, OperationCatalog, OperationStore, StoreCapabilities } from 'onceward'
import type { Lease, LockBackend, Locks } from 'onceward/locks'
import type { RegisterTest, StartHttp } from 'onceward/testing'
import type { Tokens } from 'onceward/tokens'
import type nodePostgres from 'pg'
import type { createClient as createRedisClient } from 'redis'

interface User {
  readonly id: string
}

declare global {
  const once: Once
  const store: OperationStore & OperationCatalog
  const order: { readonly id: string; readonly total: number; readonly currency: string }
  const cart: { readonly id: string; readonly items: readonly string[] }
  /** Charges whatever it is given, and answers a receipt. */
  const charge: (what: unknown) => Promise<{ readonly id: string }>
  const pay: (request: unknown) => Promise<{ readonly id: string }>
  /** Who is asking, after authentication. */
  const userOf: (request: unknown) => string | undefined
  const authenticate: (req: unknown, res: unknown, next: () => void) => void
  const fields: object
  const stripe: {
    readonly charges: {
      create(
        charge: object,
        options?: { readonly idempotencyKey?: string | undefined },
      ): Promise<{ readonly id: string }>
      list(query: object): Promise<{ readonly data: readonly { readonly id: string }[] }>
    }
  }
  const createReadStream: typeof nodeCreateReadStream
  const createServer: typeof nodeCreateServer

  // For tokens.
  const tokens: Tokens
  const user: User
  const form: { readonly token: string }

  // For locks.
  const locks: Locks<number>
  const lease: Lease<number>
  const report: (options: object) => Promise<void>

  // For the doc comments of the stores on servers.
  const mysql: typeof promiseMysql
  const pg: typeof nodePostgres
  const pool: nodePostgres.Pool
  const client: nodePostgres.PoolClient
  const createClient: typeof createRedisClient
  const redis: ReturnType<typeof createRedisClient>

  // For the suites of onceward/testing.
  const it: RegisterTest
  const capabilities: StoreCapabilities
  const a: OperationStore
  const b: OperationStore
  const one: LockBackend
  const other: LockBackend
  const close: () => Promise<void>
  const startExpress: StartHttp

  namespace Express {
    interface Request {
      user?: User
      rawBody?: Buffer
    }
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    user?: User
  }
}
