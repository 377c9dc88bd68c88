-- One answer of each model and benchmark in the newest run, walked back from its score to the question.
SET VARIABLE newest = (SELECT run_id FROM runs ORDER BY created DESC LIMIT 1);
SELECT model, benchmark, metric, score, prediction, method, text, sums, header, messages, continuations, rendering,
       fields
FROM lineage
WHERE run_id = getvariable('newest')
QUALIFY row_number() OVER (PARTITION BY model, benchmark, metric ORDER BY ordinal, replica, round, turn, choice) = 1
ORDER BY model, benchmark, metric;
