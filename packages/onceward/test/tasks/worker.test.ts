/** Workers, on every database. */
import { onEachDatabase } from '../databases/on-each-database.ts'
import { workerCases } from './worker-cases.ts'

await onEachDatabase('workers of tasks', workerCases)
