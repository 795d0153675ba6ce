SELECT raw_events.timestamp
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE ORDER BY raw_events.timestamp DESC
 LIMIT $4::INTEGER OFFSET $5::INTEGER;

SELECT coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, max(raw_events.timestamp) AS last
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.event_type = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE GROUP BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C";

SELECT sessions.id, max(sessions.user_id) AS user_id, min(sessions.first) AS first_seen, max(sessions.last) AS last_seen, sum(sessions.n) AS events, count(*) AS sessions
FROM (SELECT rows.id AS id, max(rows.user_id) AS user_id, min(rows.timestamp) AS first, max(rows.timestamp) AS last, count(*) AS n
FROM (SELECT members.id AS id, members.user_id AS user_id, members.timestamp AS timestamp, members.unit AS unit
FROM (SELECT coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS id, raw_events.user_id AS user_id, raw_events.timestamp AS timestamp, raw_events.session_id COLLATE "C" AS unit
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.event_type = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE AND (raw_events.user_id = ANY ($5::TEXT[]) OR raw_events.user_id IS NULL AND raw_events.session_id = ANY ($5::TEXT[])) AND raw_events.session_id NOT LIKE $6::VARCHAR UNION ALL SELECT starts.id AS id, starts.user_id AS user_id, starts.timestamp AS timestamp, rpad(CAST(starts.start AS TEXT), $7::INTEGER) || starts.actor AS unit
FROM (SELECT events.id AS id, events.user_id AS user_id, events.timestamp AS timestamp, events.actor AS actor, events.shown AS shown, max(CASE WHEN (events.at - events.before <= $8::INTERVAL) THEN NULL ELSE events.at END) OVER (PARTITION BY events.actor ORDER BY events.at) AS start
FROM (SELECT coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS id, raw_events.user_id AS user_id, raw_events.timestamp AS timestamp, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, raw_events.timestamp AS at, lag(raw_events.timestamp) OVER (PARTITION BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" ORDER BY raw_events.timestamp) AS before, true AS shown
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.event_type = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE AND (raw_events.user_id = ANY ($5::TEXT[]) OR raw_events.user_id IS NULL AND raw_events.session_id = ANY ($5::TEXT[])) AND raw_events.session_id LIKE $6::VARCHAR) AS events) AS starts
WHERE starts.shown) AS members) AS rows GROUP BY rows.id, rows.unit) AS sessions GROUP BY sessions.id;
