#!/usr/bin/env node
// The command, where npm links it: npm links no file that is not there, and in a clone the build comes after the install.
import { existsSync } from 'node:fs'

const main = new URL('../dist/cli/main.js', import.meta.url)
if (existsSync(main)) await import(main.href)
else {
  process.stderr.write('onceward: is not built yet; run npm run build in the repository\n')
  process.exitCode = 1
}
