-- Whom a tenant names as its administrators: the addresses that hear of what happened to the tenant.
CREATE TABLE administrators (
    tenant TEXT PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    doc JSON NOT NULL,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- Of what they were told last, and when: a flood of events is one letter.
CREATE TABLE administrator_notices (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    about TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, about)
);
