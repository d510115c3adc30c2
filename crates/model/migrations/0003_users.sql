-- Users, the identities they log in with, their password hashes and what they consented to.

CREATE TABLE users (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    email TEXT,
    email_verified BOOLEAN NOT NULL,
    username TEXT,
    phone_number TEXT,
    phone_verified BOOLEAN NOT NULL,
    name TEXT,
    nickname TEXT,
    given_name TEXT,
    family_name TEXT,
    picture TEXT,
    -- The four below are the names folded, for a search that ignores case.
    name_folded TEXT,
    nickname_folded TEXT,
    given_name_folded TEXT,
    family_name_folded TEXT,
    blocked BOOLEAN,
    user_metadata JSON,
    app_metadata JSON,
    profile JSON,
    multifactor TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_login BIGINT,
    last_ip TEXT,
    logins_count BIGINT NOT NULL,
    last_password_reset BIGINT,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant) REFERENCES tenants (id) ON DELETE CASCADE
);

-- With the id, so that a search by address in the order of ids goes straight there.
CREATE INDEX users_email ON users (tenant, email, id);
CREATE INDEX users_created_at ON users (tenant, created_at, id);

-- One row per account somebody can log in with. `email`, `username` and `phone` are login identifiers in their folded
-- form, filled only where the connection finds people by them; the form to show is in `users` or in `profile`.
CREATE TABLE identities (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    connection TEXT NOT NULL,
    user_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    is_social BOOLEAN NOT NULL,
    email TEXT,
    username TEXT,
    phone TEXT,
    profile JSON,
    PRIMARY KEY (tenant, provider, subject),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);

CREATE INDEX identities_user ON identities (tenant, user_id, position);
CREATE UNIQUE INDEX identities_email ON identities (tenant, connection, email);
CREATE UNIQUE INDEX identities_username ON identities (tenant, connection, username);
CREATE UNIQUE INDEX identities_phone ON identities (tenant, connection, phone);

CREATE TABLE credentials (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    hash TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, provider, subject),
    FOREIGN KEY (tenant, provider, subject) REFERENCES identities (tenant, provider, subject) ON DELETE CASCADE
);

CREATE TABLE user_grants (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    audience TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX user_grants_client ON user_grants (tenant, user_id, client_id, audience);
CREATE INDEX user_grants_by_client ON user_grants (tenant, client_id);
