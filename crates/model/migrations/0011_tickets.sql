-- One-time links: to set a new password, and to prove an address. The link holds a token of which only the digest is here.
CREATE TABLE tickets (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    -- password, verification
    kind TEXT NOT NULL,
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- The address that it was made for: with another one it is worth nothing.
    email TEXT,
    marks_verified BOOLEAN NOT NULL,
    result_url TEXT,
    include_email BOOLEAN NOT NULL,
    client_id TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- When it was used, or a newer one or a new password took its place.
    ended_at BIGINT,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);

CREATE INDEX tickets_user ON tickets (tenant, user_id, kind);
CREATE INDEX tickets_expiry ON tickets (tenant, expires_at);

-- Who asked for a new password, by what they typed. Whether there is such a user is looked up by a job: the answer to the
-- request costs the same for all.
CREATE TABLE recovery_requests (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    host TEXT NOT NULL,
    connection TEXT NOT NULL,
    login TEXT NOT NULL,
    client_id TEXT,
    ip TEXT NOT NULL,
    user_agent TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX recovery_requests_by_age ON recovery_requests (created_at, tenant, id);

-- How often mail was asked for, for an address and from an IP address, in a window that begins with the first request. The key
-- is a digest: an unknown address is nobody's to keep.
CREATE TABLE mail_counts (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    key BYTEA NOT NULL,
    count BIGINT NOT NULL,
    began_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, key)
);

CREATE INDEX mail_counts_age ON mail_counts (tenant, began_at);
