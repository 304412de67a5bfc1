import { describe, expect, expectTypeOf, it } from 'vitest'
import { declareGraph, type StateGraph } from './state-graph.ts'

describe('a graph of states', () => {
  const graph = declareGraph({
    pending: ['paid', 'cancelled'],
    paid: ['shipped'],
    shipped: [],
    cancelled: [],
  })

  it('knows its edges in both directions', () => {
    expectTypeOf(graph).toEqualTypeOf<StateGraph<'pending' | 'paid' | 'shipped' | 'cancelled'>>()
    expect(graph.states).toEqual(['pending', 'paid', 'shipped', 'cancelled'])
    expect(graph.allows('pending', 'paid')).toBe(true)
    expect(graph.allows('paid', 'pending')).toBe(false)
    expect(graph.after('pending')).toEqual(['paid', 'cancelled'])
    expect(graph.after('shipped')).toEqual([])
    expect(graph.before('shipped')).toEqual(['paid'])
    expect(graph.before('pending')).toEqual([])
  })

  it('takes states that are numbers, and names that objects have by themselves', () => {
    const numbers = declareGraph({ 0: [1], 1: [2], 2: [] })
    expect(numbers.allows(0, 1)).toBe(true)
    expect(numbers.before(2)).toEqual([1])
    const odd = declareGraph<string>({ constructor: ['toString'], toString: [] })
    expect(odd.allows('constructor', 'toString')).toBe(true)
    expect(() => odd.allows('valueOf', 'toString')).toThrow(/no state of this graph/)
    expect(() => graph.allows('__proto__' as never, 'paid')).toThrow(TypeError)
  })

  it('refuses a state that is not declared, an edge to itself, and what is no graph', () => {
    // @ts-expect-error A typing error is found by the compiler too.
    expect(() => declareGraph({ pending: ['payed'], paid: [] })).toThrow(
      /"payed" may follow "pending" and is not declared/,
    )
    expect(() => declareGraph({ pending: ['pending'] })).toThrow(/must not follow itself/)
    expect(() => declareGraph({ pending: 'paid' } as never)).toThrow(/needs a list/)
    expect(() => declareGraph(null as never)).toThrow(TypeError)
  })

  it('does not change when the declaration does', () => {
    const edges: Record<string, string[]> = { a: ['b'], b: [] }
    const kept = declareGraph(edges)
    edges['a']?.pop()
    expect(kept.allows('a', 'b')).toBe(true)
  })
})
