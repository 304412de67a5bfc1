import { describe, expect, it } from 'vitest'
import { httpConformance } from '../../src/testing/http-conformance.ts'
import { type Defect, startSmall } from './small-middleware.ts'

/** Each mistake with a case that must catch it: a suite that fails for another reason has not seen the mistake. */
const CAUGHT_BY: Readonly<Record<Defect, string>> = {
  'one scope for all': 'one key of two callers is two operations',
  'key alone is the identity': 'another path or another method under one key',
  'joins scope and key': 'where to cut a scope from its key',
  'anonymous callers share': 'a caller that cannot be told from others',
  'replays before authorization': 'authorization is asked before a replay',
  'quoted is another key': 'the quoted and the bare form of a key',
  'guards GET too': 'a safe method with a key passes through',
  'equal bodies collide': 'another key with an equal body runs beside the first',
  'never compares input': 'a changed body or media type is a reuse',
  'mismatch takes the record': 'a changed body or media type is a reuse',
  'hashes a prefix': 'bodies that differ in their last byte only',
  'cuts large bodies': 'a body over the cap is refused',
  'replays cookies': 'no cookie, credential, connection field or date',
  'replays every field': 'no cookie, credential, connection field or date',
  'replay is not marked': 'a replay has the marker',
  'never expires': 'a finished operation is forgotten after its retention',
  'takes 204 for no result': 'a 204 is replayed byte for byte',
  'stores text only': 'a binary answer of every byte is replayed',
  'forgets streams': 'a streamed answer is replayed',
  'stores 429': 'a 429 is not stored',
  'stores 503': 'a 503 of the application is told, then the outcome is unknown',
  'reruns after a failure': 'a 500 of the application is told, then the outcome is unknown',
  'reruns after a large answer': 'an answer over the cap reaches its caller whole',
  'believes the client on effects': 'Onceward-Effect from a client means nothing',
  'strands the key on disconnect': 'a client that leaves midway finds its answer',
  'runs for who has left': 'a duplicate that has left is not run in place of the first',
  'answers before storing': 'an answer that has arrived can be replayed at once',
  'waits for ever': 'Prefer: wait=0 is told at once',
  'never waits': 'duplicates that waited get the replay',
  'waits, then runs': 'the cap of the route bounds what a client prefers',
}

describe('the HTTP suite rejects a middleware that', () => {
  for (const [defect, name] of Object.entries(CAUGHT_BY) as [Defect, string][]) {
    it(defect, async () => {
      const suite = httpConformance(startSmall(defect), { patienceMs: 1500 })
      const caught = suite.filter((one) => one.name.startsWith(name))
      expect(caught, `one case starts with "${name}"`).toHaveLength(1)
      await expect(caught[0]?.run()).rejects.toThrow()
    })
  }
})
