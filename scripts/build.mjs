// npm run build: installs what is missing and compiles both packages.
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'

await main(async () => {
  await ensureInstalled()
  await ensureBuilt({ force: process.argv.includes('--force') })
  console.log('Built: packages/onceward/dist, packages/server/dist')
})
