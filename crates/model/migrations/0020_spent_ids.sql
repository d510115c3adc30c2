-- What proves something once: the ids of client assertions and of proofs of possession, as SHA-256 of what they are and whose.
CREATE TABLE spent_ids (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    hash BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash)
);
CREATE INDEX spent_ids_expiry ON spent_ids (tenant, expires_at);
