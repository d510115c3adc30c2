-- Which clients are told when a session ends that they took part in (OIDC Back-Channel Logout §2.5).
ALTER TABLE clients ADD COLUMN told_of_logout BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE clients SET told_of_logout = TRUE WHERE doc -> 'oidc_logout' ->> 'backchannel_logout_urls' IS NOT NULL;

-- What they are to be told, written with the end of the session. The client may go in the meantime, and so nothing hangs on it.
CREATE TABLE logout_notices (
    tenant TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    sid TEXT NOT NULL,
    client_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    initiator TEXT NOT NULL,
    metadata JSON,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, sid, client_id)
);
CREATE INDEX logout_notices_due ON logout_notices (due_at);
CREATE INDEX logout_notices_client ON logout_notices (tenant, client_id, due_at);

-- Sessions that nobody used are looked for, to be ended.
CREATE INDEX sessions_idle ON sessions (tenant, idle_expires_at);
