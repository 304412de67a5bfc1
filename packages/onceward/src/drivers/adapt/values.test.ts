import { expect, it } from 'vitest'
import { inlineSafe } from './inline-safe.ts'
import { readBytea } from './read-bytea.ts'
import { snakeName } from './snake-name.ts'

it('names of columns come back as they were written, whatever a plugin has made of them', () => {
  for (const name of ['created_at', 'createdAt', 'CreatedAt', 'created-at', 'CREATED_AT']) {
    expect(snakeName(name)).toBe('created_at')
  }
  for (const name of ['digest', 'Digest', 'DIGEST']) expect(snakeName(name)).toBe('digest')
})

it('bytes are read from both forms in which PostgreSQL writes them', () => {
  const bytes = [0, 1, 65, 92, 127, 128, 255]
  expect([...readBytea('\\x0001415c7f80ff')]).toEqual(bytes)
  expect([...readBytea('\\000\\001A\\\\\\177\\200\\377')]).toEqual(bytes)
  expect([...readBytea('')]).toEqual([])
})

it('text that could have to be escaped is sent as bytes, and the rest as it is', () => {
  const [sql, values] = inlineSafe('VALUES (?, ?, ?, ?)', ["O'Brien \\", 'plain-text_1', 7n, null])
  expect(sql).toBe('VALUES (CONVERT(? USING utf8mb4), ?, ?, ?)')
  expect(values).toEqual([Buffer.from("O'Brien \\"), 'plain-text_1', '7', null])
  expect(() => inlineSafe('VALUES (?)', [])).toThrow(TypeError)
})
