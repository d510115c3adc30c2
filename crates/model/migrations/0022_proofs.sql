-- The key that a code, a refresh token or an opaque token is bound to: its thumbprint (RFC 9449 §5, §6, §10).
ALTER TABLE authorization_codes ADD COLUMN jkt TEXT;
ALTER TABLE refresh_token_families ADD COLUMN jkt TEXT;
ALTER TABLE access_tokens ADD COLUMN jkt TEXT;
