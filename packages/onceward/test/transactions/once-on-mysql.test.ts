import mysql from 'mysql2/promise'
import { describeWith } from '../../../../test-servers/index.mjs'
import { mysqlStore } from '../../src/stores/mysql/index.ts'
import { onceSuite } from './once-suite.ts'
import { WAYS_ON_MYSQL } from './ways-on-mysql.ts'

const kind = {
  orders:
    'CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, cart varchar(200) NOT NULL) ENGINE = InnoDB',
  async open(url: string) {
    const pool = mysql.createPool({ uri: url })
    return { store: mysqlStore(pool), close: () => pool.end() }
  },
}

await describeWith('mariadb', 'once.within on MariaDB', ({ mariadb }) => {
  onceSuite(mariadb, WAYS_ON_MYSQL, kind)
})

await describeWith('mysql', 'once.within on MySQL', ({ mysql: server }) => {
  onceSuite(server, WAYS_ON_MYSQL, kind)
})
