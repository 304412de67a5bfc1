import express from 'express'
import { describe, it } from 'vitest'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { startExpress } from './express-binding.ts'

describe('Express 5', () => {
  registerCases(
    it,
    httpConformance(startExpress(express), { without: { throws: 'Express keeps throws from middleware' } }),
  )
})
