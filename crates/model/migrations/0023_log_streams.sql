-- Where a tenant's log goes as it is written. `cursor` is the id of the last entry that was taken there.

CREATE TABLE log_streams (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    sink BYTEA NOT NULL,
    doc JSON NOT NULL,
    cursor TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    failing_since BIGINT,
    next_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX log_streams_due ON log_streams (type, status, next_at);
