import { describeWith } from '../../../../test-servers/index.mjs'
import { sessionSuite } from './session-suite.ts'
import { WAYS_ON_MYSQL } from './ways-on-mysql.ts'

const dialect = {
  dialect: 'mysql',
  tables: [
    'CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, cart varchar(200) NOT NULL) ENGINE = InnoDB',
    `CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW
      IF NEW.cart = 'deadlock' THEN
        SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found';
      END IF`,
  ],
  echo: `SELECT CAST(? AS CHAR CHARACTER SET utf8mb4) AS some_text, CAST(? AS SIGNED) AS a_number,
    CAST(? AS SIGNED) AS a_truth, CAST(? AS BINARY) AS some_bytes`,
  insert: 'INSERT INTO orders (cart) VALUES (?)',
  wrong: 'SELECT nothing FROM nowhere',
} as const

await describeWith('mariadb', 'sessions on transactions on MariaDB', ({ mariadb }) => {
  sessionSuite(mariadb, WAYS_ON_MYSQL, dialect)
})

await describeWith('mysql', 'sessions on transactions on MySQL', ({ mysql }) => {
  sessionSuite(mysql, WAYS_ON_MYSQL, dialect)
})
