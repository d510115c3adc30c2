-- How a tenant's endpoints speak, where that is Doorward's own to say.
CREATE TABLE protocol (
    tenant TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- Authorization requests that clients pushed (RFC 9126); `hash` is of the random end of the request_uri.
CREATE TABLE pushed_requests (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    params JSON NOT NULL,
    signed BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX pushed_requests_client ON pushed_requests (tenant, client_id);
CREATE INDEX pushed_requests_expiry ON pushed_requests (tenant, expires_at);
