-- Devices that wait for their user (RFC 8628): `hash` is of the code that the device polls with, `user_code` of the one that its
-- user types elsewhere. `user_id` says who let it in, `denied` that somebody did not.
CREATE TABLE device_codes (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    user_code BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    audience TEXT NOT NULL,
    scope TEXT NOT NULL,
    user_id TEXT,
    mfa BOOLEAN NOT NULL,
    denied BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    polled_at BIGINT,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX device_codes_user_code ON device_codes (tenant, user_code);
CREATE INDEX device_codes_user ON device_codes (tenant, user_id);
CREATE INDEX device_codes_client ON device_codes (tenant, client_id);
CREATE INDEX device_codes_expiry ON device_codes (tenant, expires_at);

-- How much an address or a session has used up of what it may ask for or guess: all of it until `free_at`, which moves on with each use.
CREATE TABLE device_limits (
    tenant TEXT NOT NULL,
    who BYTEA NOT NULL,
    free_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, who)
);
CREATE INDEX device_limits_expiry ON device_limits (tenant, free_at);
