-- Clients, connections, resource servers and what clients may ask of them.

-- `secret` is sealed; `secret_digest` is its SHA-256, for comparison.
CREATE TABLE clients (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    name TEXT NOT NULL,
    app_type TEXT,
    is_first_party BOOLEAN NOT NULL,
    is_global BOOLEAN NOT NULL,
    secret BYTEA NOT NULL,
    secret_digest BYTEA NOT NULL,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, client_id)
);

CREATE INDEX clients_by_age ON clients (tenant, created_at, client_id);

CREATE UNIQUE INDEX clients_global ON clients (tenant) WHERE is_global;

-- The origins that each client lists. `family` is the origin with its left-most label replaced by `*`.
CREATE TABLE client_origins (
    tenant TEXT NOT NULL,
    client_id TEXT NOT NULL,
    origin TEXT NOT NULL,
    family TEXT NOT NULL,
    PRIMARY KEY (tenant, client_id, origin),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);

CREATE INDEX client_origins_family ON client_origins (tenant, family);

-- `options` is sealed: upstream secrets lie in it.
CREATE TABLE connections (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    strategy TEXT NOT NULL,
    options BYTEA NOT NULL,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE UNIQUE INDEX connections_name ON connections (tenant, name);

CREATE INDEX connections_by_age ON connections (tenant, created_at, id);

-- Which clients a connection is enabled for: the one truth behind both views of it.
CREATE TABLE connection_clients (
    tenant TEXT NOT NULL,
    connection_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, connection_id, client_id),
    FOREIGN KEY (tenant, connection_id) REFERENCES connections (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);

CREATE INDEX connection_clients_client ON connection_clients (tenant, client_id, connection_id);

-- `signing_secret` (HS256) is sealed.
CREATE TABLE resource_servers (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    identifier TEXT NOT NULL,
    is_system BOOLEAN NOT NULL,
    signing_secret BYTEA,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE UNIQUE INDEX resource_servers_identifier ON resource_servers (tenant, identifier);

CREATE INDEX resource_servers_by_age ON resource_servers (tenant, created_at, id);

-- `client_id` is null in a default grant, which stands for all clients of a kind.
CREATE TABLE client_grants (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    client_id TEXT,
    audience TEXT NOT NULL,
    subject_type TEXT NOT NULL,
    default_for TEXT,
    allow_any_organization BOOLEAN NOT NULL,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, audience) REFERENCES resource_servers (tenant, identifier) ON DELETE CASCADE
);

CREATE UNIQUE INDEX client_grants_unique ON client_grants (tenant, client_id, audience, subject_type);

CREATE UNIQUE INDEX client_grants_default_unique
    ON client_grants (tenant, default_for, audience, subject_type) WHERE default_for IS NOT NULL;

CREATE INDEX client_grants_audience ON client_grants (tenant, audience);

CREATE INDEX client_grants_by_age ON client_grants (tenant, created_at, id);
