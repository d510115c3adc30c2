-- Public keys that devices registered for their users. Refresh tokens are shown beside them and stay where they are.
CREATE TABLE device_credentials (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    device_name TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX device_credentials_device ON device_credentials (tenant, user_id, client_id, device_id);
CREATE INDEX device_credentials_client ON device_credentials (tenant, client_id);
CREATE INDEX device_credentials_by_age ON device_credentials (tenant, created_at, id);
CREATE INDEX refresh_token_families_by_age ON refresh_token_families (tenant, created_at, id);
