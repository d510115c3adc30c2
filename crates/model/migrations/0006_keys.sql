-- The tenants' signing keys. For each algorithm that a tenant uses there is one current key and one next; both are published.
CREATE TABLE signing_keys (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    kid TEXT NOT NULL,
    alg TEXT NOT NULL,
    -- next, current, previous, revoked
    state TEXT NOT NULL,
    -- The common name of the certificate.
    host TEXT NOT NULL,
    -- The public key as it stands in the key set, with its certificate.
    jwk JSON NOT NULL,
    -- PKCS #8, sealed; gone when the key is revoked.
    private BYTEA,
    created_at BIGINT NOT NULL,
    current_since BIGINT,
    current_until BIGINT,
    revoked_at BIGINT,
    PRIMARY KEY (tenant, kid)
);

CREATE UNIQUE INDEX signing_keys_one_current ON signing_keys (tenant, alg) WHERE state = 'current';

CREATE UNIQUE INDEX signing_keys_one_next ON signing_keys (tenant, alg) WHERE state = 'next';
