-- A browser's sign-in. The cookie holds a token of which only the digest is here; `sid` is its public name.
CREATE TABLE sessions (
    tenant TEXT NOT NULL,
    sid TEXT NOT NULL,
    hash BYTEA NOT NULL,
    user_id TEXT NOT NULL,
    connection TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    last_interacted_at BIGINT NOT NULL,
    idle_expires_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT,
    PRIMARY KEY (tenant, sid),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX sessions_hash ON sessions (tenant, hash);
CREATE INDEX sessions_user ON sessions (tenant, user_id);
CREATE INDEX sessions_expiry ON sessions (tenant, expires_at);

-- The clients that a session has signed in to.
CREATE TABLE session_clients (
    tenant TEXT NOT NULL,
    sid TEXT NOT NULL,
    client_id TEXT NOT NULL,
    PRIMARY KEY (tenant, sid, client_id),
    FOREIGN KEY (tenant, sid) REFERENCES sessions (tenant, sid) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX session_clients_client ON session_clients (tenant, client_id);

-- A sign-in under way, from its first proof on. Before that it lives sealed in `state` alone.
CREATE TABLE transactions (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    sid TEXT NOT NULL,
    authenticated BOOLEAN NOT NULL,
    consented BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL,
    done_at BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX transactions_expiry ON transactions (tenant, expires_at);

CREATE TABLE authorization_codes (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    sid TEXT NOT NULL,
    redirect_uri TEXT,
    code_challenge TEXT,
    code_challenge_method TEXT,
    nonce TEXT,
    scope TEXT NOT NULL,
    requested_scope TEXT NOT NULL,
    audience TEXT NOT NULL,
    auth_time BIGINT,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    spent_at BIGINT,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX authorization_codes_user ON authorization_codes (tenant, user_id);
CREATE INDEX authorization_codes_client ON authorization_codes (tenant, client_id);
CREATE INDEX authorization_codes_expiry ON authorization_codes (tenant, expires_at);

-- One row a sign-in with offline access; its tokens are the generations of one lineage.
CREATE TABLE refresh_token_families (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    sid TEXT NOT NULL,
    audience TEXT NOT NULL,
    scope TEXT NOT NULL,
    rotating BOOLEAN NOT NULL,
    generation BIGINT NOT NULL,
    code_hash BYTEA,
    created_at BIGINT NOT NULL,
    exchanged_at BIGINT,
    idle_expires_at BIGINT,
    expires_at BIGINT,
    ip TEXT NOT NULL,
    user_agent TEXT,
    PRIMARY KEY (tenant, id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX refresh_token_families_user ON refresh_token_families (tenant, user_id, client_id, created_at);
CREATE INDEX refresh_token_families_client ON refresh_token_families (tenant, client_id);
CREATE INDEX refresh_token_families_code ON refresh_token_families (tenant, code_hash);
CREATE INDEX refresh_token_families_expiry ON refresh_token_families (tenant, expires_at);

CREATE TABLE refresh_tokens (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    family TEXT NOT NULL,
    generation BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, family) REFERENCES refresh_token_families (tenant, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_family ON refresh_tokens (tenant, family, generation);

-- Opaque access tokens, good for /userinfo alone.
CREATE TABLE access_tokens (
    tenant TEXT NOT NULL,
    hash BYTEA NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    code_hash BYTEA,
    family TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, client_id) REFERENCES clients (tenant, client_id) ON DELETE CASCADE
);
CREATE INDEX access_tokens_user ON access_tokens (tenant, user_id);
CREATE INDEX access_tokens_client ON access_tokens (tenant, client_id);
CREATE INDEX access_tokens_code ON access_tokens (tenant, code_hash);
CREATE INDEX access_tokens_family ON access_tokens (tenant, family);
CREATE INDEX access_tokens_expiry ON access_tokens (tenant, expires_at);
