// node scripts/tool.mjs TOOL ARGS…: runs one of the locked tools, after installing them if need be.
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { runTool } from './house/run.mjs'

await main(async () => {
  await ensureInstalled()
  const [tool = '', ...args] = process.argv.slice(2)
  const { code, output } = await runTool(tool, args, { show: true })
  if (output) console.error(output.trim())
  return code
})
