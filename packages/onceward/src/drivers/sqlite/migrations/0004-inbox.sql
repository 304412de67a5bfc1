CREATE TABLE onceward_inbox (
  id TEXT PRIMARY KEY
);
