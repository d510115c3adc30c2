-- What a tenant's pairwise subjects are made with (OpenID Connect Core §8.1); sealed.
CREATE TABLE subject_salts (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    salt BYTEA NOT NULL,
    PRIMARY KEY (tenant)
);

-- How many clients an address may register: `free_at` is when all of its share is there again.
CREATE TABLE registration_limits (
    tenant TEXT NOT NULL,
    who BYTEA NOT NULL,
    free_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, who)
);
CREATE INDEX registration_limits_free ON registration_limits (tenant, free_at);

-- The claims that a request named one by one (OpenID Connect Core §5.5), for what comes of it later.
ALTER TABLE authorization_codes ADD COLUMN claims JSON;
ALTER TABLE access_tokens ADD COLUMN claims JSON;
ALTER TABLE refresh_token_families ADD COLUMN claims JSON;

-- What a request asked for in detail (RFC 9396), for what comes of it later.
ALTER TABLE authorization_codes ADD COLUMN details JSON;
ALTER TABLE refresh_token_families ADD COLUMN details JSON;
