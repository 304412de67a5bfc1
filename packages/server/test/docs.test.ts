import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { DEFAULTS } from '../src/config/gateway-options.ts'
import { settings } from '../src/config/settings.ts'

const GATEWAY = fileURLToPath(new URL('../../../docs/gateway.md', import.meta.url))
const TABLE = /(?<=<!-- settings -->\n).*?(?=<!-- \/settings -->)/s

/** The table of all settings, as `docs/gateway.md` holds it. */
function settingsTable(): string {
  const rows = settings().map(({ field, flag, about }) => {
    const value = DEFAULTS[field]
    const standard =
      value === undefined || (Array.isArray(value) && value.length === 0) ? '' : `\`${String(value)}\``
    return `| \`${field}\` | ${flag === undefined ? '(none)' : `\`${flag}\``} | ${standard} | ${about.replaceAll('|', '\\|')} |`
  })
  return `| field | flag | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

describe('docs/gateway.md', () => {
  it('lists every setting with its flag, default and meaning (UPDATE_DOCS=1 writes it)', async () => {
    const text = await readFile(GATEWAY, 'utf8')
    if (process.env['UPDATE_DOCS'] === '1')
      await writeFile(
        GATEWAY,
        text.replace(TABLE, () => settingsTable()),
      )
    else expect(TABLE.exec(text)?.[0]).toBe(settingsTable())
  })

  it('shows a configuration that the gateway takes', async () => {
    const { configSchema } = await import('../src/config/config-schema.ts')
    const { safeParse } = await import('valibot')
    const text = await readFile(GATEWAY, 'utf8')
    const examples = [...text.matchAll(/```json\n(.*?)```/gs)].map((match) => JSON.parse(match[1] ?? ''))
    expect(examples.length).toBeGreaterThan(0)
    for (const example of examples) expect(safeParse(configSchema, example).issues).toBeUndefined()
  })
})
