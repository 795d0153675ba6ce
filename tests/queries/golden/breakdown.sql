SELECT groups.key0, groups.key1, groups.value0, groups.value1, count(*) OVER () AS total
FROM (SELECT rows.key0 AS key0, rows.key1 AS key1, count(*) AS value0, avg(rows.operand1) AS value1
FROM (SELECT raw_events.metadata ->> $1::VARCHAR AS key0, raw_events.event_type AS key1, CASE WHEN (jsonb_typeof(raw_events.metadata -> $2::VARCHAR) = $3::VARCHAR) THEN CAST(raw_events.metadata ->> $4::VARCHAR AS NUMERIC) END AS operand1, 1 AS operand0
FROM raw_events
WHERE raw_events.project = $5::VARCHAR AND raw_events.timestamp >= $6::TIMESTAMP WITH TIME ZONE AND raw_events.timestamp < $7::TIMESTAMP WITH TIME ZONE) AS rows GROUP BY rows.key0, rows.key1) AS groups ORDER BY groups.key1 COLLATE "C" ASC NULLS LAST, (groups.key0 COLLATE "C") NULLS LAST, (groups.key1 COLLATE "C") NULLS LAST
 LIMIT $8::INTEGER;
