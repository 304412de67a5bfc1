import type { SqlValue } from '../sql/sql-session.ts'
import { type Adapter, can, noTransaction } from './adapted-session.ts'
import { snakeName } from './snake-name.ts'

/** The part of Prisma's interactive transaction client that is used. */
interface PrismaTransaction {
  $queryRawUnsafe(text: string, ...values: unknown[]): Promise<unknown>
  $executeRawUnsafe(text: string, ...values: unknown[]): Promise<number>
}

const MEND = 'pass the `tx` that `prisma.$transaction(async (tx) => …)` hands you, before its timeout is over'

/** The client of an interactive transaction of Prisma. */
export const prismaSession: Adapter = (handle, dialect) => {
  if (!can(handle, '$queryRawUnsafe', '$executeRawUnsafe')) return undefined
  if (can(handle, '$connect')) {
    throw noTransaction('a PrismaClient', MEND)
  }
  const tx = handle as unknown as PrismaTransaction
  return {
    dialect,
    async query(text, values) {
      const sent = values.map(bound)
      if (!answersRows(text))
        return { rows: [], affected: await tx.$executeRawUnsafe(text, ...sent).catch(orEnded) }
      const answer = (await tx.$queryRawUnsafe(text, ...sent).catch(orEnded)) as readonly Readonly<
        Record<string, unknown>
      >[]
      const rows = answer.map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [snakeName(name), value])),
      )
      return { rows, affected: rows.length }
    },
  }
}

/** Prisma wants to know beforehand which of its two methods to call. */
function answersRows(text: string): boolean {
  return /^\s*(?:\(|SELECT|WITH|SHOW|VALUES)/i.test(text) || /\bRETURNING\b/i.test(text)
}

/** P2028: the interactive transaction was closed, by its end or by its timeout. */
function orEnded(error: unknown): never {
  const ended = (error as { code?: unknown } | null)?.code === 'P2028'
  throw ended ? noTransaction('this Prisma client any more', MEND, error) : error
}

function bound(value: SqlValue): unknown {
  return value instanceof Uint8Array ? Buffer.from(value) : value
}
