// The database of the example: how it begins, and what has to be true in the end.

const TABLES = `
CREATE TABLE orders (id integer PRIMARY KEY, product text NOT NULL, quantity integer NOT NULL, status text NOT NULL, last_fence bigint);
CREATE TABLE stock (product text PRIMARY KEY, quantity integer NOT NULL);
CREATE TABLE carts (id text PRIMARY KEY, expired boolean NOT NULL);
CREATE TABLE segments (key text PRIMARY KEY, last_fence bigint);
CREATE TABLE releases (order_id integer NOT NULL, worker text NOT NULL);
CREATE TABLE deletions (cart_id text NOT NULL, worker text NOT NULL);
CREATE TABLE reports (tick bigint NOT NULL, worker text NOT NULL);
CREATE TABLE refusals (what text NOT NULL, worker text NOT NULL);
`

/** Every third order is paid, every fourth cart is in use. Stock is what the orders have taken: below zero. */
export async function openShop(pool, { orders, carts }) {
  await pool.query('DROP SCHEMA IF EXISTS cancel_orders CASCADE')
  await pool.query('CREATE SCHEMA cancel_orders')
  await pool.query(TABLES)
  await pool.query(
    `INSERT INTO orders SELECT n, 'product ' || n % 5, 1 + n % 3, CASE WHEN n % 3 = 0 THEN 'paid' ELSE 'unpaid' END
     FROM generate_series(1, $1::integer) AS n`,
    [orders],
  )
  await pool.query('INSERT INTO stock SELECT product, -sum(quantity) FROM orders GROUP BY product')
  await pool.query(
    `INSERT INTO carts SELECT 'cart-' || lpad(n::text, 8, '0'), n % 4 <> 0 FROM generate_series(1, $1::integer) AS n`,
    [carts],
  )
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM orders WHERE status = 'unpaid') AS unpaid, (SELECT count(*) FROM carts WHERE expired) AS expired`,
  )
  return { unpaid: Number(rows[0].unpaid), expired: Number(rows[0].expired), carts }
}

/** How much is left to do. */
export async function leftToDo(pool) {
  const { rows } = await pool.query(
    `SELECT (SELECT count(*) FROM orders WHERE status = 'unpaid') + (SELECT count(*) FROM carts WHERE expired) AS n`,
  )
  return Number(rows[0].n)
}

/** The numbers at the end: what was counted, and what it has to be. */
export async function takeStock(pool, begun) {
  const { rows } = await pool.query(`SELECT
    (SELECT count(*) FROM orders WHERE status = 'cancelled') AS cancelled,
    (SELECT count(*) FROM orders WHERE status = 'unpaid') AS unpaid,
    (SELECT count(*) FROM releases) AS releases,
    (SELECT count(DISTINCT order_id) FROM releases) AS released,
    (SELECT coalesce(sum(abs(s.quantity + o.sold)), 0) FROM stock s
      JOIN (SELECT product, sum(quantity) FILTER (WHERE status <> 'cancelled') AS sold FROM orders GROUP BY product) o
      USING (product)) AS astray,
    (SELECT count(*) FROM deletions) AS deletions,
    (SELECT count(DISTINCT cart_id) FROM deletions) AS deleted,
    (SELECT count(*) FROM carts) AS carts,
    (SELECT count(*) FROM reports) AS reports,
    (SELECT count(DISTINCT tick) FROM reports) AS seconds,
    (SELECT count(*) FROM refusals) AS refused`)
  const count = Object.fromEntries(Object.entries(rows[0]).map(([name, text]) => [name, Number(text)]))
  const checks = [
    ['unpaid orders cancelled', count.cancelled, begun.unpaid],
    ['unpaid orders left', count.unpaid, 0],
    ['times that stock was given back', count.releases, begun.unpaid],
    ['orders whose stock was given back', count.released, begun.unpaid],
    ['pieces of stock astray', count.astray, 0],
    ['expired carts deleted', count.deletions, begun.expired],
    ['of them, different ones', count.deleted, begun.expired],
    ['carts left, all in use', count.carts, begun.carts - begun.expired],
    ['seconds with a report', count.seconds, count.reports],
  ]
  return { count, checks }
}
