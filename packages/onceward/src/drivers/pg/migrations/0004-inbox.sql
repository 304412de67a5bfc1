CREATE TABLE onceward_inbox (
  id text PRIMARY KEY
);
