//! JSON Web Signatures on AWS-LC with parsed keys.
