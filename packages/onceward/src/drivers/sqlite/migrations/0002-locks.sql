-- One row a key that was locked lately. Times are ms since the epoch. `fence` is the greatest that was given out, `fences` how
-- many belong to the grant of `token`: the one who holds the lock alone, until `until`. `state` is JSON: those who share the
-- lock, those who wait, what a holder has left, forced releases; null for none. Until `busy_until` somebody shares it or
-- waits; until `keep_until` there is something that must not be forgotten.
CREATE TABLE onceward_locks (
  key        TEXT    PRIMARY KEY,
  token      TEXT,
  fence      INTEGER NOT NULL,
  fences     INTEGER NOT NULL,
  until      INTEGER NOT NULL,
  owner      TEXT,
  meta       TEXT,
  state      TEXT,
  busy_until INTEGER NOT NULL,
  keep_until INTEGER NOT NULL,
  touched_at INTEGER NOT NULL
) WITHOUT ROWID;
