-- The newest close of a run is a signal too, though it sets no deadline.
ALTER TABLE monitor_states ADD COLUMN closed_at INTEGER;
-- As when it is heard: the client's word counts where it is more than five minutes off, but never lies ahead.
UPDATE monitor_states SET closed_at = (
    SELECT max(CASE WHEN abs(coalesce(r.finished_at, r.finish_received_at) - r.finish_received_at) <= 300000
        THEN r.finish_received_at ELSE min(r.finished_at, r.finish_received_at) END)
    FROM runs r WHERE r.monitor_id = monitor_states.monitor_id AND r.finish_received_at IS NOT NULL
);

-- What a monitor told last may be the end of a run that began long ago; a success may have ended a pause.
CREATE INDEX runs_ended ON runs (monitor_id, finish_received_at) WHERE finish_received_at IS NOT NULL;
