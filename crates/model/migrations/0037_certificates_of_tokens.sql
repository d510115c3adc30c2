-- The certificate that an opaque access token is bound to, by its thumbprint (RFC 8705 §3).
ALTER TABLE access_tokens ADD COLUMN certificate TEXT;
