-- One row a key that was locked lately. Text is compared byte by byte, times are ms since the epoch. `fence` is the greatest
-- that was given out, `fences` how many belong to the grant of `token`: the one who holds the lock alone, until `until`.
-- `state` is JSON as text: those who share the lock, those who wait, what a holder has left, forced releases; nothing is
-- stored for none. Until `busy_until` somebody shares it or waits, and grants are no matter of one row alone. Until
-- `keep_until` there is something that must not be forgotten. There is no index but that of the key, and pages keep room:
-- every change is a HOT update.
CREATE TABLE onceward_locks (
  key        text COLLATE "C" PRIMARY KEY,
  token      text COLLATE "C",
  fence      bigint NOT NULL,
  fences     bigint NOT NULL,
  until      bigint NOT NULL,
  owner      text COLLATE "C",
  meta       text COLLATE "C",
  state      text COLLATE "C",
  busy_until bigint NOT NULL,
  keep_until bigint NOT NULL,
  touched_at bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- The three calls that nearly all others are, each one statement: functions for the same reasons as those of operations.
-- The time is that of the beginning, before any wait for a row: judged by it a lease lapses later, and ends earlier, never the
-- other way round. What they cannot decide alone they answer with `ask`: then the rules decide under the lock of the row.

-- Grants a key that nobody holds, shares or waits for. `first` is the fence of the grant.
CREATE FUNCTION onceward_lock_acquire(
  lock_ms integer, asked text, nonce text, ttl_ms bigint, called text, about text, wanted bigint
) RETURNS TABLE (outcome text, first bigint, now bigint, left_ms bigint, kept text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '50ms'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  us bigint := floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
  ms bigint := us / 1000;
  held onceward_locks;
BEGIN
  PERFORM set_config('lock_timeout', lock_ms::text, true);
  UPDATE onceward_locks AS o SET
    token = nonce, fence = greatest(o.fence + 1, us) + wanted - 1, fences = wanted, until = ms + ttl_ms, owner = called,
    meta = about, touched_at = ms
  WHERE o.key = asked AND o.busy_until <= ms AND (o.token IS NULL OR o.until <= ms)
  RETURNING o.* INTO held;
  IF FOUND THEN
    RETURN QUERY SELECT 'granted', held.fence - held.fences + 1, ms, 0::bigint, held.state;
    RETURN;
  END IF;
  SELECT o.* INTO held FROM onceward_locks AS o WHERE o.key = asked;
  IF NOT FOUND THEN
    INSERT INTO onceward_locks AS o
      (key, token, fence, fences, until, owner, meta, state, busy_until, keep_until, touched_at)
    VALUES (asked, nonce, us + wanted - 1, wanted, ms + ttl_ms, called, about, NULL, 0, 0, ms)
    ON CONFLICT (key) DO NOTHING;
    IF FOUND THEN
      RETURN QUERY SELECT 'granted', us, ms, 0::bigint, NULL::text;
      RETURN;
    END IF;
    RETURN QUERY SELECT 'ask', 0::bigint, ms, 0::bigint, NULL::text;
  ELSIF held.busy_until <= ms AND held.token <> nonce AND held.until > ms THEN
    RETURN QUERY SELECT 'held', 0::bigint, ms, held.until - ms, NULL::text;
  ELSE
    RETURN QUERY SELECT 'ask', 0::bigint, ms, 0::bigint, NULL::text;
  END IF;
END $$;

-- Moves the ends of grants of those who hold alone. Answers those whose grant it has moved, and those whom it cannot tell.
CREATE FUNCTION onceward_lock_extend(
  lock_ms integer, keys text[], tokens text[], ttls bigint[], metas text[]
) RETURNS TABLE (asked text, nonce text, outcome text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '50ms'
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
  moved bigint;
BEGIN
  PERFORM set_config('lock_timeout', lock_ms::text, true);
  RETURN QUERY
    UPDATE onceward_locks AS o SET until = ms + a.ttl_ms, meta = coalesce(a.meta, o.meta)
    FROM unnest(keys, tokens, ttls, metas) AS a(key, token, ttl_ms, meta)
    WHERE o.key = a.key AND o.token = a.token AND o.until > ms
    RETURNING o.key, o.token, 'extended';
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved < cardinality(keys) THEN
    RETURN QUERY
      SELECT a.key, a.token, 'ask' FROM unnest(keys, tokens) AS a(key, token) JOIN onceward_locks AS o ON o.key = a.key
      WHERE o.token IS DISTINCT FROM a.token AND o.busy_until > ms;
  END IF;
END $$;

-- Gives up a grant where nobody waits.
CREATE FUNCTION onceward_lock_release(lock_ms integer, asked text, nonce text)
RETURNS TABLE (outcome text)
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET lock_timeout = '50ms'
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
  ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
  held onceward_locks;
BEGIN
  PERFORM set_config('lock_timeout', lock_ms::text, true);
  UPDATE onceward_locks AS o SET token = NULL, owner = NULL, meta = NULL, touched_at = ms
  WHERE o.key = asked AND o.token = nonce AND o.busy_until <= ms
  RETURNING o.* INTO held;
  IF FOUND THEN
    -- A grant that had lapsed is not given back.
    RETURN QUERY SELECT CASE WHEN held.until > ms THEN 'released' ELSE 'not-held' END;
    RETURN;
  END IF;
  SELECT o.* INTO held FROM onceward_locks AS o WHERE o.key = asked;
  RETURN QUERY SELECT CASE WHEN FOUND AND (held.busy_until > ms OR held.token = nonce) THEN 'ask' ELSE 'not-held' END;
END $$;
