// npm run verify [-- --seeds N | --seed N]: the deterministic simulation, a million seeds unless told otherwise.
import { join } from 'node:path'
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { ROOT } from './house/paths.mjs'
import { runNode, runTool } from './house/run.mjs'

await main(async () => {
  const given = process.argv.slice(2)
  await ensureInstalled()
  await ensureBuilt()
  const { code, output } = await runTool('tsc', ['-p', 'verify/simulation'])
  if (code !== 0) throw new Error(`The simulation does not compile:\n${output}`)
  const args = given.length > 0 ? given : ['--seeds', '1000000']
  const ran = await runNode(join(ROOT, 'verify/simulation/dist/run.js'), args, {
    show: true,
    timeoutMs: 12 * 3_600_000,
  })
  return ran.code
})
