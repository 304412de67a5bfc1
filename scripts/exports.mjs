// npm run exports: writes the list of exported names anew, for review.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { ROOT } from './house/paths.mjs'

await main(async () => {
  await ensureInstalled()
  await ensureBuilt()
  const { LIST, listExportedNames } = await import('./gates/exported-names.mjs')
  writeFileSync(join(ROOT, LIST), await listExportedNames(ROOT))
  console.log(`Written: ${LIST}`)
})
