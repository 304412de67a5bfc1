import pg from 'pg'
import { describeWith } from '../../../../test-servers/index.mjs'
import { postgresStore } from '../../src/stores/postgres/index.ts'
import { onceSuite } from './once-suite.ts'
import { WAYS_ON_POSTGRES } from './ways-on-postgres.ts'

await describeWith('postgres', 'once.within on PostgreSQL', ({ postgres }) => {
  onceSuite(postgres, WAYS_ON_POSTGRES, {
    orders: 'CREATE TABLE orders (id serial PRIMARY KEY, cart text NOT NULL)',
    async open(url) {
      const pool = new pg.Pool({ connectionString: url })
      return { store: postgresStore(pool), close: () => pool.end() }
    },
  })
})
