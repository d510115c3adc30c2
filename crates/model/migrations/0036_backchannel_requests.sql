-- Requests of apps that ask a person, who is elsewhere, to let them in (OpenID Connect CIBA). `hash` is of what the app polls with, `id` is for
-- the page on which the person answers. `pace` is the fewest milliseconds between two polls: it grows with each that comes too soon.
CREATE TABLE backchannel_requests (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    audience TEXT NOT NULL,
    scope TEXT NOT NULL,
    binding_message TEXT NOT NULL,
    mfa BOOLEAN NOT NULL,
    denied BOOLEAN NOT NULL,
    approved_at BIGINT,
    pace BIGINT NOT NULL,
    polled_at BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX backchannel_requests_user ON backchannel_requests (tenant, user_id);
CREATE INDEX backchannel_requests_client ON backchannel_requests (tenant, client_id);
CREATE INDEX backchannel_requests_expiry ON backchannel_requests (tenant, expires_at);
