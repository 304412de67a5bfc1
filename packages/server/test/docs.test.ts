import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { DEFAULTS } from '../src/config/gateway-options.ts'
import { settings } from '../src/config/settings.ts'
import { badRequest, headerTooLarge, loopDetected, tooSlow } from '../src/gateway/problem.ts'
import { PROBLEM_CODES } from '../src/gateway/problem-codes.ts'
import { upstreamFailure } from '../src/gateway/upstream.ts'

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

const PROBLEMS = /(?<=<!-- problems -->\n).*?(?=<!-- \/problems -->)/s

/** The table of the gateway's own problems, as `docs/gateway.md` holds it. */
function problemsTable(): string {
  const rows = Object.entries(PROBLEM_CODES).map(
    ([code, { statuses, retryable, effects, meaning, mend }]) => {
      const cells = [`\`${code}\``, statuses.join(', '), retryable, effects.join(' or '), meaning, mend]
      return `| ${cells.join(' | ')} |`
    },
  )
  return `| code | status | retryable | effect | meaning | what to do |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`
}

describe('docs/gateway.md', () => {
  it("lists every problem of the gateway's own making (UPDATE_DOCS=1 writes it)", async () => {
    const text = await readFile(GATEWAY, 'utf8')
    if (process.env['UPDATE_DOCS'] === '1')
      await writeFile(
        GATEWAY,
        text.replace(PROBLEMS, () => problemsTable()),
      )
    else expect(PROBLEMS.exec(text)?.[0]).toBe(problemsTable())
  })

  it('says of each problem what the gateway answers', () => {
    const timeout = { code: 'UND_ERR_HEADERS_TIMEOUT' }
    const failures = [
      upstreamFailure({ code: 'ECONNREFUSED' }, false),
      upstreamFailure({ code: 'UND_ERR_CONNECT_TIMEOUT' }, false),
      upstreamFailure(timeout, true),
      upstreamFailure({ code: 'UND_ERR_SOCKET' }, true),
    ].map(({ status, code, neverSent }) => ({
      status,
      code,
      effect: neverSent ? ('none' as const) : ('unknown' as const),
    }))
    const refusals = [badRequest(''), tooSlow(''), headerTooLarge(''), loopDetected()]
    for (const { status, code, effect } of [...failures, ...refusals]) {
      expect(PROBLEM_CODES[code].statuses, code).toContain(status)
      expect(PROBLEM_CODES[code].effects, code).toContain(effect)
    }
    for (const { code, retryable } of refusals)
      expect(PROBLEM_CODES[code].retryable).toBe(retryable ? 'yes' : 'no')
  })

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
