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

SELECT pairs.block, pairs.key, CASE WHEN (sum(count(*)) OVER (PARTITION BY pairs.block) <= $1::INTEGER) THEN coalesce(string_agg(float8send(pairs.number) || int4send(CAST(pairs.times AS INTEGER)), $2::BYTEA), $3::BYTEA) END AS anon_1
FROM (SELECT doubles.block AS block, doubles.key AS key, doubles.number AS number, count(*) AS times
FROM (SELECT rows.block AS block, rows.key AS key, CAST(CASE WHEN (abs(rows.number) < 1e-300) THEN $4::INTEGER ELSE rows.number END AS DOUBLE PRECISION) AS number
FROM (SELECT width_bucket(raw_events.timestamp, $5::TIMESTAMP WITH TIME ZONE[]) AS block, NULL AS key, CASE WHEN (jsonb_typeof(raw_events.metadata -> $6::VARCHAR) = $7::VARCHAR) THEN CAST(raw_events.metadata ->> $8::VARCHAR AS NUMERIC) END AS number
FROM raw_events
WHERE raw_events.project = $9::VARCHAR AND raw_events.event_type = $10::VARCHAR AND raw_events.event_action = $11::VARCHAR AND raw_events.timestamp >= $12::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $13::TIMESTAMP WITH TIME ZONE) AS rows) AS doubles GROUP BY doubles.block, doubles.key, doubles.number) AS pairs GROUP BY pairs.block, pairs.key
 LIMIT $14::INTEGER;
