/** The ledger itself, on every database. */
import { onEachDatabase } from '../databases/on-each-database.ts'
import { createCases } from './create-cases.ts'
import { decisionCases } from './decision-cases.ts'

await onEachDatabase('creating tasks', createCases)
await onEachDatabase('deciding about tasks', decisionCases)
