-- Audit events. They outlive the users and clients they name, so nothing but the tenant ties them. An id sorts by time.

CREATE TABLE logs (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    date BIGINT NOT NULL,
    type TEXT NOT NULL,
    user_id TEXT,
    client_id TEXT,
    connection TEXT,
    ip TEXT,
    doc JSON NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE INDEX logs_user ON logs (tenant, user_id, id);
CREATE INDEX logs_type ON logs (tenant, type, id);
CREATE INDEX logs_date ON logs (date);
