SELECT raw_events.timestamp
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE ORDER BY raw_events.timestamp DESC
 LIMIT $4::INTEGER OFFSET $5::INTEGER;

SELECT coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, max(raw_events.timestamp) AS last
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.event_type = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE GROUP BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C";

SELECT sessions.id, max(sessions.user_id) AS user_id, min(sessions.first) AS first_seen, max(sessions.last) AS last_seen, sum(sessions.n) AS events, count(*) AS sessions
FROM (SELECT coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS id, max(raw_events.user_id) AS user_id, min(raw_events.timestamp) AS first, max(raw_events.timestamp) AS last, count(*) AS n
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.event_type = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE AND (raw_events.user_id = ANY ($5::TEXT[]) OR raw_events.user_id IS NULL AND raw_events.session_id = ANY ($5::TEXT[])) GROUP BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C", raw_events.session_id) AS sessions GROUP BY sessions.id;
