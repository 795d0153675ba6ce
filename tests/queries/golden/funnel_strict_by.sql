SELECT (SELECT rollup_since.start
FROM rollup_since
WHERE rollup_since.project IN (__[POSTCOMPILE_project_1]) ORDER BY rollup_since.project DESC
 LIMIT $1::INTEGER) AS since, array((SELECT DISTINCT rollup_strays.start
FROM rollup_strays
WHERE rollup_strays.project = $2::VARCHAR AND rollup_strays.writer != $3::BIGINT)) AS strays, array((SELECT DISTINCT rollup_strays.start
FROM rollup_strays
WHERE rollup_strays.project = $2::VARCHAR AND rollup_strays.writer = $4::BIGINT)) AS nameless, (SELECT coalesce(sum(rollup_deltas.events), $5::INTEGER) AS coalesce_1
FROM rollup_deltas
WHERE rollup_deltas.project = $6::VARCHAR) AS waiting, (SELECT min(rollups.start) AS min_1
FROM rollups
WHERE rollups.project = $7::VARCHAR AND rollups.span = $8::SMALLINT AND rollups.key = $9::VARCHAR AND rollups.event_type = $10::VARCHAR AND rollups.event_action = $11::VARCHAR) AS first, (SELECT max(rollups.start) AS max_1
FROM rollups
WHERE rollups.project = $7::VARCHAR AND rollups.span = $8::SMALLINT AND rollups.key = $9::VARCHAR AND rollups.event_type = $10::VARCHAR AND rollups.event_action = $11::VARCHAR) AS last;

SELECT coalesce(sum(octet_length(raw_events.metadata ->> $1::VARCHAR)), $2::INTEGER) AS text_bytes
FROM raw_events
WHERE raw_events.project = $3::VARCHAR AND raw_events.timestamp >= $4::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $5::TIMESTAMP WITH TIME ZONE AND raw_events.event_type = $6::VARCHAR AND octet_length(raw_events.metadata ->> $1::VARCHAR) > $7::INTEGER;

SELECT string_agg(chr(rows.mark), $1::VARCHAR ORDER BY rows.timestamp, rows.id) AS marks, string_agg(timestamptz_send(rows.timestamp), $2::BYTEA ORDER BY rows.timestamp, rows.id) AS times, array_agg(rows.key ORDER BY rows.timestamp, rows.id) AS keys
FROM (SELECT members.mark AS mark, members.timestamp AS timestamp, members.id AS id, members.key AS key, members.unit AS unit
FROM (SELECT $3::INTEGER + CASE WHEN (raw_events.event_type = $4::VARCHAR) THEN $5::INTEGER ELSE $6::INTEGER END + CASE WHEN true THEN $7::INTEGER ELSE $8::INTEGER END AS mark, raw_events.timestamp AS timestamp, raw_events.id AS id, CASE WHEN (raw_events.event_type = $9::VARCHAR) THEN raw_events.metadata ->> $10::VARCHAR END AS key, raw_events.session_id COLLATE "C" AS unit
FROM raw_events
WHERE raw_events.project = $11::VARCHAR AND raw_events.timestamp >= $12::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $13::TIMESTAMP WITH TIME ZONE AND raw_events.session_id NOT LIKE $14::VARCHAR UNION ALL SELECT starts.mark AS mark, starts.timestamp AS timestamp, starts.id AS id, starts.key AS key, rpad(CAST(starts.start AS TEXT), $15::INTEGER) || starts.actor AS unit
FROM (SELECT events.mark AS mark, events.timestamp AS timestamp, events.id AS id, events.key AS key, events.actor AS actor, events.shown AS shown, max(CASE WHEN (events.at - events.before <= $16::INTERVAL) THEN NULL ELSE events.at END) OVER (PARTITION BY events.actor ORDER BY events.at) AS start
FROM (SELECT $3::INTEGER + CASE WHEN (raw_events.event_type = $4::VARCHAR) THEN $5::INTEGER ELSE $6::INTEGER END + CASE WHEN true THEN $7::INTEGER ELSE $8::INTEGER END AS mark, raw_events.timestamp AS timestamp, raw_events.id AS id, CASE WHEN (raw_events.event_type = $9::VARCHAR) THEN raw_events.metadata ->> $10::VARCHAR END AS key, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, raw_events.timestamp AS at, lag(raw_events.timestamp) OVER (PARTITION BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" ORDER BY raw_events.timestamp) AS before, true AS shown
FROM raw_events
WHERE raw_events.project = $11::VARCHAR AND raw_events.timestamp >= $12::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $13::TIMESTAMP WITH TIME ZONE AND raw_events.session_id LIKE $14::VARCHAR) AS events) AS starts
WHERE starts.shown) AS members) AS rows GROUP BY rows.unit;
