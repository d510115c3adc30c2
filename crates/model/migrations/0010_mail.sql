-- Letters on their way out, and for a while those that have gone. `variables` is sealed: one-time links and codes lie in it. It
-- goes once the letter has. `rendered` is sealed too; only the outbox of a development server fills it.
CREATE TABLE letters (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    recipient TEXT NOT NULL,
    user_id TEXT,
    client_id TEXT,
    variables BYTEA,
    rendered BYTEA,
    -- queued, sent, failed
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    -- When it is to be tried next. Whoever takes it moves this on, so that nobody else does meanwhile.
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    -- Why the last try failed.
    error TEXT,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX letters_due ON letters (due_at, tenant, id) WHERE state = 'queued';
CREATE INDEX letters_by_age ON letters (tenant, created_at, id);

-- What sends the tenant's mail. `credentials` is sealed.
CREATE TABLE email_providers (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    credentials BYTEA,
    doc JSON NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant)
);

-- The texts that the tenant has in the place of the built-in ones.
CREATE TABLE email_templates (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    template TEXT NOT NULL,
    doc JSON NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, template)
);
