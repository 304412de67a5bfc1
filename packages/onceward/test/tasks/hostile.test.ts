import { onEachDatabase } from '../databases/on-each-database.ts'
import { hostileCases } from './hostile-cases.ts'

await onEachDatabase('tasks at a bad moment', hostileCases)
