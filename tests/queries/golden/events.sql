SELECT raw_events.project, raw_events.id, raw_events.session_id, raw_events.user_id, raw_events.event_type, raw_events.event_action, CAST(raw_events.metadata AS TEXT) AS metadata, raw_events.timestamp, raw_events.created_at
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND (raw_events.metadata ->> $2::VARCHAR) = ANY ($3::TEXT[]) AND (strpos(raw_events.user_id, $4::VARCHAR) > $5::INTEGER) IS NOT true AND (CASE WHEN (jsonb_typeof(raw_events.metadata -> $6::VARCHAR) = $7::VARCHAR) THEN CAST(raw_events.metadata ->> $8::VARCHAR AS NUMERIC) END >= $9::NUMERIC) AND ((raw_events.metadata ->> $10::VARCHAR) ~ $11::VARCHAR) AND raw_events.timestamp >= $12::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $13::TIMESTAMP WITH TIME ZONE ORDER BY raw_events.timestamp DESC, raw_events.id DESC
 LIMIT $14::INTEGER;

SELECT (SELECT rollup_since.start
FROM rollup_since
WHERE rollup_since.project IN (__[POSTCOMPILE_project_1]) ORDER BY rollup_since.project DESC
 LIMIT $1::INTEGER) AS since, array((SELECT DISTINCT rollup_strays.start
FROM rollup_strays
WHERE rollup_strays.project = $2::VARCHAR)) AS strays, (SELECT coalesce(sum(rollup_deltas.events), $3::INTEGER) AS coalesce_1
FROM rollup_deltas
WHERE rollup_deltas.project = $4::VARCHAR) AS waiting, (SELECT min(rollups.start) AS min_1
FROM rollups
WHERE rollups.project = $5::VARCHAR AND rollups.span = $6::SMALLINT AND rollups.key = $7::VARCHAR AND rollups.event_type = $8::VARCHAR AND rollups.event_action = $9::VARCHAR) AS first, (SELECT max(rollups.start) AS max_1
FROM rollups
WHERE rollups.project = $5::VARCHAR AND rollups.span = $6::SMALLINT AND rollups.key = $7::VARCHAR AND rollups.event_type = $8::VARCHAR AND rollups.event_action = $9::VARCHAR) AS last;

SELECT raw_events.project, raw_events.id, raw_events.session_id, raw_events.user_id, raw_events.event_type, raw_events.event_action, CAST(raw_events.metadata AS TEXT) AS metadata, raw_events.timestamp, raw_events.created_at
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND (raw_events.metadata ->> $2::VARCHAR) = ANY ($3::TEXT[]) AND (strpos(raw_events.user_id, $4::VARCHAR) > $5::INTEGER) IS NOT true AND (CASE WHEN (jsonb_typeof(raw_events.metadata -> $6::VARCHAR) = $7::VARCHAR) THEN CAST(raw_events.metadata ->> $8::VARCHAR AS NUMERIC) END >= $9::NUMERIC) AND ((raw_events.metadata ->> $10::VARCHAR) ~ $11::VARCHAR) AND raw_events.timestamp >= $12::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $13::TIMESTAMP WITH TIME ZONE ORDER BY raw_events.timestamp DESC, raw_events.id DESC
 LIMIT $14::INTEGER;
