-- The hashes of the passwords that an identity had, where its connection keeps a history.

CREATE TABLE password_history (
    tenant TEXT NOT NULL,
    provider TEXT NOT NULL,
    subject TEXT NOT NULL,
    hash TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, provider, subject, hash),
    FOREIGN KEY (tenant, provider, subject) REFERENCES identities (tenant, provider, subject) ON DELETE CASCADE
);
