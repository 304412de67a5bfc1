import type { DatabaseAddress } from './work-database.ts'

/** What the user writes in transactions of their own. Nothing but what a guard needs is unique: what comes twice is to be seen. */
export const MAIN_TABLES: readonly string[] = [
  'CREATE TABLE work_rows (trial VARCHAR(80) NOT NULL, call_id VARCHAR(80) NOT NULL, item VARCHAR(120) NOT NULL)',
  'CREATE TABLE work_orders (id VARCHAR(120) NOT NULL PRIMARY KEY, trial VARCHAR(80) NOT NULL, status VARCHAR(20) NOT NULL, ending VARCHAR(80))',
  'CREATE TABLE work_stock (id VARCHAR(120) NOT NULL PRIMARY KEY, trial VARCHAR(80) NOT NULL, units INTEGER NOT NULL, version BIGINT NOT NULL)',
  'CREATE TABLE work_payments (id VARCHAR(120) NOT NULL PRIMARY KEY, trial VARCHAR(80) NOT NULL, call_id VARCHAR(80) NOT NULL)',
]

/** What consumers write, in another database. */
export const OTHER_TABLES: readonly string[] = [
  'CREATE TABLE work_effects (trial VARCHAR(80) NOT NULL, message VARCHAR(120) NOT NULL, call_id VARCHAR(80) NOT NULL)',
]

const COLUMNS =
  'task, action, from_state, to_state, from_attempt, to_attempt, from_owner, to_owner, fence, lease_until, at_ms'

const TABLE = (number: string, text: string) => `CREATE TABLE work_changes (
  n ${number}, task ${text} NOT NULL, action ${text} NOT NULL, from_state ${text} NOT NULL, to_state ${text} NOT NULL,
  from_attempt BIGINT NOT NULL, to_attempt BIGINT NOT NULL, from_owner ${text}, to_owner ${text}, fence BIGINT NOT NULL,
  lease_until BIGINT NOT NULL, at_ms BIGINT NOT NULL)`

const created = (id: string, action: string, now: string) =>
  `INSERT INTO work_changes (${COLUMNS}) VALUES (${id}, ${action}, '', NEW.state, 0, NEW.attempt, NULL, NEW.owner, NEW.fence, 0, ${now});`
const changed = (id: string, action: string, now: string) =>
  `INSERT INTO work_changes (${COLUMNS}) VALUES (${id}, ${action}, OLD.state, NEW.state, OLD.attempt, NEW.attempt, OLD.owner, NEW.owner, NEW.fence, OLD.lease_until, ${now});`

const SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
const POSTGRES_NOW = 'floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
const MYSQL_NOW = 'CAST(FLOOR(UNIX_TIMESTAMP(SYSDATE(6)) * 1000) AS SIGNED)'

/** Writes each change of a task's state, attempt or owner down, whoever makes it: triggers, which share nothing with the library. */
export const WATCH_TASKS: Readonly<Record<DatabaseAddress['kind'], readonly string[]>> = {
  sqlite: [
    TABLE('INTEGER PRIMARY KEY AUTOINCREMENT', 'TEXT'),
    `CREATE TRIGGER work_task_created AFTER INSERT ON onceward_tasks BEGIN
      ${created('NEW.id', 'NEW.action_type', SQLITE_NOW)} END`,
    `CREATE TRIGGER work_task_changed AFTER UPDATE ON onceward_tasks
      WHEN OLD.state <> NEW.state OR OLD.attempt <> NEW.attempt OR OLD.owner IS NOT NEW.owner BEGIN
      ${changed('NEW.id', 'NEW.action_type', SQLITE_NOW)} END`,
  ],
  postgres: [
    TABLE('bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY', 'text'),
    `CREATE FUNCTION work_task_created() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      ${created('NEW.id::text', 'NEW.action_type', POSTGRES_NOW)} RETURN NULL; END $$`,
    `CREATE FUNCTION work_task_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      ${changed('NEW.id::text', 'NEW.action_type', POSTGRES_NOW)} RETURN NULL; END $$`,
    'CREATE TRIGGER work_task_created AFTER INSERT ON onceward_tasks FOR EACH ROW EXECUTE FUNCTION work_task_created()',
    `CREATE TRIGGER work_task_changed AFTER UPDATE ON onceward_tasks FOR EACH ROW
      WHEN (OLD.state <> NEW.state OR OLD.attempt <> NEW.attempt OR OLD.owner IS DISTINCT FROM NEW.owner)
      EXECUTE FUNCTION work_task_changed()`,
  ],
  mysql: [
    TABLE('BIGINT AUTO_INCREMENT PRIMARY KEY', 'VARCHAR(255)'),
    `CREATE TRIGGER work_task_created AFTER INSERT ON onceward_tasks FOR EACH ROW BEGIN
      ${created('NEW.id', 'CONVERT(NEW.action_type USING utf8mb4)', MYSQL_NOW)} END`,
    `CREATE TRIGGER work_task_changed AFTER UPDATE ON onceward_tasks FOR EACH ROW BEGIN
      IF OLD.state <> NEW.state OR OLD.attempt <> NEW.attempt OR NOT (OLD.owner <=> NEW.owner) THEN
      ${changed('NEW.id', 'CONVERT(NEW.action_type USING utf8mb4)', MYSQL_NOW)} END IF; END`,
  ],
}

const ends = (now: string) =>
  `INSERT INTO work_ends (event, topic, attempt, at_ms) VALUES (OLD.id, OLD.topic, OLD.attempts, ${now});`

const ENDS = 'CREATE TABLE work_ends (event VARCHAR(120), topic VARCHAR(120), attempt BIGINT, at_ms BIGINT)'

/** Writes down which attempt an event had when it left the outbox. */
export const WATCH_EVENTS: Readonly<Record<DatabaseAddress['kind'], readonly string[]>> = {
  sqlite: [
    ENDS,
    `CREATE TRIGGER work_event_ended AFTER DELETE ON onceward_outbox BEGIN ${ends(SQLITE_NOW)} END`,
  ],
  postgres: [
    ENDS,
    `CREATE FUNCTION work_event_ended() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      ${ends(POSTGRES_NOW)} RETURN NULL; END $$`,
    'CREATE TRIGGER work_event_ended AFTER DELETE ON onceward_outbox FOR EACH ROW EXECUTE FUNCTION work_event_ended()',
  ],
  mysql: [
    ENDS,
    `CREATE TRIGGER work_event_ended AFTER DELETE ON onceward_outbox FOR EACH ROW BEGIN ${ends(MYSQL_NOW)} END`,
  ],
}

/** How the columns of a task are read as text. */
export const TASK_TEXT: Readonly<Record<DatabaseAddress['kind'], (column: string) => string>> = {
  sqlite: (column) => column,
  postgres: (column) => `${column}::text`,
  mysql: (column) => `CONVERT(${column} USING utf8mb4)`,
}
