import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { PrismaPg } from '@prisma/adapter-pg'
import { type Way, way } from './way.ts'

/** The part of the generated client that is used here. */
interface Client {
  $transaction<T>(
    work: (tx: Client) => Promise<T>,
    options?: { readonly timeout: number; readonly maxWait: number },
  ): Promise<T>
  $disconnect(): Promise<void>
  readonly order: { create(input: { readonly data: { readonly cart: string } }): Promise<unknown> }
}

const SCHEMA = `
generator client {
  provider = "prisma-client-js"
  output   = "./client"
}
datasource db {
  provider = "postgresql"
}
model Order {
  id   Int    @id @default(autoincrement())
  cart String
  @@map("orders")
}
`

const require = createRequire(import.meta.url)

/** Generates a client without a network: only the schema engine would be fetched, and generating does not use it. */
async function generateClient(): Promise<{ readonly folder: string; readonly PrismaClient: ClientClass }> {
  const prisma = dirname(require.resolve('prisma/package.json'))
  // Beside the packages, because the generated client imports them.
  const cache = join(dirname(prisma), '.cache')
  await mkdir(cache, { recursive: true })
  const folder = await mkdtemp(join(cache, 'onceward-prisma-'))
  const schema = join(folder, 'schema.prisma')
  await writeFile(schema, SCHEMA)
  await promisify(execFile)(
    process.execPath,
    [join(prisma, 'build/index.js'), 'generate', '--schema', schema],
    {
      cwd: folder,
      timeout: 60_000,
      env: {
        ...process.env,
        PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
        PRISMA_HIDE_UPDATE_MESSAGE: '1',
        CHECKPOINT_DISABLE: '1',
      },
    },
  )
  const { PrismaClient } = require(join(folder, 'client')) as { PrismaClient: ClientClass }
  return { folder, PrismaClient }
}

type ClientClass = new (options: { readonly adapter: PrismaPg }) => Client

/** Interactive transactions of Prisma. */
export const prismaWay: Way = way<Client>('Prisma', async (url) => {
  const { folder, PrismaClient } = await generateClient()
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: 25 }) })
  return {
    // By itself it gives up after two seconds without a connection, which a busy machine may need for twenty.
    transaction: (work) => prisma.$transaction(work, { timeout: 15_000, maxWait: 15_000 }),
    insert: (tx, cart) => tx.order.create({ data: { cart } }),
    roots: [{ what: 'the client', handle: prisma, mend: /prisma\.\$transaction/ }],
    async close() {
      await prisma.$disconnect()
      await rm(folder, { recursive: true, force: true })
    },
  }
})
