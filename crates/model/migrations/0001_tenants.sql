-- Tenants, the host names that lead to them, and their settings.

CREATE TABLE tenants (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE domains (
    host TEXT PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    issuer TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX domains_tenant ON domains (tenant, host);

CREATE TABLE settings (
    tenant TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE branding (
    tenant TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
