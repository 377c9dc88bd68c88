-- One answer of each model and benchmark in the newest run, walked back from its score to the question.
SELECT model, benchmark, metric, score, prediction, method, text, sums, header, messages, continuations, rendering,
       fields
FROM lineage
WHERE run_id = (SELECT run_id FROM runs ORDER BY created DESC LIMIT 1)
QUALIFY row_number() OVER (PARTITION BY model, benchmark, metric ORDER BY ordinal, replica, round, turn, choice) = 1
ORDER BY model, benchmark, metric;
