import { isOncewardError } from './errors.ts'
import type { Finding } from './store.ts'

/** What a doctor finds, or why it could not look: a missing schema is a finding, and so is a database that is away. */
export async function findingsOf(look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look()
  } catch (error) {
    if (!isOncewardError(error)) throw error
    const check = error.code.startsWith('SCHEMA') ? 'schema' : 'database'
    return [{ level: 'fail', check, message: error.message }]
  }
}
