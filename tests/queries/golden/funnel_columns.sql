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

SELECT rollup_deltas.data
FROM rollup_deltas
WHERE rollup_deltas.project = $1::VARCHAR;

SELECT rollups.span, array_agg(rollups.start ORDER BY rollups.start, rollups.part) AS array_agg_1, array_agg(rollups.part ORDER BY rollups.start, rollups.part) AS array_agg_2
FROM rollups
WHERE rollups.project = $1::VARCHAR AND rollups.span = $2::SMALLINT AND rollups.start = ANY ($3::INTEGER[]) AND rollups.key = $4::VARCHAR AND rollups.event_type = $5::VARCHAR AND rollups.event_action = $6::VARCHAR GROUP BY rollups.span;

SELECT daily_metrics.date
FROM daily_metrics
WHERE daily_metrics.project = $1::VARCHAR AND daily_metrics.metric_name = $2::VARCHAR AND daily_metrics.dimension_key = $3::VARCHAR AND daily_metrics.dimension_value = $4::VARCHAR AND daily_metrics.value > $5::BIGINT AND daily_metrics.date = ANY ($6::DATE[]);

SELECT sized.event_type, sized.event_action, sized.key, sized.n, sized.records, sized.text_bytes
FROM (SELECT rows.event_type AS event_type, rows.event_action AS event_action, rows.key AS key, rows.n AS n, rows.records AS records, coalesce(octet_length(rows.key), $1::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.key), $1::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT raw_events.event_type AS event_type, raw_events.event_action AS event_action, raw_events.metadata ->> $2::VARCHAR AS key, count(*) AS n, string_agg(int4send(number) || timestamptz_send(timestamp) || uuid_send(id) || int8send(
    CASE WHEN session_id LIKE '$%' THEN 0 ELSE coalesce(nullif(hashtextextended(session_id, 0), 0), 1) END
), $3::BYTEA) AS records
FROM raw_events LEFT OUTER JOIN people ON people.project = $4::VARCHAR AND people.actor = (coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C")
WHERE raw_events.project = $5::VARCHAR AND raw_events.user_id IS NOT NULL AND raw_events.timestamp >= $6::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $7::TIMESTAMP WITH TIME ZONE GROUP BY raw_events.event_type, raw_events.event_action, raw_events.metadata ->> $2::VARCHAR
 LIMIT $8::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $9::INTEGER;
