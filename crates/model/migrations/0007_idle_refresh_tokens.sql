-- For the sweep of families that nobody has used for too long.
CREATE INDEX refresh_token_families_idle ON refresh_token_families (tenant, idle_expires_at);
