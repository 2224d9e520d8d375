-- The newest close of a run is a signal too, though it sets no deadline.
ALTER TABLE monitor_states ADD COLUMN closed_at INTEGER;
-- Of what came before, the close of the newest run will do, which an index finds.
UPDATE monitor_states SET closed_at = (
    SELECT min(r.finished_at, r.finish_received_at) FROM runs r
    WHERE r.monitor_id = monitor_states.monitor_id ORDER BY r.start_received_at DESC LIMIT 1
);
