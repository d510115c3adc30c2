-- A recovery code may be under way beside the one that is good: there is one of each at most.
DROP INDEX factors_recovery_code;
CREATE UNIQUE INDEX factors_recovery_code ON factors (tenant, user_id)
    WHERE kind = 'recovery-code' AND confirmed_at IS NOT NULL;
