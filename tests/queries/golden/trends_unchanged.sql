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

SELECT sized.block, sized.key, sized.count, sized.numbers, sized.unnumbered, sized.text_bytes
FROM (SELECT rows.block AS block, rows.key AS key, rows.count AS count, rows.numbers AS numbers, rows.unnumbered AS unnumbered, coalesce(octet_length(rows.key), $1::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.key), $1::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT rows.block AS block, rows.key AS key, sum(rows.n) AS count, string_agg(int4send(people.number), $2::BYTEA) AS numbers, bool_or(people.number IS NULL) AS unnumbered
FROM (SELECT width_bucket(raw_events.timestamp, $3::TIMESTAMP WITH TIME ZONE[]) AS block, raw_events.metadata ->> $4::VARCHAR AS key, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, count(*) AS n
FROM raw_events
WHERE raw_events.project = $5::VARCHAR AND (raw_events.metadata ->> $6::VARCHAR) = ANY ($7::TEXT[]) AND raw_events.user_id IS NOT NULL AND raw_events.timestamp >= $8::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $9::TIMESTAMP WITH TIME ZONE GROUP BY block, key, actor) AS rows LEFT OUTER JOIN people ON people.project = $10::VARCHAR AND people.actor = rows.actor GROUP BY rows.block, rows.key
 LIMIT $11::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $12::INTEGER;
