-- What a tenant asks of people who change what is theirs.
CREATE TABLE self_service (
    tenant TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
