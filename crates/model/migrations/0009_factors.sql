-- Second factors: what users have enrolled, the codes under way, the browsers that are remembered, and the tenant's policy.

-- `secret` is the sealed seed of an authenticator app, `hash` the SHA-256 of a recovery code. An enrolment under way has no
-- `confirmed_at`, and is good only for the sign-in whose digest is in `pending`.
CREATE TABLE factors (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT,
    address TEXT,
    preferred TEXT,
    secret BYTEA,
    hash BYTEA,
    last_step BIGINT NOT NULL,
    pending BYTEA,
    created_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_auth_at BIGINT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX factors_user ON factors (tenant, user_id, created_at, id);
CREATE INDEX factors_pending ON factors (tenant, created_at) WHERE confirmed_at IS NULL;
CREATE UNIQUE INDEX factors_recovery_code ON factors (tenant, user_id) WHERE kind = 'recovery-code';

-- How much a user has used up of what they may try (`check`) or be sent (`mail`): all of it until `free_at`, which moves on with
-- each use.
CREATE TABLE factor_limits (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    free_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, kind),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);

-- A code that was sent, one for each sign-in or enrolment under way.
CREATE TABLE factor_codes (
    tenant TEXT NOT NULL,
    purpose BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    address TEXT NOT NULL,
    hash BYTEA NOT NULL,
    tries BIGINT NOT NULL,
    sent_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, purpose),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX factor_codes_user ON factor_codes (tenant, user_id);
CREATE INDEX factor_codes_expiry ON factor_codes (tenant, expires_at);

-- Browsers in which a user is not asked again. The cookie holds a token of which only the digest is here.
CREATE TABLE remembered_browsers (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash, user_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX remembered_browsers_user ON remembered_browsers (tenant, user_id);
CREATE INDEX remembered_browsers_expiry ON remembered_browsers (tenant, expires_at);

-- Links that let a user enrol a factor.
CREATE TABLE enrollment_tickets (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    factor TEXT,
    allow_multiple BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX enrollment_tickets_user ON enrollment_tickets (tenant, user_id);
CREATE INDEX enrollment_tickets_expiry ON enrollment_tickets (tenant, expires_at);

-- Which factors a tenant has and when it asks for them. `providers` is sealed: keys of services that deliver messages lie in it.
CREATE TABLE guardian (
    tenant TEXT NOT NULL PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
    providers BYTEA,
    doc JSON NOT NULL,
    version BIGINT NOT NULL
);

-- When the user of a session gave a second factor in it.
ALTER TABLE sessions ADD COLUMN mfa_at BIGINT;

-- What an ID token says of how the user proved who they are: `amr` and `acr`.
ALTER TABLE authorization_codes ADD COLUMN mfa BOOLEAN;
ALTER TABLE authorization_codes ADD COLUMN acr TEXT;

-- A recovery code that the user has yet to be shown, sealed.
ALTER TABLE transactions ADD COLUMN recovery_code TEXT;
