import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { createOnce } from '../../src/core/create-once.ts'
import { memoryStore } from '../../src/stores/memory/index.ts'
import { sqliteStore } from '../../src/stores/sqlite/index.ts'

const PAGE = readFileSync(new URL('../../../../docs/library.md', import.meta.url), 'utf8')

/** The rows of the table of a section: what the first cell names, and the other cells. */
function rowsOf(title: string): readonly { readonly names: readonly string[]; readonly cells: string[] }[] {
  const [, section = ''] = PAGE.split(`## ${title}\n`)
  return (section.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [first = '', ...cells] = line.split(/(?<!\\)\|/).slice(1, -1)
      return { names: codes(first), cells: cells.map((cell) => cell.trim()) }
    })
}

function codes(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
}

/** The fields that are known, as the error for an unknown one lists them. */
function knownTo(refuse: () => unknown): readonly string[] {
  try {
    refuse()
  } catch (error) {
    return (error as Error).message.split('known are ')[1]?.split(', ') ?? []
  }
  throw new Error('an unknown field was taken')
}

const unknown = { unheardOf: 1 } as never
const once = createOnce({ store: memoryStore(), scope: 's' })

it('docs/library.md has a row for every option of createOnce, and none for one that is not there', () => {
  const documented = rowsOf('Options of createOnce').flatMap(({ names }) => names)
  expect([...documented].sort()).toEqual([...knownTo(() => createOnce(unknown))].sort())
})

it('docs/library.md has a row for every field of a call, and none for one that is not there', async () => {
  const refused = await once.run(unknown, () => 1).catch((error: Error) => error)
  const known = knownTo(() => {
    throw refused
  })
  const documented = rowsOf('Fields of a call').flatMap(({ names }) => names)
  expect([...documented].sort()).toEqual([...known].sort())
})

it('docs/library.md has a row for every method of an instance', () => {
  const documented = rowsOf('Methods').map(({ names: [call = ''] }) => call.split('(')[0])
  const methods = Object.entries(once).filter(([, member]) => typeof member === 'function')
  expect(documented.sort()).toEqual(methods.map(([name]) => name).sort())
})

it('docs/library.md names every option of every store', () => {
  const [memory, sqlite] = rowsOf('Stores')
  expect(codes(memory?.cells[1] ?? '')).toEqual(knownTo(() => memoryStore(unknown)))
  const options = codes(sqlite?.cells[1] ?? '').filter((code) => !code.startsWith("'"))
  expect(options).toEqual(knownTo(() => sqliteStore(':memory:', unknown)))
})

it('docs/library.md has a row for every event, and none for one that is not there', () => {
  const source = readFileSync(new URL('../../src/core/observer.ts', import.meta.url), 'utf8')
  const union = source.slice(source.indexOf('readonly type:'), source.indexOf('readonly scope'))
  const events = [...union.matchAll(/\| '([a-z-]+)'/g)].map(([, name]) => name)
  expect(
    rowsOf('Events')
      .flatMap(({ names }) => names)
      .sort(),
  ).toEqual(events.sort())
})
