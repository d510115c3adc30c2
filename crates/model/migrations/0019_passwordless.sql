-- Codes that sign people in without a password: the last one of each address on a connection.
CREATE TABLE passwordless_codes (
    tenant TEXT NOT NULL,
    connection TEXT NOT NULL,
    address TEXT NOT NULL,
    hash BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    tries BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, connection, address),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX passwordless_codes_client ON passwordless_codes (tenant, client_id);
CREATE INDEX passwordless_codes_expiry ON passwordless_codes (tenant, expires_at);
