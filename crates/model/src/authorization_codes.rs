//! Authorization codes: single use, bound to client, redirect URI and PKCE challenge.
