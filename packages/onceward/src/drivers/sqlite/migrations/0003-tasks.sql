-- One row a task. Times are ms since the epoch. `policy`, `problem`, `history` and `cancel` are JSON; `input` and `result` are
-- what the codec wrote. `task_id` is the caller's own and only unique together with the user and the action; a task that was
-- replaced has given it up, and `former_task_id` remembers it. `owner` is the worker of the latest attempt, also after its end.
CREATE TABLE onceward_tasks (
  id             TEXT    PRIMARY KEY,
  task_id        TEXT,
  former_task_id TEXT,
  user_id        TEXT    NOT NULL,
  action_type    TEXT    NOT NULL,
  state          TEXT    NOT NULL,
  on_crash       TEXT    NOT NULL,
  policy         TEXT,
  input          TEXT,
  run_at         INTEGER NOT NULL,
  attempt        INTEGER NOT NULL,
  max_attempts   INTEGER NOT NULL,
  fence          INTEGER NOT NULL,
  owner          TEXT,
  lease_until    INTEGER NOT NULL,
  cancel         TEXT,
  created_at     INTEGER NOT NULL,
  changed_at     INTEGER NOT NULL,
  finished_at    INTEGER,
  result         TEXT,
  problem        TEXT,
  history        TEXT    NOT NULL,
  UNIQUE (task_id, user_id, action_type)
);
CREATE INDEX onceward_tasks_due ON onceward_tasks (action_type, run_at, id) WHERE state = 'pending';
CREATE INDEX onceward_tasks_by_state ON onceward_tasks (state, id) WHERE state NOT IN ('pending', 'done');
CREATE INDEX onceward_tasks_finished ON onceward_tasks (state, finished_at) WHERE finished_at IS NOT NULL;
