-- One row a key that was locked lately. Times are ms since the epoch on the clock of this server. What may be any text is
-- UTF-8 as bytes, so that it is compared byte by byte, without padding. `fence` is the greatest that was given out, `fences`
-- how many belong to the grant of `token`: the one who holds the lock alone, until `until`. `state` is JSON as ASCII text:
-- those who share the lock, those who wait, what a holder has left, forced releases; null for none. Until `busy_until`
-- somebody shares it or waits; until `keep_until` there is something that must not be forgotten. Keys that begin with the
-- byte 0xFF, which is in no text, are those of locks inside a transaction.
CREATE TABLE IF NOT EXISTS onceward_locks (
  `key`      VARBINARY(640) NOT NULL,
  token      VARBINARY(255) NULL,
  fence      BIGINT         NOT NULL,
  fences     BIGINT         NOT NULL,
  until      BIGINT         NOT NULL,
  owner      BLOB           NULL,
  meta       BLOB           NULL,
  state      MEDIUMTEXT     CHARACTER SET ascii COLLATE ascii_bin NULL,
  busy_until BIGINT         NOT NULL,
  keep_until BIGINT         NOT NULL,
  touched_at BIGINT         NOT NULL,
  PRIMARY KEY (`key`)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
