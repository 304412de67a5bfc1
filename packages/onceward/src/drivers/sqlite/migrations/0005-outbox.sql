CREATE TABLE onceward_outbox (
  id TEXT PRIMARY KEY
);
