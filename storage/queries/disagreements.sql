-- Answers of the newest run that two filters read differently: what one of them gets wrong is found here first.
SET VARIABLE newest = (SELECT run_id FROM runs ORDER BY created DESC LIMIT 1);
SELECT z.benchmark, coalesce(o.label, z.model_key) AS model, a.sample_key, a.replica, a.filter, a.value,
       b.filter AS other_filter, b.value AS other_value
FROM steps z
JOIN predictions a ON a.predicted = z.step_key
JOIN predictions b ON b.predicted = z.step_key AND b.sample_key = a.sample_key AND b.replica = a.replica
                  AND b.filter > a.filter
LEFT JOIN models o ON o.model_key = z.model_key
WHERE z.step = 'postprocess' AND a.value IS DISTINCT FROM b.value
  AND z.run_id = getvariable('newest')
ORDER BY z.benchmark, model, a.sample_key, a.replica, a.filter, other_filter;
