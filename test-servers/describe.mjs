import { programOf } from './programs.mjs'
import { noteUse } from './run.mjs'
import { ServerMissing } from './server-missing.mjs'
import { shared } from './shared.mjs'

/** See index.d.mts. */
export async function describeWith(names, title, suite) {
  const list = [names].flat()
  await describeIfHad(list, title, async () => {
    const servers = await Promise.all(list.map(shared))
    const byName = Object.fromEntries(list.map((name, index) => [name, servers[index]]))
    return () => suite(byName)
  })
}

/** See index.d.mts. */
export async function describeWhere(names, title, suite) {
  await describeIfHad([names].flat(), title, async (list) => {
    for (const name of list) await programOf(name)
    return suite
  })
}

const OPTIONAL = ['mysql', 'zookeeper']

async function describeIfHad(names, title, prepare) {
  const { describe, it } = await import('vitest')
  let body
  try {
    body = await prepare(names)
  } catch (error) {
    if (!(error instanceof ServerMissing)) throw error
    await noteUse({ engine: error.server, missing: error.reason })
    // No machine can be asked to have what only a URL can name, or a Java.
    const optional = OPTIONAL.includes(error.server)
    if (process.env['ONCEWARD_REQUIRE_ALL'] === '1' && !optional) {
      describe(title, () => {
        it(`has ${names.join(' and ')}`, () => {
          throw error
        })
      })
    } else
      describe.skip(`${title} [skipped: ${optional ? `not applicable: ${error.reason}` : error.message}]`, () =>
        it('is not run', () => {}))
    return
  }
  describe(title, body)
}
