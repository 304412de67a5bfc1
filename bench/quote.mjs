// Writes the tables that docs/performance.md quotes anew from bench/results. Run: node bench/quote.mjs
import { refreshQuotes } from './lib/quotes.mjs'

const problems = refreshQuotes()
for (const problem of problems) console.error(problem)
process.exitCode = problems.length === 0 ? 0 : 1
