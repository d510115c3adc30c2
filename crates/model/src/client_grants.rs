//! What a client may ask of an API.
