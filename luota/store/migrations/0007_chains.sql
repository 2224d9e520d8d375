-- Each heartbeat names the one of its monitor before it, and only every sixteenth is in the index: with each of them
-- there, each would write an index page of its own, about half of all that a commit writes (luota/store/heartbeats.py).
CREATE TABLE chained (
    seq INTEGER PRIMARY KEY,              -- in the order of arrival, over all monitors; never used again
    monitor_id TEXT NOT NULL REFERENCES monitors (id),
    previous INTEGER,                     -- the monitor's heartbeat before; retention may have deleted it
    number INTEGER NOT NULL,              -- of all that the monitor ever had, from 1 on
    received_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    effective_at INTEGER NOT NULL,
    late INTEGER NOT NULL,
    skewed INTEGER NOT NULL,
    host TEXT,
    deploy_sha TEXT,
    payload TEXT
) STRICT;
INSERT INTO chained
SELECT seq, monitor_id, lag(seq) OVER earlier, row_number() OVER earlier, received_at, id, occurred_at, effective_at,
    late, skewed, host, deploy_sha, payload
FROM heartbeats WINDOW earlier AS (PARTITION BY monitor_id ORDER BY seq) ORDER BY seq;
DROP TABLE heartbeats;
ALTER TABLE chained RENAME TO heartbeats;
CREATE INDEX heartbeats_milestones ON heartbeats (monitor_id, received_at) WHERE number % 16 = 0;

ALTER TABLE monitor_states ADD COLUMN last_heartbeat INTEGER;               -- its seq
ALTER TABLE monitor_states ADD COLUMN heartbeats INTEGER NOT NULL DEFAULT 0; -- how many there ever were
UPDATE monitor_states SET last_heartbeat = newest.seq, heartbeats = newest.number
FROM (SELECT monitor_id, max(seq) AS seq, number FROM heartbeats GROUP BY monitor_id) AS newest
WHERE newest.monitor_id = monitor_states.monitor_id;
