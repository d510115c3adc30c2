-- The identity that a session, and what it bought, began with, `provider|user_id`: when that identity is unlinked they end. Unknown of
-- what began before. From where a session was last used, and what an administrator notes of it and of a refresh token.
ALTER TABLE sessions ADD COLUMN identity TEXT;
ALTER TABLE sessions ADD COLUMN last_ip TEXT;
ALTER TABLE sessions ADD COLUMN last_user_agent TEXT;
ALTER TABLE sessions ADD COLUMN metadata JSON;
ALTER TABLE refresh_token_families ADD COLUMN identity TEXT;
ALTER TABLE refresh_token_families ADD COLUMN metadata JSON;
CREATE INDEX sessions_user_age ON sessions (tenant, user_id, created_at, sid);

-- Roles, what they permit on which API, and whose they are.
CREATE TABLE roles (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    description TEXT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX roles_name ON roles (tenant, name);

CREATE TABLE role_permissions (
    tenant TEXT NOT NULL,
    role_id TEXT NOT NULL,
    audience TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, role_id, audience, name),
    FOREIGN KEY (tenant, role_id) REFERENCES roles (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, audience) REFERENCES resource_servers (tenant, identifier) ON DELETE CASCADE
);
CREATE INDEX role_permissions_audience ON role_permissions (tenant, audience, name);

CREATE TABLE user_roles (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    role_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id, role_id),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, role_id) REFERENCES roles (tenant, id) ON DELETE CASCADE
);
CREATE INDEX user_roles_role ON user_roles (tenant, role_id, created_at, user_id);

-- What a user may do without a role.
CREATE TABLE user_permissions (
    tenant TEXT NOT NULL,
    user_id TEXT NOT NULL,
    audience TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (tenant, user_id, audience, name),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant, audience) REFERENCES resource_servers (tenant, identifier) ON DELETE CASCADE
);
CREATE INDEX user_permissions_audience ON user_permissions (tenant, audience, name);
