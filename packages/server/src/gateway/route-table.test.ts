import { describe, expect, it } from 'vitest'
import { gatewayOptions } from '../config/gateway-options.ts'
import { routeTable } from './route-table.ts'

const tableOf = (...paths: string[]) => {
  const routes = paths.map((path) => ({ path, name: path }))
  const options = gatewayOptions({ config: { upstream: 'http://a', scope: 'public', routes }, sources: {} })
  const table = routeTable(options.routes, options.defaults)
  return (path: string, method = 'POST') => table(method, path).name
}

describe('the route table', () => {
  it('takes the first route that matches, else the defaults', () => {
    const find = tableOf('/payments/special', '/payments/:id', '/payments/:id/refunds/:refund', '/*')
    expect(find('/payments/special')).toBe('/payments/special')
    expect(find('/payments/7')).toBe('/payments/:id')
    expect(find('/payments/7/refunds/1')).toBe('/payments/:id/refunds/:refund')
    expect(find('/payments/7/other')).toBe('/*')
    expect(tableOf('/a')('/b')).toBe('default')
  })

  it('lets a star stand for everything below and the folder itself, and for nothing beside it', () => {
    const find = tableOf('/admin/*')
    for (const path of ['/admin', '/admin/', '/admin/x', '/admin/x/y']) expect(find(path)).toBe('/admin/*')
    for (const path of ['/', '/administration', '/x/admin', '/Admin/x']) expect(find(path)).toBe('default')
  })

  it('cannot be passed by a slash more', () => {
    const find = tableOf('/payments')
    for (const path of ['/payments', '/payments/', '/payments//']) expect(find(path)).toBe('/payments')
  })

  it('reads patterns as it reads targets', () => {
    expect(tableOf('/%70ay/a:b')('/pay/a:b')).toBe('/%70ay/a:b')
  })

  it.each(['/files/**', '/files/*.pdf', '/*/files', '/files/a*'])(
    'refuses %s, which would match nothing',
    (path) => {
      expect(() => tableOf(path)).toThrow(/\* stands for everything below/)
    },
  )

  it.each([
    ['/p', '/p'],
    ['/p/:id', '/p/:name/'],
    ['/p/*', '/%70/*'],
  ])('refuses %s and %s together: the second would never be used', (first, second) => {
    expect(() => tableOf(first, second)).toThrow(/is taken by the route/)
  })

  it('is for the methods it names', () => {
    const options = gatewayOptions({
      config: { upstream: 'http://a', scope: 'public', routes: [{ path: '/p', method: ['PUT', 'DELETE'] }] },
      sources: {},
    })
    const table = routeTable(options.routes, options.defaults)
    expect(['POST', 'PUT', 'DELETE'].map((method) => table(method, '/p').name)).toEqual([
      'default',
      '/p',
      '/p',
    ])
  })
})
