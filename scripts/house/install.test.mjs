import { describe, expect, it } from 'vitest'
import { withFixture } from '../gates/fixture.mjs'
import { isInstalled } from './install.mjs'
import { ROOT } from './paths.mjs'

const LOCK = {
  packages: {
    '': { version: '1.0.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/other-machine': { version: '1.0.0', optional: true },
    'packages/x/node_modules/a': { version: '2.0.0' },
  },
}
const INSTALLED = {
  packages: { 'node_modules/a': { version: '1.0.0' }, 'packages/x/node_modules/a': { version: '2.0.0' } },
}

describe('the dependencies', () => {
  const judge = (/** @type {object | undefined} */ installed) =>
    withFixture(
      { 'package-lock.json': LOCK, ...(installed ? { 'node_modules/.package-lock.json': installed } : {}) },
      isInstalled,
    )

  it('count as installed when npm has noted every locked one', async () => {
    expect(await judge(INSTALLED)).toBe(true)
  })

  it.each([
    ['nothing is installed', undefined],
    ['one is missing', { packages: { 'node_modules/a': { version: '1.0.0' } } }],
    [
      'one has another version',
      { packages: { ...INSTALLED.packages, 'node_modules/a': { version: '1.0.1' } } },
    ],
  ])('count as missing when %s', async (_, installed) => {
    expect(await judge(installed)).toBe(false)
  })

  it('of this repository are installed', () => {
    expect(isInstalled(ROOT)).toBe(true)
  })
})
