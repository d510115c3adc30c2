//! What a tenant holds from its first moment (management contract §5).
