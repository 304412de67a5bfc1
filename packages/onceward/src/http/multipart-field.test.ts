import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_PART_HEADER_BYTES, multipartField } from './multipart-field.ts'
import { MAX_PARTS } from './multipart-parts.ts'

const TOKEN = 'T'.repeat(43)

/** A form as its bytes, with LF for CR LF unless it has some. */
const form = (text: string): Buffer =>
  Buffer.from(text.includes('\r') ? text : text.replaceAll('\n', '\r\n'), 'latin1')
const typed = (boundary = 'b') => [['Content-Type', `multipart/form-data; boundary=${boundary}`]] as const
const read = (
  text: string | Buffer,
  headers: readonly (readonly [string, string])[] = typed(),
  name = 'token',
) => multipartField(headers, typeof text === 'string' ? form(text) : text, name)
const part = (fields: string, content = TOKEN): string => `--b\n${fields}\n\n${content}\n`
const field = (name = 'token', content = TOKEN): string =>
  part(`Content-Disposition: form-data; name="${name}"`, content)
const END = '--b--\n'

/** What the platform itself writes. */
async function written(entries: readonly (readonly [string, string | File])[]) {
  const data = new FormData()
  for (const [name, value] of entries) data.append(name, value)
  const request = new Request('http://localhost/', { method: 'POST', body: data })
  return { headers: [...request.headers], body: new Uint8Array(await request.arrayBuffer()) }
}

const CHROME = `------WebKitFormBoundaryePkpFF7tjBAqx29L
Content-Disposition: form-data; name="note"

two
lines
------WebKitFormBoundaryePkpFF7tjBAqx29L
Content-Disposition: form-data; name="token"

${TOKEN}
------WebKitFormBoundaryePkpFF7tjBAqx29L
Content-Disposition: form-data; name="photo"; filename="a\\"
Content-Type: application/octet-stream


------WebKitFormBoundaryePkpFF7tjBAqx29L--
`
const CURL = `--------------------------d74496d66958873e
Content-Disposition: form-data; name="token"

${TOKEN}
--------------------------d74496d66958873e
Content-Disposition: form-data; name="photo"; filename="a\\"b.txt"
Content-Type: text/plain

--
--------------------------d74496d66958873e--
`
const JAVA = `--x y
Content-Disposition: form-data; name=token
Content-Type: text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: 8bit

${TOKEN}
--x y \t
content-disposition: Form-Data; NAME="_charset_"

iso-8859-1
--x y--`

