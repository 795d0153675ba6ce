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

SELECT links.step, links.near AS source, links.far AS target, count(*) AS n
FROM (SELECT row_number() OVER (PARTITION BY rows.unit ORDER BY rows.timestamp ASC, rows.id ASC) AS step, rows.value AS near, lead(rows.value) OVER (PARTITION BY rows.unit ORDER BY rows.timestamp ASC, rows.id ASC) AS far
FROM (SELECT raw_events.event_action AS value, raw_events.timestamp AS timestamp, raw_events.id AS id, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS unit
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE AND raw_events.event_action IS NOT NULL) AS rows) AS links
WHERE links.step <= $4::INTEGER AND links.far IS NOT NULL GROUP BY links.step, links.near, links.far ORDER BY n DESC, links.step, links.near COLLATE "C", links.far COLLATE "C"
 LIMIT $5::INTEGER;
