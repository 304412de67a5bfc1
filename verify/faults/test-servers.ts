import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The harness of test servers, loaded by its path: this file runs compiled, two folders deeper than it is written. */
export type TestServers = typeof import('../../test-servers/index.d.mts')

/** The repository's root. */
export const ROOT: string = fileURLToPath(new URL('../../../../', import.meta.url))

/** Loads the harness. */
export function testServers(): Promise<TestServers> {
  return import(pathToFileURL(join(ROOT, 'test-servers/index.mjs')).href)
}
