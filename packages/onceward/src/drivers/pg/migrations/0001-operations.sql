-- One row an operation. Text is compared byte by byte, times are ms since the epoch, `fence` is a whole number below 2^53.
-- `detail` and `history` are JSON as text: what is never searched for. `payload` holds the stored bytes one after
-- another; `detail` has their lengths. A page keeps room, so that the heartbeat (`lease_until`, in no index) is a HOT update.
CREATE TABLE onceward_operations (
  digest       text COLLATE "C" PRIMARY KEY,
  scope        text COLLATE "C" NOT NULL,
  key          text COLLATE "C" NOT NULL,
  state        text COLLATE "C" NOT NULL,
  fingerprint  text COLLATE "C",
  on_crash     text COLLATE "C" NOT NULL,
  holds        boolean NOT NULL,
  owner        text COLLATE "C",
  fence        bigint  NOT NULL,
  attempt      integer NOT NULL,
  created_at   bigint  NOT NULL,
  updated_at   bigint  NOT NULL,
  lease_until  bigint  NOT NULL,
  retention_ms bigint  NOT NULL,
  expires_at   bigint,
  asks         integer NOT NULL,
  next_ask_at  bigint  NOT NULL,
  duplicates   bigint  NOT NULL,
  detail       text COLLATE "C",
  history      text COLLATE "C" NOT NULL,
  payload      bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Listings, newest first.
CREATE INDEX onceward_operations_by_age ON onceward_operations (created_at);

-- The few that are not done: listings by state, the counts, and the sweep.
CREATE INDEX onceward_operations_open ON onceward_operations (state, created_at) WHERE state <> 'done';

-- What will be forgotten.
CREATE INDEX onceward_operations_to_purge ON onceward_operations (expires_at) WHERE expires_at IS NOT NULL;

-- The decisions on held operations, kept when the operation is gone. `entry` is JSON as text.
CREATE TABLE onceward_audit (
  id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at     bigint NOT NULL,
  digest text COLLATE "C" NOT NULL,
  entry  text COLLATE "C" NOT NULL
);

CREATE INDEX onceward_audit_by_digest ON onceward_audit (digest);

-- What happens 99 times of 100, for a batch of calls in one round trip. These are functions for the sake of what they set
-- while they run: however small the tables were when a connection first used them, rows are found by their primary key, in
-- the order asked; and a lock that somebody's transaction holds is waited for no longer than `lock_ms`. Elsewhere a
-- prepared plan may outlive the size it was made for.

-- What all calls of a batch have in common may be said once: a list of one stands for all.

-- Grants the digests nobody has used, and tells what is there of the others. `found` is a JSON list of the columns as text.
CREATE FUNCTION onceward_claim(
  lock_ms integer, digests text[], scopes text[], keys text[], fingerprints text[], crashes text[], owners text[],
  leases bigint[], retentions bigint[]
) RETURNS TABLE (asked text, now bigint, granted bigint, found text)
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
  fresh bigint;
BEGIN
  PERFORM set_config('lock_timeout', lock_ms::text, true);
  RETURN QUERY
    INSERT INTO onceward_operations AS o (
      digest, scope, key, state, fingerprint, on_crash, holds, owner, fence, attempt, created_at, updated_at, lease_until,
      retention_ms, expires_at, asks, next_ask_at, duplicates, detail, history, payload)
    SELECT a.digest, coalesce(a.scope, scopes[1]), a.key, 'running', a.fingerprint, coalesce(a.on_crash, crashes[1]),
      coalesce(a.on_crash, crashes[1]) = 'hold', a.owner, t.us, 1, t.us / 1000, t.us / 1000,
      t.us / 1000 + coalesce(a.lease_ms, leases[1]), coalesce(a.retention_ms, retentions[1]), NULL, 0, 0, 0, NULL,
      '[[' || t.us / 1000 || ',"claimed",1,' || t.us || ']]', NULL
    FROM unnest(digests, scopes, keys, fingerprints, crashes, owners, leases, retentions)
        AS a(digest, scope, key, fingerprint, on_crash, owner, lease_ms, retention_ms),
      -- Read for each row, after whatever the rows before it have waited for.
      LATERAL (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us
        WHERE a.digest IS NOT NULL OFFSET 0) AS t
    ON CONFLICT (digest) DO NOTHING
    RETURNING o.digest, o.created_at, o.fence, NULL::text;
  GET DIAGNOSTICS fresh = ROW_COUNT;
  IF fresh < cardinality(digests) THEN
    -- What was granted just now bears the owner that asked.
    RETURN QUERY
      SELECT a.digest, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint, NULL::bigint, array_to_json(ARRAY[
          o.digest, o.scope, o.key, o.state, o.fingerprint, o.on_crash, o.holds::text, o.owner, o.fence::text,
          o.attempt::text, o.created_at::text, o.updated_at::text, o.lease_until::text, o.retention_ms::text,
          o.expires_at::text, o.asks::text, o.next_ask_at::text, o.duplicates::text, o.detail, o.history,
          encode(o.payload, 'base64')])::text
      FROM unnest(digests, owners) AS a(digest, owner) JOIN onceward_operations AS o ON o.digest = a.digest
      WHERE o.owner IS DISTINCT FROM a.owner;
  END IF;
END $$;

-- Ends running operations of which nothing but the claim is stored. Without a detail it is with a value. `start` and `length` are the piece of `bytes`.
CREATE FUNCTION onceward_complete(
  lock_ms integer, digests text[], owners text[], fences bigint[], retentions bigint[], details text[],
  starts integer[], lengths integer[], bytes bytea
) RETURNS TABLE (ended text, contended boolean)
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
BEGIN
  PERFORM set_config('lock_timeout', lock_ms::text, true);
  RETURN QUERY
    UPDATE onceward_operations AS o SET
      state = 'done', holds = false, retention_ms = coalesce(a.retention_ms, retentions[1]), updated_at = t.us / 1000,
      expires_at = t.us / 1000 + coalesce(a.retention_ms, retentions[1]),
      detail = coalesce(a.detail, '{"outcome":{"kind":"value","length":' || a.length || '}}'),
      payload = CASE WHEN a.length IS NULL THEN NULL ELSE substr(bytes, a.start, a.length) END,
      history = left(o.history, -1)
        || ',[' || t.us / 1000 || CASE WHEN starts_with(a.detail, '{"outcome":{"kind":"failure"') THEN ',"failed",'
          ELSE ',"completed",' END || o.attempt || ',' || o.fence || ']]'
    FROM unnest(digests, owners, fences, retentions, details, starts, lengths)
        AS a(digest, owner, fence, retention_ms, detail, start, length),
      LATERAL (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us
        WHERE a.digest IS NOT NULL OFFSET 0) AS t
    -- The state is compared so that the index of what is not done, full of what has just been, is not walked.
    WHERE o.digest = a.digest AND o.state || '' = 'running' AND o.owner = a.owner AND o.fence = a.fence
      AND o.attempt <= 5 AND o.detail IS NULL
    RETURNING o.digest, o.duplicates > 0;
END $$;

-- Moves the ends of leases of running operations.
CREATE FUNCTION onceward_renew(lock_ms integer, digests text[], owners text[], fences bigint[], leases bigint[])
RETURNS TABLE (renewed text)
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
BEGIN
  PERFORM set_config('lock_timeout', lock_ms::text, true);
  RETURN QUERY
    UPDATE onceward_operations AS o
    SET lease_until = floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint + a.lease_ms
    FROM unnest(digests, owners, fences, leases) AS a(digest, owner, fence, lease_ms)
    WHERE o.digest = a.digest AND o.state || '' = 'running' AND o.owner = a.owner AND o.fence = a.fence
    RETURNING o.digest;
END $$;
