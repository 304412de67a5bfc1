import { defineConfig } from 'vitest/config'
import SlowFirst from './scripts/tests/slow-first.mjs'

export default defineConfig({
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'packages/*/test/**/*.test.ts',
      'verify/**/*.test.ts',
      'examples/**/*.test.ts',
      'scripts/**/*.test.mjs',
      'test-servers/**/*.test.mjs',
    ],
    globalSetup: ['test-servers/vitest-setup.mjs'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // Vitest gives a condition one second: a server on a busy machine may stand still for longer.
    expect: { poll: { timeout: 10_000 } },
    // Much of a test on a server is waiting for a lease to lapse.
    maxWorkers: 3,
    sequence: { sequencer: SlowFirst },
  },
})
