import { describe, it } from 'vitest'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { startNode } from './node-binding.ts'

describe('plain node:http', () => {
  registerCases(it, httpConformance(startNode()))
})
