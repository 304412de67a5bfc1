import type { RouteOptions, RoutePolicy } from '../config/gateway-options.ts'
import { usageError } from '../exit-codes.ts'
import { parseTarget } from './target.ts'

/** What applies to a request, and what logs call it. */
export interface RouteMatch {
  readonly name: string
  readonly policy: RoutePolicy
}

/** Finds the route of a request: the first that matches, else the defaults. */
export type RouteTable = (method: string, path: string) => RouteMatch

/**
 * Compiles the routes.
 *
 * Patterns are compared segment by segment, letter case included: `:name` stands for one segment, a final `*` for
 * everything below (and the folder itself). Empty segments and one final slash do not count, because services seldom
 * tell them apart and a key must not be skipped by adding a slash.
 *
 * @throws `CommandError` (usage) for a pattern that could never match.
 */
export function routeTable(routes: readonly RouteOptions[], defaults: RoutePolicy): RouteTable {
  const compiled = routes.map((route) => ({
    methods: new Set<string>(route.methods),
    matches: compile(route.path),
    match: { name: route.name, policy: route.policy },
  }))
  const fallback: RouteMatch = { name: 'default', policy: defaults }
  refuseShadowed(routes)
  if (compiled.length === 0) return () => fallback
  return (method, path) => {
    const segments = segmentsOf(path)
    for (const route of compiled) {
      if (route.methods.has(method) && route.matches(segments)) return route.match
    }
    return fallback
  }
}

function compile(pattern: string): (segments: readonly string[]) => boolean {
  const target = parseTarget(pattern)
  if (target === undefined || target.query !== '') {
    throw usageError(
      `route ${pattern}: give a path such as /payments/:id or /admin/*, without host and query`,
    )
  }
  const parts = segmentsOf(target.path)
  const star = parts.indexOf('*')
  if (parts.some((part, index) => part.includes('*') && (part !== '*' || index !== parts.length - 1))) {
    throw usageError(
      `route ${pattern}: * stands for everything below and can only come last, alone between slashes; use :name for one segment`,
    )
  }
  const open = star >= 0
  const fixed = open ? parts.slice(0, -1) : parts
  return (segments) => {
    if (open ? segments.length < fixed.length : segments.length !== fixed.length) return false
    return fixed.every((part, index) => part.startsWith(':') || part === segments[index])
  }
}

/** Two routes with one pattern and a method in common: the later one would protect nothing, and nobody would notice. */
function refuseShadowed(routes: readonly RouteOptions[]): void {
  const taken = new Map<string, string>()
  for (const { path, methods } of routes) {
    const pattern = segmentsOf(parseTarget(path)?.path ?? path)
      .map((part) => (part.startsWith(':') ? ':' : part))
      .join('/')
    for (const method of methods) {
      const earlier = taken.get(`${method} ${pattern}`)
      if (earlier !== undefined) {
        throw usageError(
          `route ${path}: ${method} is taken by the route ${earlier} before it; leave one of them out`,
        )
      }
    }
    for (const method of methods) taken.set(`${method} ${pattern}`, path)
  }
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '')
}
