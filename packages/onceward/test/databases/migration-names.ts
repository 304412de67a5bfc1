import { readdirSync } from 'node:fs'

/** The names of all migrations of a database in their order, as they lie in its folder. */
export function migrationNames(driver: 'pg' | 'mysql' | 'sqlite'): readonly string[] {
  return readdirSync(new URL(`../../src/drivers/${driver}/migrations`, import.meta.url))
    .filter((name) => name.endsWith('.sql'))
    .map((name) => name.slice(0, -'.sql'.length))
    .sort()
}
