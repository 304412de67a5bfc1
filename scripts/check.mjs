// npm run check: builds and runs all gates, without the tests.
import { ensureBuilt } from './house/build.mjs'
import { ensureInstalled } from './house/install.mjs'
import { main } from './house/main.mjs'
import { closingLine, sumUp, table } from './tests/tally.mjs'

await main(async () => {
  await ensureInstalled()
  await ensureBuilt()
  const { runGates } = await import('./tests/run-gates.mjs')
  const rows = await runGates()
  const sum = sumUp(rows, { requireAll: false })
  console.log(`${table(rows)}\n\n${closingLine(sum)}`)
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1
})
