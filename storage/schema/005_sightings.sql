-- What nightly runs are done with: checkpoints as they were found, evaluated or broken, each told once.

CREATE TABLE sightings (
    place VARCHAR NOT NULL,                  -- folder, URL, or name on the hub
    fingerprint VARCHAR NOT NULL,            -- of its files' names, sizes and times; the commit of a hub's revision
    wanted VARCHAR NOT NULL,                 -- what was asked of it: of the evaluation and its recipes; '' where broken
    family VARCHAR NOT NULL,
    step BIGINT NOT NULL,
    state VARCHAR NOT NULL,                  -- done, failed, broken
    cause VARCHAR,
    run_id VARCHAR,
    recorded TIMESTAMP NOT NULL
);
