-- Jobs that run beside the requests: imports, exports, verification mails. All of one goes a day after it was made.

CREATE TABLE jobs (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    -- What was asked for, as it is told.
    doc JSON NOT NULL,
    -- How far it is: written with the rows that it tells of.
    progress JSON NOT NULL,
    -- A running import holds one of the tenant's places.
    slot BIGINT,
    -- Whoever runs it has it until then.
    leased_until BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant) REFERENCES tenants (id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX jobs_slot ON jobs (tenant, kind, slot);
CREATE INDEX jobs_status ON jobs (status, leased_until);
CREATE INDEX jobs_expires_at ON jobs (tenant, expires_at, id);

-- What an import reads and what an export wrote, in pieces, sealed. Numbers have leading zeros, so that they sort.
CREATE TABLE job_parts (
    tenant TEXT NOT NULL,
    job TEXT NOT NULL,
    number TEXT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (tenant, job, number),
    FOREIGN KEY (tenant, job) REFERENCES jobs (tenant, id) ON DELETE CASCADE
);

-- The rows of an import that were refused, without their secrets.
CREATE TABLE job_errors (
    tenant TEXT NOT NULL,
    job TEXT NOT NULL,
    position BIGINT NOT NULL,
    doc JSON NOT NULL,
    PRIMARY KEY (tenant, job, position),
    FOREIGN KEY (tenant, job) REFERENCES jobs (tenant, id) ON DELETE CASCADE
);
