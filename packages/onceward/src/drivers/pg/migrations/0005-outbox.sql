CREATE TABLE onceward_outbox (
  id text PRIMARY KEY
);
