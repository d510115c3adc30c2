-- What a tenant does against guessing, and what has been guessed so far.

-- One row a part that was changed. `secrets` (of captcha providers) is sealed.
CREATE TABLE attack_protection (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    part TEXT NOT NULL,
    secrets BYTEA,
    doc JSON NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, part)
);

-- Passwords tried for one account from one network, since the last right one. `subject` is a user's id, or for a name that is
-- nobody's its digest; `ip` is empty where addresses do not count. `attempts` began, `failures` of them were wrong.
CREATE TABLE login_attempts (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    ip TEXT NOT NULL,
    connection TEXT NOT NULL,
    identifier TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    attempted_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, subject, ip)
);
CREATE INDEX login_attempts_expiry ON login_attempts (tenant, expires_at);

-- One bucket a network and stage. It is full again at `full_at`; `noted_at` is when its emptiness was last put into the log.
CREATE TABLE address_attempts (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    stage TEXT NOT NULL,
    ip TEXT NOT NULL,
    full_at BIGINT NOT NULL,
    noted_at BIGINT,
    PRIMARY KEY (tenant, stage, ip)
);
CREATE INDEX address_attempts_expiry ON address_attempts (tenant, full_at);

-- Links by which users lift the blocks of their accounts.
CREATE TABLE unblock_tickets (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX unblock_tickets_user ON unblock_tickets (tenant, user_id, created_at);
CREATE INDEX unblock_tickets_expiry ON unblock_tickets (tenant, expires_at);
