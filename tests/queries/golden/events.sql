SELECT page.project, page.id, page.session_id, page.user_id, page.event_type, page.event_action, page.metadata, page.timestamp, page.created_at, page.size
FROM (SELECT texts.project AS project, texts.id AS id, texts.session_id AS session_id, texts.user_id AS user_id, texts.event_type AS event_type, texts.event_action AS event_action, texts.metadata AS metadata, texts.timestamp AS timestamp, texts.created_at AS created_at, octet_length(texts.metadata) AS size, coalesce(sum(octet_length(texts.metadata)) OVER (ORDER BY texts.timestamp DESC, texts.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND $1::INTEGER PRECEDING), $2::INTEGER) AS before
FROM (SELECT rows.project AS project, rows.id AS id, rows.session_id AS session_id, rows.user_id AS user_id, rows.event_type AS event_type, rows.event_action AS event_action, CAST(rows.metadata AS TEXT) AS metadata, rows.timestamp AS timestamp, rows.created_at AS created_at
FROM (SELECT raw_events.project AS project, raw_events.id AS id, raw_events.session_id AS session_id, raw_events.user_id AS user_id, raw_events.event_type AS event_type, raw_events.event_action AS event_action, raw_events.metadata AS metadata, raw_events.timestamp AS timestamp, raw_events.created_at AS created_at
FROM raw_events
WHERE raw_events.project = $3::VARCHAR AND (raw_events.metadata ->> $4::VARCHAR) = ANY ($5::TEXT[]) AND (strpos(raw_events.user_id, $6::VARCHAR) > $7::INTEGER) IS NOT true AND (CASE WHEN (jsonb_typeof(raw_events.metadata -> $8::VARCHAR) = $9::VARCHAR) THEN CAST(raw_events.metadata ->> $10::VARCHAR AS NUMERIC) END >= $11::NUMERIC) AND ((raw_events.metadata ->> $12::VARCHAR) ~ $13::VARCHAR) AND raw_events.timestamp >= $14::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $15::TIMESTAMP WITH TIME ZONE ORDER BY raw_events.timestamp DESC, raw_events.id DESC
 LIMIT $16::INTEGER) AS rows) AS texts) AS page
WHERE page.before < $17::INTEGER ORDER BY page.timestamp DESC, page.id DESC;

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

SELECT page.project, page.id, page.session_id, page.user_id, page.event_type, page.event_action, page.metadata, page.timestamp, page.created_at, page.size
FROM (SELECT texts.project AS project, texts.id AS id, texts.session_id AS session_id, texts.user_id AS user_id, texts.event_type AS event_type, texts.event_action AS event_action, texts.metadata AS metadata, texts.timestamp AS timestamp, texts.created_at AS created_at, octet_length(texts.metadata) AS size, coalesce(sum(octet_length(texts.metadata)) OVER (ORDER BY texts.timestamp DESC, texts.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND $1::INTEGER PRECEDING), $2::INTEGER) AS before
FROM (SELECT rows.project AS project, rows.id AS id, rows.session_id AS session_id, rows.user_id AS user_id, rows.event_type AS event_type, rows.event_action AS event_action, CAST(rows.metadata AS TEXT) AS metadata, rows.timestamp AS timestamp, rows.created_at AS created_at
FROM (SELECT raw_events.project AS project, raw_events.id AS id, raw_events.session_id AS session_id, raw_events.user_id AS user_id, raw_events.event_type AS event_type, raw_events.event_action AS event_action, raw_events.metadata AS metadata, raw_events.timestamp AS timestamp, raw_events.created_at AS created_at
FROM raw_events
WHERE raw_events.project = $3::VARCHAR AND (raw_events.metadata ->> $4::VARCHAR) = ANY ($5::TEXT[]) AND (strpos(raw_events.user_id, $6::VARCHAR) > $7::INTEGER) IS NOT true AND (CASE WHEN (jsonb_typeof(raw_events.metadata -> $8::VARCHAR) = $9::VARCHAR) THEN CAST(raw_events.metadata ->> $10::VARCHAR AS NUMERIC) END >= $11::NUMERIC) AND ((raw_events.metadata ->> $12::VARCHAR) ~ $13::VARCHAR) AND raw_events.timestamp >= $14::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $15::TIMESTAMP WITH TIME ZONE ORDER BY raw_events.timestamp DESC, raw_events.id DESC
 LIMIT $16::INTEGER) AS rows) AS texts) AS page
WHERE page.before < $17::INTEGER ORDER BY page.timestamp DESC, page.id DESC;
