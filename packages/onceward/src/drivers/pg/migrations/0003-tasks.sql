-- One row a task. Text is compared byte by byte, times are ms since the epoch. `policy`, `problem`, `history` and `cancel` are
-- JSON as text; `input` and `result` are what the codec wrote. `task_id` is the caller's own and only unique together with the
-- user and the action; a task that was replaced has given it up, and `former_task_id` remembers it. `owner` is the worker of the
-- latest attempt, also after its end. `lease_until` is in no index and pages keep room: a heartbeat is a HOT update.
CREATE TABLE onceward_tasks (
  id             uuid PRIMARY KEY,
  task_id        text COLLATE "C",
  former_task_id text COLLATE "C",
  user_id        text COLLATE "C" NOT NULL,
  action_type    text COLLATE "C" NOT NULL,
  state          text COLLATE "C" NOT NULL,
  on_crash       text COLLATE "C" NOT NULL,
  policy         text COLLATE "C",
  input          text COLLATE "C",
  run_at         bigint NOT NULL,
  attempt        integer NOT NULL,
  max_attempts   integer NOT NULL,
  fence          bigint NOT NULL,
  owner          text COLLATE "C",
  lease_until    bigint NOT NULL,
  cancel         text COLLATE "C",
  created_at     bigint NOT NULL,
  changed_at     bigint NOT NULL,
  finished_at    bigint,
  result         text COLLATE "C",
  problem        text COLLATE "C",
  history        text COLLATE "C" NOT NULL,
  CONSTRAINT onceward_tasks_once UNIQUE (task_id, user_id, action_type)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- What is due, for each action: a claim reads as many entries as it takes tasks.
CREATE INDEX onceward_tasks_due ON onceward_tasks (action_type, run_at, id) WHERE state = 'pending';
-- The few that run, and those that somebody will look at.
CREATE INDEX onceward_tasks_by_state ON onceward_tasks (state, id) WHERE state NOT IN ('pending', 'done');
CREATE INDEX onceward_tasks_finished ON onceward_tasks (state, finished_at) WHERE finished_at IS NOT NULL;

-- The calls of workers are functions so that their plans do not depend on what the planner believes of a table that was
-- empty a moment ago: rows are found by an index, always. Where ids are known it is the primary key, and two things see to
-- that. As a variable the state is nothing that the planner could take the index of all that runs for. And of what is between
-- two bounds it expects next to nothing, for which nothing else is as cheap; every attempt is between them.

-- Gives due tasks to a worker, at most `most`, of the first of the actions that have any.
CREATE FUNCTION onceward_task_claim(actions json, most integer, worker text, lease_ms bigint)
RETURNS SETOF onceward_tasks
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_sort = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  us bigint := floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  ms bigint := us / 1000;
BEGIN
  RETURN QUERY
    WITH picked AS MATERIALIZED (
      SELECT due.id
      FROM json_array_elements_text(actions) AS k(action)
      CROSS JOIN LATERAL (
        SELECT t.id FROM onceward_tasks AS t
        WHERE t.state = 'pending' AND t.action_type = k.action AND t.run_at <= ms
        ORDER BY t.run_at, t.id LIMIT most FOR UPDATE SKIP LOCKED
      ) AS due
      LIMIT most
    )
    UPDATE onceward_tasks AS o SET
      state = 'running', attempt = o.attempt + 1, fence = greatest(o.fence + 1, us), owner = worker,
      lease_until = ms + lease_ms, changed_at = ms
    FROM picked WHERE o.id = picked.id AND o.state = 'pending'
    RETURNING o.*;
END $$;

-- Ends attempts that nobody has ended, each as its own worker. Answers their ids.
CREATE FUNCTION onceward_task_settle(acks json)
RETURNS TABLE (settled uuid)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  running CONSTANT text := 'running';
BEGIN
  RETURN QUERY
    UPDATE onceward_tasks AS o SET
      state = j.state, run_at = CASE WHEN j.state = 'pending' THEN ms + j.delay ELSE o.run_at END,
      max_attempts = j.attempts, changed_at = ms, finished_at = CASE WHEN j.finished = 1 THEN ms END,
      result = j.result, problem = j.problem, history = coalesce(j.history, o.history)
    FROM json_to_recordset(acks) AS j(
      id uuid, owner text, attempt integer, state text, delay bigint, attempts integer, finished integer, result text, problem text,
      history text)
    WHERE o.id = j.id AND o.state = running AND o.owner = j.owner AND o.attempt = j.attempt
      AND (j.history IS NULL OR o.cancel IS NULL) AND j.attempt BETWEEN 1 AND 2147483647
    RETURNING o.id;
END $$;

-- Moves the ends of leases that have not lapsed. Answers those it has moved, and whether somebody wants them cancelled.
CREATE FUNCTION onceward_task_renew(beats json)
RETURNS TABLE (kept uuid, cancelling text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  running CONSTANT text := 'running';
BEGIN
  RETURN QUERY
    UPDATE onceward_tasks AS o SET lease_until = greatest(o.lease_until, ms + j.lease)
    FROM json_to_recordset(beats) AS j(id uuid, owner text, attempt integer, lease bigint)
    WHERE o.id = j.id AND o.state = running AND o.owner = j.owner AND o.attempt = j.attempt
      AND j.attempt BETWEEN 1 AND 2147483647 AND o.lease_until > ms
    RETURNING o.id, o.cancel;
END $$;