describe('a field of a multipart form', () => {
  it('is found in whatever FormData writes, and nothing where it is not', async () => {
    const name = fc.oneof(fc.constantFrom('token', 'a"b', 'Token', 'name', 'tok\\en', 'é'), fc.string())
    const content = fc.oneof(fc.string(), fc.constantFrom('\r\n', '--', '\r\n--', TOKEN))
    const file = fc
      .tuple(fc.uint8Array(), fc.oneof(fc.string(), fc.constantFrom('"', 'a\\', '"; name="token')))
      .map(([bytes, called]) => new File([bytes], called))
    const entries = fc.array(fc.tuple(name, fc.oneof(content, file)), { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(entries, fc.constantFrom('token', 'a"b', 'tok\\en', 'é'), async (given, wanted) => {
        const others = given.filter(([called]) => called !== wanted)
        const at = Math.floor(others.length / 2)
        const withToken = [...others.slice(0, at), [wanted, TOKEN] as const, ...others.slice(at)]
        const [one, none] = [await written(withToken), await written(others)]
        expect(multipartField(one.headers, one.body, wanted)).toBe(TOKEN)
        expect(multipartField(none.headers, none.body, wanted)).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  it.each([
    ['Chrome', CHROME, '----WebKitFormBoundaryePkpFF7tjBAqx29L'],
    ['curl', CURL, '------------------------d74496d66958873e'],
    ['Java, in quotes', JAVA, '"x y"'],
    ['a client that escapes in quotes', JAVA, '"x\\ y"'],
  ])('is found in what %s writes', (_, text, boundary) => {
    expect(read(text, typed(boundary))).toBe(TOKEN)
  })

  it('is found between line ends before the first and after the last boundary, and in a form of one field', () => {
    expect(read(`\n${field()}${END}\n \t\n`)).toBe(TOKEN)
    expect(read(`${field()}--b--`)).toBe(TOKEN)
    expect(read(`${field('other')}${END}`)).toBeUndefined()
    expect(read(END)).toBeUndefined()
    expect(read(`${field('token', '')}${END}`)).toBe('')
    expect(read(`${field('a\\"b')}${END}`, typed(), 'a"b')).toBe(TOKEN)
    expect(
      read(`${field()}${END}`, [['content-type', 'multipart/form-data;; charset=utf-8 ; BOUNDARY="b";']]),
    ).toBe(TOKEN)
  })

  it.each([
    ['no boundary', [['Content-Type', 'multipart/form-data']]],
    ['two boundaries', [['Content-Type', 'multipart/form-data; boundary=b; boundary=c']]],
    ['two media types', [...typed(), ...typed()]],
    ['an empty boundary', [['Content-Type', 'multipart/form-data; boundary=""']]],
    ['a boundary that ends with a space', [['Content-Type', 'multipart/form-data; boundary="b "']]],
    ['a boundary of 71 characters', typed('b'.repeat(71))],
    ['a boundary with a line end', [['Content-Type', 'multipart/form-data; boundary="b\r\nb"']]],
    ['a boundary beyond ASCII', typed('é')],
    ['a quote that is not closed', [['Content-Type', 'multipart/form-data; boundary="b']]],
    ['something behind the boundary', [['Content-Type', 'multipart/form-data; boundary="b" c']]],
  ] as const)('is refused with %s', (_, headers) => {
    expect(() => read(`${field()}${END}`, headers)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringMatching(/FormData/) }),
    )
  })

  it.each([
    ['a part that does not end', field()],
    ['a part that ends within its boundary', `${field()}--`],
    ['text before the first boundary', `hello\n${field()}${END}`],
    ['text after the last boundary', `${field()}${END}hello`],
    ['a second form after the last boundary', `${field('a')}${END}${field()}${END}`],
    ['a line that only begins with the boundary', `${field('a', 'x\n--bc')}${field()}${END}`],
    ['CR without LF behind the boundary', `${field()}${END}`.replaceAll('\n', '\r\n').replace('\n', 'x')],
    ['a boundary with one dash behind it', `${field()}--b-\n${END}`],
    ['LF for line ends', Buffer.from(`${field()}${END}`)],
    ['CR for line ends', `${field()}${END}`.replaceAll('\n', '\r')],
    [
      'a LF inside the header',
      `--b\r\nX: y\nContent-Disposition: form-data; name="token"\r\n\r\n1\r\n--b--\r\n`,
    ],
    ['a part without a header', `--b\n\n${TOKEN}\n${END}`],
    ['a header without an empty line', '--b\nContent-Disposition: form-data; name="token"\n--b--\n'],
    ['a part without a disposition', `${part('Content-Type: text/plain')}${END}`],
    [
      'two dispositions',
      `${part('Content-Disposition: form-data; name="a"\nContent-Disposition: form-data; name="token"')}${END}`,
    ],
    ['two names', `${part('Content-Disposition: form-data; name="a"; name="token"')}${END}`],
    [
      '17 header fields',
      `${part(`Content-Disposition: form-data; name="a"${Array.from({ length: 16 }, (_, at) => `\nX-${at}: y`).join('')}`)}${END}`,
    ],
    ['17 parameters', `${part(`Content-Disposition: form-data${'; a=b'.repeat(16)}; name=token`)}${END}`],
    ['no name', `${part('Content-Disposition: form-data')}${END}`],
    [
      'a name in another encoding only',
      `${part("Content-Disposition: form-data; name*=utf-8''token")}${END}`,
    ],
    ['an attachment', `${part('Content-Disposition: attachment; name="token"')}${END}`],
    ['a folded header line', `${part('Content-Disposition: form-data;\n name="token"')}${END}`],
    ['a field without a colon', `${part('Content-Disposition: form-data; name="token"\nhello')}${END}`],
    ['a NUL in the header', `${part('X: \0\nContent-Disposition: form-data; name="token"')}${END}`],
    ['nothing at all', ''],
  ])('is refused with %s', (_, text) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringMatching(/FormData/) }),
    )
  })

  it('is refused with a boundary of 71 characters that its body has, too', () => {
    const as = (boundary: string) =>
      read(`${field()}${END}`.replaceAll('--b', `--${boundary}`), typed(boundary))
    expect(as('b'.repeat(70))).toBe(TOKEN)
    expect(() => as('b'.repeat(71))).toThrow(/1 to 70 characters/)
  })

  it.each([
    ['twice', `${field()}${field()}${END}`],
    ['a file', `${part('Content-Disposition: form-data; name="token"; filename=""')}${END}`],
    [
      'a file with an encoded name',
      `${part("Content-Disposition: form-data; name=token; filename*=utf-8''a")}${END}`,
    ],
    [
      'in base64',
      `${part('Content-Disposition: form-data; name=token\nContent-Transfer-Encoding: base64')}${END}`,
    ],
    ['longer than a key', `${field('token', 'x'.repeat(256))}${END}`],
  ])('is refused where it is %s', (_, text) => {
    expect(() => read(text)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }))
  })
})

