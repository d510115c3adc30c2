-- Proofs that were given on a page of an app's own, or on a classic sign-in page of the tenant's: each is good for one sign-in of that app, in
-- the browser with the cookie of which `browser` is the digest, or where the app's page knows what `verifier` is the digest of.
CREATE TABLE login_tickets (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    connection TEXT NOT NULL,
    origin TEXT NOT NULL,
    browser BYTEA NOT NULL,
    verifier BYTEA NOT NULL,
    verifier_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX login_tickets_client ON login_tickets (tenant, client_id);
CREATE INDEX login_tickets_user ON login_tickets (tenant, user_id);
CREATE INDEX login_tickets_expiry ON login_tickets (tenant, expires_at);
