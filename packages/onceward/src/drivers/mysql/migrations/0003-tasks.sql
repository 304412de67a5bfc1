-- One row a task. Times are ms since the epoch on the clock of this server. Names that callers choose are UTF-8 as bytes, so
-- that they are compared byte by byte, without padding; everything else is ASCII. `policy`, `problem`, `history` and `cancel`
-- are JSON; `input` and `result` are what the codec wrote. `task_id` is the caller's own and only unique together with the user
-- and the action; a task that was replaced has given it up, and `former_task_id` remembers it. `owner` is the worker of the
-- latest attempt, also after its end. `lease_until` is in no index, so that a heartbeat writes none.
CREATE TABLE IF NOT EXISTS onceward_tasks (
  id             CHAR(36)       CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  task_id        VARBINARY(255) NULL,
  former_task_id VARBINARY(255) NULL,
  user_id        VARBINARY(255) NOT NULL,
  action_type    VARBINARY(255) NOT NULL,
  state          VARCHAR(16)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  on_crash       VARCHAR(8)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  policy         TEXT           CHARACTER SET ascii COLLATE ascii_bin NULL,
  input          LONGTEXT       CHARACTER SET ascii COLLATE ascii_bin NULL,
  run_at         BIGINT         NOT NULL,
  attempt        INT            NOT NULL,
  max_attempts   INT            NOT NULL,
  fence          BIGINT         NOT NULL,
  owner          VARCHAR(64)    CHARACTER SET ascii COLLATE ascii_bin NULL,
  lease_until    BIGINT         NOT NULL,
  cancel         TEXT           CHARACTER SET ascii COLLATE ascii_bin NULL,
  created_at     BIGINT         NOT NULL,
  changed_at     BIGINT         NOT NULL,
  finished_at    BIGINT         NULL,
  result         LONGTEXT       CHARACTER SET ascii COLLATE ascii_bin NULL,
  problem        TEXT           CHARACTER SET ascii COLLATE ascii_bin NULL,
  history        MEDIUMTEXT     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY onceward_tasks_once (task_id, user_id, action_type),
  KEY onceward_tasks_due (state, action_type, run_at, id),
  KEY onceward_tasks_finished (state, finished_at)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