describe('a hostile form', () => {
  const MIB = 1_048_576
  const many = (count: number) => `${field('a', '')}`.repeat(count) + field() + END

  it('has a bounded number of parts, and of bytes in their headers', () => {
    expect(read(many(MAX_PARTS - 1))).toBe(TOKEN)
    expect(() => read(many(MAX_PARTS))).toThrow(/more than 1000 parts. Send fewer/)
    const head = 'Content-Disposition: form-data; name="token"\nX: '
    const fits = head + 'x'.repeat(MAX_PART_HEADER_BYTES - head.length - 1)
    expect(read(`${part(fits)}${END}`)).toBe(TOKEN)
    expect(() => read(`${part(`${fits}x`)}${END}`)).toThrow(/8192 bytes/)
  })

  const lines = Array.from({ length: 800 }, (_, line) => `X-${line}: ${line}`).join('\n')
  const full = `Content-Disposition: form-data; name="a"; filename="${'\\'.repeat(8000)}"`
  it.each([
    ['10^5 parts', (b: string) => form(`--${b}\n\n\n\n`.repeat(100_000))],
    ['a header without an end', (b: string) => form(`--${b}\nX: ${'x'.repeat(MIB)}\n--${b}--`)],
    [
      '199 headers of many lines before a bad one',
      (b: string) => form(`${`--${b}\n${lines}\n\n\n`.repeat(199)}--${b}\nX\n\n\n--${b}--`),
    ],
    ['10^5 header lines', (b: string) => form(`--${b}\n${'X: y\n'.repeat(100_000)}--${b}--`)],
    ['the letters of the boundary only', (b: string) => form(`--${b}\n${b[0]?.repeat(MIB)}`)],
    [
      'a boundary that is begun again and again',
      (b: string) => form(`--${b}\n${`\n--${b.slice(0, -1)}`.repeat(10_000)}`),
    ],
    ['line ends only', (b: string) => form(`--${b}\r\n${'\r\n'.repeat(MIB / 2)}`)],
    [
      '199 full headers before a bad one',
      (b: string) => form(`${`--${b}\n${full}\n\n\n`.repeat(199)}--${b}\nX\n\n\n--${b}--`),
    ],
    [
      '200 headers of quotes',
      (b: string) =>
        form(
          `${`--${b}\nContent-Disposition: form-data; ${'a="\\'.repeat(2000)}\n\n\n`.repeat(200)}--${b}--`,
        ),
    ],
    ['spaces behind a boundary', (b: string) => form(`--${b}${' '.repeat(MIB)}`)],
    ['spaces behind the last boundary', (b: string) => form(`--${b}--${' '.repeat(MIB)}x`)],
  ])('is refused in time linear in its length: %s', (_, make) => {
    for (const boundary of ['b', 'b'.repeat(70), '-'.repeat(70)]) {
      const body = make(boundary)
      const started = process.cpuUsage()
      expect(() => read(body, typed(boundary))).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }))
      const { user, system } = process.cpuUsage(started)
      expect((user + system) / 1000).toBeLessThan(500)
    }
  })

  it('is refused, or read as the platform reads it, whatever is changed in a good one', async () => {
    const file = part('Content-Disposition: form-data; name="f"; filename="a;b"')
    const good = form(`${field('a', 'x')}${file}${field()}${END}`.replaceAll('--b', '--boundary'))
    const pieces = [
      '\r\n',
      '\r',
      '\n',
      '--boundary',
      '--boundary--',
      '--',
      '"',
      '\\',
      '\\"',
      ';',
      ' ',
      ':',
      '\0',
      'é',
    ]
    const longer = [
      '; name="token"',
      'filename=a',
      'Content-Disposition: form-data; name=token\r\n',
      '\r\n\r\nx',
    ]
    const edit = fc.tuple(fc.nat(good.byteLength), fc.constantFrom(...pieces, ...longer), fc.nat(6))
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        let changed = good
        for (const [at, piece, cut] of edits)
          changed = Buffer.concat([
            changed.subarray(0, at),
            Buffer.from(piece, 'latin1'),
            changed.subarray(at + cut),
          ])
        const headers = typed('boundary')
        let ours: string | undefined
        try {
          ours = read(changed, headers)
        } catch (error) {
          expect(error).toMatchObject({ status: 400, effect: 'none' })
          return
        }
        const type = { headers: headers.map(([name, value]): [string, string] => [name, value]) }
        const data = await new Response(new Uint8Array(changed), type).formData().catch(() => undefined)
        if (data) expect(data.getAll('token')).toEqual(ours === undefined ? [] : [ours])
      }),
      { numRuns: 2000 },
    )
  })
})
