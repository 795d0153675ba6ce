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

SELECT sized.step, sized.source, sized.target, sized.n, sized.text_bytes
FROM (SELECT rows.step AS step, rows.source AS source, rows.target AS target, rows.n AS n, coalesce(octet_length(rows.source), $1::INTEGER) + coalesce(octet_length(rows.target), $2::INTEGER) AS own_bytes, sum(coalesce(octet_length(rows.source), $1::INTEGER) + coalesce(octet_length(rows.target), $2::INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS text_bytes
FROM (SELECT links.step AS step, links.far AS source, links.near AS target, count(*) AS n
FROM (SELECT row_number() OVER (PARTITION BY rows.unit ORDER BY rows.timestamp DESC, rows.id DESC) AS step, rows.value AS near, lead(rows.value) OVER (PARTITION BY rows.unit ORDER BY rows.timestamp DESC, rows.id DESC) AS far
FROM (SELECT there.value AS value, there.timestamp AS timestamp, there.id AS id, there.unit AS unit
FROM (SELECT every.value AS value, every.timestamp AS timestamp, every.id AS id, every.matched AS matched, every.unit AS unit, bool_or(every.matched) OVER (PARTITION BY every.unit ORDER BY every.timestamp DESC, every.id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS reached
FROM (SELECT members.value AS value, members.timestamp AS timestamp, members.id AS id, members.matched AS matched, members.unit AS unit
FROM (SELECT raw_events.metadata ->> $3::VARCHAR AS value, raw_events.timestamp AS timestamp, raw_events.id AS id, raw_events.event_type = $4::VARCHAR AND raw_events.event_action = $5::VARCHAR AS matched, raw_events.session_id COLLATE "C" AS unit
FROM raw_events
WHERE raw_events.project = $6::VARCHAR AND raw_events.timestamp >= $7::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $8::TIMESTAMP WITH TIME ZONE AND raw_events.session_id NOT LIKE $9::VARCHAR AND (raw_events.metadata ->> $10::VARCHAR) IS NOT NULL UNION ALL SELECT starts.value AS value, starts.timestamp AS timestamp, starts.id AS id, starts.matched AS matched, rpad(CAST(starts.start AS TEXT), $11::INTEGER) || starts.actor AS unit
FROM (SELECT events.value AS value, events.timestamp AS timestamp, events.id AS id, events.matched AS matched, events.actor AS actor, events.shown AS shown, max(CASE WHEN (events.at - events.before <= $12::INTERVAL) THEN NULL ELSE events.at END) OVER (PARTITION BY events.actor ORDER BY events.at) AS start
FROM (SELECT raw_events.metadata ->> $3::VARCHAR AS value, raw_events.timestamp AS timestamp, raw_events.id AS id, raw_events.event_type = $4::VARCHAR AND raw_events.event_action = $5::VARCHAR AS matched, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS actor, raw_events.timestamp AS at, lag(raw_events.timestamp) OVER (PARTITION BY coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" ORDER BY raw_events.timestamp) AS before, (raw_events.metadata ->> $10::VARCHAR) IS NOT NULL AS shown
FROM raw_events
WHERE raw_events.project = $6::VARCHAR AND raw_events.timestamp >= $7::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $8::TIMESTAMP WITH TIME ZONE AND raw_events.session_id LIKE $9::VARCHAR) AS events) AS starts
WHERE starts.shown) AS members) AS every) AS there
WHERE there.reached) AS rows) AS links
WHERE links.step <= $13::INTEGER AND links.far IS NOT NULL GROUP BY links.step, links.far, links.near ORDER BY n DESC, links.step, links.far COLLATE "C", links.near COLLATE "C"
 LIMIT $14::INTEGER) AS rows) AS sized
WHERE sized.text_bytes - sized.own_bytes < $15::INTEGER;
