import { describeWith } from '../../../../test-servers/index.mjs'
import { sessionSuite } from './session-suite.ts'
import { WAYS_ON_POSTGRES } from './ways-on-postgres.ts'

await describeWith('postgres', 'sessions on transactions on PostgreSQL', ({ postgres }) => {
  sessionSuite(postgres, WAYS_ON_POSTGRES, {
    dialect: 'postgres',
    tables: [
      'CREATE TABLE orders (id serial PRIMARY KEY, cart text NOT NULL)',
      `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$`,
      `CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW WHEN (NEW.cart = 'deadlock')
        EXECUTE FUNCTION refuse()`,
    ],
    echo: `SELECT $1::text AS some_text, $2::bigint AS a_number, $3::boolean AS a_truth, $4::bytea AS some_bytes`,
    insert: 'INSERT INTO orders (cart) VALUES ($1)',
    wrong: 'SELECT nothing FROM nowhere',
  })
})
