import { describe, expect, it } from 'vitest'
import { command } from './support/in-process.ts'

/** URLs that people get wrong; `canary` stands where the password is. */
const UNFINISHED = [
  'postgres//alice:canary@db.example/app',
  '//alice:canary@db.example/app',
  ' postgres://alice:canary@db.example/app',
  '"postgres://alice:canary@db.example/app"',
  'alice:canary@db.example/app',
  'redis://:canary',
  'redis://alice:canary',
  'redis://cache.example,alice:canary',
  'mysql://alice:canary/app',
  'postgres://alice:canary/app',
  'redis://alice:p@a/canary@cache.example/0',
  'mysql://alice:p@a/canary@db.example/app',
  'postgres://db.example/app?auth=canary',
  'postgres://db.example/app?apikey=canary',
  'postgres://db.example/app?sslkey=canary',
  'postgres://db.example/app?credentials=canary',
  'sqlite://alice:canary@db.example/app',
] as const

const GATEWAY = ['gateway', '--upstream', 'http://127.0.0.1:9', '--scope', 'public', '--port', '0']

describe.each(UNFINISHED)('the URL %s', (url) => {
  it.each([
    ['ls', ['ls', '--store', url]],
    ['doctor', ['doctor', '--json', '--store', url]],
    ['a cache', [...GATEWAY, '--admin-port', '0', '--store', 'sqlite::memory:', '--cache', url]],
    ['an upstream', ['gateway', '--scope', 'public', '--upstream', url]],
    ['an upstream to look at', ['doctor', '--store', 'sqlite::memory:', '--upstream', url]],
  ])('is refused as %s without a word of its password', async (_, args) => {
    const said = await command(args)
    expect(said.code).toBe(2)
    expect(said.stdout + said.stderr).not.toContain('canary')
  })

  it('is printed as configuration without its password', async () => {
    const said = await command([...GATEWAY, '--store', url, '--cache', url, '--print-config'])
    expect(said.stdout + said.stderr).not.toContain('canary')
  })
})

it('tells where an IPv6 address, a user name and a password go', async () => {
  const { code, stderr } = await command(['ls', '--store', 'redis://::1:6379'])
  expect(code).toBe(2)
  expect(stderr).toMatch(/an IPv6 address in \[ \].*before an @/)
})

it('prints what is no URL as it is, also with an @ in it', async () => {
  const said = await command([...GATEWAY, '--store', 'sqlite:./a@b.sqlite', '--print-config'])
  expect(JSON.parse(said.stdout)).toMatchObject({ store: { value: 'sqlite:./a@b.sqlite' } })
})
