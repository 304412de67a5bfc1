import express from 'express'
import { describe, it } from 'vitest'
import { registerCases } from '../../src/testing/conformance-case.ts'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { startExpress } from './express-binding.ts'

const throws = 'Express keeps throws from middleware'
const handler = express.raw({ type: () => true, limit: '10mb' })

describe('Express 5 with a body parser behind the guard', () => {
  const start = startExpress(express, { where: 'after', handler })
  registerCases(it, httpConformance(start, { without: { throws } }))
})

describe('Express 5 with a body parser before the guard', () => {
  const start = startExpress(express, { where: 'before', handler })
  const unreadBody = 'the parser has read the body'
  registerCases(it, httpConformance(start, { without: { throws, unreadBody } }))
})
