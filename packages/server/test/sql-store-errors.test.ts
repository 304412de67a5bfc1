import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { describeWith, type SqlEndpoint } from '../../../test-servers/index.mjs'
import { command } from './support/in-process.ts'
import { SLOW_MS, workshop } from './support/processes.ts'
import { answered, COMMANDS, GATEWAY, refused, withParts } from './support/refused.ts'
import { startUpstream, until } from './support/servers.ts'

vi.setConfig({ testTimeout: SLOW_MS })

for (const [server, name] of [
  ['postgres', 'PostgreSQL'],
  ['mariadb', 'MariaDB'],
] as const) {
  await describeWith(server, `the commands on ${name}`, (servers) => {
    const endpoint = (servers as Readonly<Record<string, SqlEndpoint>>)[server] as SqlEndpoint
    let database: Awaited<ReturnType<SqlEndpoint['createDatabase']>>
    let migrated: string
    beforeAll(async () => {
      database = await endpoint.createDatabase()
      migrated = database.url
      expect((await command(['migrate', '--store', migrated])).code).toBe(0)
    })
    afterAll(() => database?.drop())
    const sql = (text: string) => endpoint.query(text, [], database.name)
    const other = (change: (url: URL) => void) => withParts(migrated, change)
    /** A user of our own, with a password and no rights beyond those given. */
    const user = async (grant: (name: string) => string | undefined): Promise<string> => {
      const own = `u_${randomBytes(4).toString('hex')}`
      await sql(
        server === 'postgres'
          ? `CREATE ROLE ${own} LOGIN PASSWORD 'pass/word'`
          : `CREATE USER ${own}@'%' IDENTIFIED BY 'pass/word'`,
      )
      const granted = grant(own)
      if (granted !== undefined) await sql(granted)
      return other((url) => {
        url.username = own
        url.password = 'pass%2Fword'
      })
    }

    it('take a password that needs escapes', async () => {
      const url = await user((own) =>
        server === 'postgres'
          ? `GRANT ALL ON ALL TABLES IN SCHEMA public TO ${own}`
          : `GRANT ALL ON ${database.name}.* TO ${own}@'%'`,
      )
      expect(await command(['ls', '--store', url])).toMatchObject({ code: 0, stderr: '' })
    })

    it.each(COMMANDS)('say that a user or password is refused: %s', async (...args) => {
      if (server === 'postgres') {
        // The test server trusts everybody with a known name.
        const url = other((changed) => {
          changed.username = 'nobody_of_that_name'
          changed.password = 'can%61ry'
        })
        await refused([...args, '--store', url], /refuses this user|no such role|does not exist.*check/i)
      } else {
        const url = other((changed) => {
          changed.password = 'can%61ry'
        })
        await refused([...args, '--store', url], /refuses this user; check/)
      }
    })

    it.each(COMMANDS)('say that nobody listens there: %s', async (...args) => {
      const url = other((changed) => {
        changed.port = '1'
        changed.password = 'canary'
      })
      await refused([...args, '--store', url], /cannot be reached .*ECONNREFUSED.*check/)
    })

    it.each(COMMANDS)('say that there is no such database: %s', async (...args) => {
      const url = other((changed) => {
        changed.pathname = '/no_such_database'
      })
      await refused([...args, '--store', url], /there is no such database; create it, or check/)
    })

    it.each(COMMANDS)('say that the schema is missing, and how to make it: %s', async (...args) => {
      const empty = await endpoint.createDatabase()
      if (args[0] === 'doctor') {
        const told = await command([...args, '--store', empty.url])
        expect(told).toMatchObject({ code: 1, stderr: '' })
        expect(told.stdout).toMatch(/^fail +schema: .*migrat/m)
        return empty.drop()
      }
      await refused(
        [...args, '--store', empty.url],
        /no up-to-date schema; run `onceward migrate --store URL`/,
      )
      await empty.drop()
    })

    it('say which rights are missing', async () => {
      const url = await user((own) =>
        server === 'postgres' ? undefined : `GRANT SELECT ON ${database.name}.* TO ${own}@'%'`,
      )
      await refused([...GATEWAY, '--store', url], /permission|right|grant/i)
      await refused(
        ['migrate', '--store', url.replace(database.name, 'not_ours')],
        /no such database|lacks a permission/,
      )
    })

    it('tell a dry run and the SQL apart from the deed, and have nothing to do afterwards', async () => {
      const empty = await endpoint.createDatabase()
      const dry = await command(['migrate', '--dry-run', '--store', empty.url])
      expect(dry).toMatchObject({ code: 0, stderr: '' })
      expect(dry.stdout).toMatch(/^(would apply \d{4}-[\w-]+\n)+$/)
      const script = await command(['migrate', '--sql', '--store', empty.url])
      expect(script.stdout).toMatch(/CREATE TABLE/i)
      const asJson = JSON.parse(
        (await command(['migrate', '--dry-run', '--json', '--store', empty.url])).stdout,
      ) as { pending: { name: string; sql: string }[] }
      expect(asJson.pending.every(({ name: title, sql: text }) => title !== '' && text !== '')).toBe(true)
      await refused(['ls', '--store', empty.url], /onceward migrate/)
      const made = await command(['migrate', '--store', empty.url])
      expect(made.stdout.startsWith('applied ')).toBe(true)
      for (const flag of [[], ['--dry-run']])
        expect((await command(['migrate', ...flag, '--store', empty.url])).stdout).toBe(
          'nothing to do: the schema is up to date\n',
        )
      expect((await command(['migrate', '--sql', '--store', empty.url])).stdout).toMatch(/^-- nothing to do/)
      expect(await command(['migrate', '--sql', '--dry-run', '--store', empty.url])).toMatchObject({
        code: 2,
      })
      await empty.drop()
    })

    it('make the schema at the start where that is asked for, also by three gateways at once', async () => {
      const shop = workshop()
      const empty = await endpoint.createDatabase()
      shop.after(() => empty.drop())
      const upstream = await startUpstream((_, response) => void response.writeHead(201).end('fine'))
      shop.after(() => upstream.close())
      const flags = ['--upstream', upstream.url, '--scope', 'public', '--store', empty.url, '--migrate']
      const gateways = await Promise.all([1, 2, 3].map(() => shop.gateway(flags)))
      const answers = await Promise.all(
        gateways.map(({ url }) => fetch(url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })),
      )
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201])
      expect(upstream.seen).toHaveLength(1)
      await shop.clear()
    })

    it('refuse a schema that is newer than the program', async () => {
      const newer = await endpoint.createDatabase()
      await command(['migrate', '--store', newer.url])
      const columns = await endpoint.query(
        `SELECT column_name AS name, is_nullable AS free FROM information_schema.columns
         WHERE table_name = 'onceward_migrations' AND table_schema = ${server === 'postgres' ? "'public'" : `'${newer.name}'`}`,
        [],
        newer.name,
      )
      expect(columns.length).toBeGreaterThan(1)
      await endpoint.query(
        server === 'postgres'
          ? `INSERT INTO onceward_migrations SELECT (m).* FROM (SELECT jsonb_populate_record(t, '{"number":999,"name":"later","compatible_from":999}') AS m FROM onceward_migrations t LIMIT 1) x`
          : `UPDATE onceward_migrations SET number = 999, compatible_from = 999 ORDER BY number DESC LIMIT 1`,
        [],
        newer.name,
      )
      for (const args of COMMANDS.filter(([first]) => first !== 'doctor'))
        await refused([...args, '--store', newer.url], /999.*upgrade onceward/i)
      await newer.drop()
    })

    it('tell a row that is not one of ours by its operation, and never run it again', async () => {
      const own = await endpoint.createDatabase()
      await command(['migrate', '--store', own.url])
      const { id } = await answered(own.url)
      await endpoint.query(
        "UPDATE onceward_operations SET detail = 'not ours' WHERE state = 'done'",
        [],
        own.name,
      )
      await refused(['show', id, '--store', own.url], new RegExp(`${id}.*cannot be read`))
      const shop = workshop()
      const upstream = await startUpstream((_, response) => void response.end('again'))
      const gateway = await shop.gateway([
        '--upstream',
        upstream.url,
        '--scope',
        'public',
        '--store',
        own.url,
      ])
      const answer = await fetch(gateway.url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
      expect([answer.status, await answer.json()]).toMatchObject([
        500,
        { effect: 'unknown', retryable: false },
      ])
      expect(upstream.seen).toHaveLength(0)
      await shop.clear()
      await upstream.close()
      await own.drop()
    })

    it('refuse a server that takes no writes, which is ready again when it does', async () => {
      if (server !== 'postgres') return
      const own = await endpoint.createDatabase()
      await command(['migrate', '--store', own.url])
      const shop = workshop()
      shop.after(() => own.drop())
      const upstream = await startUpstream((_, response) => void response.writeHead(201).end('fine'))
      shop.after(() => upstream.close())
      const flags = ['--upstream', upstream.url, '--scope', 'public', '--store', own.url]
      const gateway = await shop.gateway(flags)
      const endSessions = () =>
        endpoint.query(
          // Waits until each has ended: a session that still lives would go on with the setting of before.
          'SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
          [own.name],
        )
      await endpoint.query(`ALTER DATABASE ${own.name} SET default_transaction_read_only = on`)
      await endSessions()
      await refused([...GATEWAY, '--store', own.url], /read-only|takes no writes/)
      const post = () => fetch(gateway.url, { method: 'POST', headers: { 'Idempotency-Key': 'k' } })
      const refusal = await post()
      expect([refusal.status, await refusal.json()]).toMatchObject([503, { effect: 'none' }])
      expect(upstream.seen).toHaveLength(0)
      await endpoint.query(`ALTER DATABASE ${own.name} RESET default_transaction_read_only`)
      await endSessions()
      await until(async () => (await post()).status === 201)
      expect(upstream.seen).toHaveLength(1)
      await shop.clear()
    })
  })
}
