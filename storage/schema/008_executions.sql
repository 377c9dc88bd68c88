-- Programs that models wrote, and how they ended. What was run once is not run again: an execution is known by all that
-- its programs were given, the limits, the sandbox's tier and the versions of the languages.

CREATE TABLE executions (
    execution_key VARCHAR NOT NULL,
    program INTEGER NOT NULL,                -- of a job of two: 0 the tester, 1 the model's program
    command VARCHAR,
    ended VARCHAR NOT NULL,                  -- exit, signal, wall, output, failed
    code INTEGER,                            -- exit status, or the signal's number
    stdout VARCHAR USING COMPRESSION zstd,
    stderr VARCHAR USING COMPRESSION zstd,   -- of a tester: its verdict
    seconds DOUBLE,
    tier VARCHAR NOT NULL,                   -- what kept it in
    language VARCHAR,                        -- its version; NULL: it was not there, and nothing ran
    limits VARCHAR,                          -- JSON
    recorded TIMESTAMP
);

CREATE TABLE executed (
    executed VARCHAR NOT NULL,
    ordinal BIGINT NOT NULL,
    sample_key VARCHAR NOT NULL,
    replica INTEGER NOT NULL,
    filter VARCHAR NOT NULL,
    scorer VARCHAR NOT NULL,
    place INTEGER NOT NULL,                  -- among the jobs that the scorer wants of this answer
    execution_key VARCHAR NOT NULL
);

-- Each score that programs were run for, and how each of them ended.
CREATE VIEW execution_of AS
SELECT z.run_id, coalesce(o.label, z.model_key) AS model, z.benchmark, e.sample_key, e.ordinal, e.replica, e.filter,
       e.scorer, s.value AS score, s.detail, e.place, x.*
FROM steps z
JOIN executed e ON e.executed = z.step_key
JOIN executions x USING (execution_key)
LEFT JOIN models o USING (model_key)
LEFT JOIN steps y ON y.step = 'score' AND y.run_id = z.run_id AND y.benchmark = z.benchmark
                 AND y.model_key = z.model_key
LEFT JOIN scores s ON s.scored = y.step_key AND s.ordinal = e.ordinal AND s.replica = e.replica
                  AND s.filter = e.filter AND s.scorer = e.scorer
WHERE z.step = 'execute';

-- In which sandbox, and under which limits, the programs of each run's scores ran.
CREATE VIEW sandboxes AS
SELECT run_id, model, benchmark, tier, limits, list_sort(list(DISTINCT language)) AS languages,
       count(DISTINCT execution_key) AS jobs, count(DISTINCT (ordinal, replica)) AS answers,
       count(DISTINCT (ordinal, replica)) FILTER (language IS NULL) AS skipped, round(sum(seconds), 3) AS seconds
FROM execution_of
GROUP BY ALL;
