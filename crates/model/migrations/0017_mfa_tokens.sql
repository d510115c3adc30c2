-- Passwords that were right where a second factor is missing: what the token endpoint hands out in the place of tokens.
CREATE TABLE mfa_tokens (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    connection TEXT NOT NULL,
    audience TEXT NOT NULL,
    scope TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX mfa_tokens_user ON mfa_tokens (tenant, user_id);
CREATE INDEX mfa_tokens_client ON mfa_tokens (tenant, client_id);
CREATE INDEX mfa_tokens_expiry ON mfa_tokens (tenant, expires_at);
