SELECT links.step, links.far AS source, links.near AS target, count(*) AS n
FROM (SELECT row_number() OVER (PARTITION BY rows.unit ORDER BY rows.timestamp DESC, rows.id DESC) AS step, rows.value AS near, lead(rows.value) OVER (PARTITION BY rows.unit ORDER BY rows.timestamp DESC, rows.id DESC) AS far
FROM (SELECT raw_events.metadata ->> $1::VARCHAR AS value, raw_events.session_id COLLATE "C" AS unit, raw_events.timestamp AS timestamp, raw_events.id AS id
FROM raw_events JOIN (SELECT DISTINCT ON (raw_events.session_id COLLATE "C") raw_events.session_id COLLATE "C" AS unit, raw_events.timestamp AS timestamp, raw_events.id AS id
FROM raw_events
WHERE raw_events.project = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE AND (raw_events.metadata ->> $5::VARCHAR) IS NOT NULL AND raw_events.event_type = $6::VARCHAR AND raw_events.event_action = $7::VARCHAR ORDER BY raw_events.session_id COLLATE "C", raw_events.timestamp DESC, raw_events.id DESC) AS first ON first.unit = (raw_events.session_id COLLATE "C")
WHERE raw_events.project = $2::VARCHAR AND raw_events.timestamp >= $3::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $4::TIMESTAMP WITH TIME ZONE AND (raw_events.metadata ->> $5::VARCHAR) IS NOT NULL AND (raw_events.timestamp, raw_events.id) <= (first.timestamp, first.id)) AS rows) AS links
WHERE links.step <= $8::INTEGER AND links.far IS NOT NULL GROUP BY links.step, links.far, links.near ORDER BY n DESC, links.step, links.far COLLATE "C", links.near COLLATE "C"
 LIMIT $9::INTEGER;
