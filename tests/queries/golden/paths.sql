SELECT links.step, links.near AS source, links.far AS target, count(*) AS n
FROM (SELECT row_number() OVER (PARTITION BY rows.unit ORDER BY rows.timestamp ASC, rows.id ASC) AS step, rows.value AS near, lead(rows.value) OVER (PARTITION BY rows.unit ORDER BY rows.timestamp ASC, rows.id ASC) AS far
FROM (SELECT raw_events.event_action AS value, raw_events.timestamp AS timestamp, raw_events.id AS id, coalesce(raw_events.user_id, raw_events.session_id) COLLATE "C" AS unit
FROM raw_events
WHERE raw_events.project = $1::VARCHAR AND raw_events.timestamp >= $2::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $3::TIMESTAMP WITH TIME ZONE AND raw_events.event_action IS NOT NULL) AS rows) AS links
WHERE links.step <= $4::INTEGER AND links.far IS NOT NULL GROUP BY links.step, links.near, links.far ORDER BY n DESC, links.step, links.near COLLATE "C", links.far COLLATE "C"
 LIMIT $5::INTEGER;
