//! The schema's migrations: numbered, only added, never edited once released.

use db::Migration;

/// One SQL text for both engines.
const fn shared(version: u32, name: &'static str, sql: &'static str) -> Migration {
    Migration { version, name, sqlite: sql, postgres: sql }
}

/// Every migration, in order.
pub static MIGRATIONS: &[Migration] = &[
    shared(1, "tenants", include_str!("../migrations/0001_tenants.sql")),
    shared(2, "configuration", include_str!("../migrations/0002_configuration.sql")),
    shared(3, "users", include_str!("../migrations/0003_users.sql")),
    shared(4, "sessions", include_str!("../migrations/0004_sessions.sql")),
    shared(5, "logs", include_str!("../migrations/0005_logs.sql")),
    shared(6, "keys", include_str!("../migrations/0006_keys.sql")),
    shared(7, "idle_refresh_tokens", include_str!("../migrations/0007_idle_refresh_tokens.sql")),
    shared(8, "device_credentials", include_str!("../migrations/0008_device_credentials.sql")),
    shared(9, "factors", include_str!("../migrations/0009_factors.sql")),
    shared(10, "mail", include_str!("../migrations/0010_mail.sql")),
    shared(11, "tickets", include_str!("../migrations/0011_tickets.sql")),
    shared(12, "jobs", include_str!("../migrations/0012_jobs.sql")),
    shared(13, "password_history", include_str!("../migrations/0013_password_history.sql")),
    shared(14, "attack_protection", include_str!("../migrations/0014_attack_protection.sql")),
    shared(15, "self_service", include_str!("../migrations/0015_self_service.sql")),
    shared(16, "my_account", include_str!("../migrations/0016_my_account.sql")),
    shared(17, "mfa_tokens", include_str!("../migrations/0017_mfa_tokens.sql")),
    shared(18, "device_codes", include_str!("../migrations/0018_device_codes.sql")),
    shared(19, "passwordless", include_str!("../migrations/0019_passwordless.sql")),
    shared(20, "spent_ids", include_str!("../migrations/0020_spent_ids.sql")),
    shared(21, "requests", include_str!("../migrations/0021_requests.sql")),
    shared(22, "proofs", include_str!("../migrations/0022_proofs.sql")),
    shared(23, "log_streams", include_str!("../migrations/0023_log_streams.sql")),
    shared(25, "administrators", include_str!("../migrations/0025_administrators.sql")),
    shared(26, "sessions_and_roles", include_str!("../migrations/0026_sessions_and_roles.sql")),
    shared(27, "logout_notices", include_str!("../migrations/0027_logout_notices.sql")),
    shared(28, "client_metadata", include_str!("../migrations/0028_client_metadata.sql")),
    shared(29, "login_tickets", include_str!("../migrations/0029_login_tickets.sql")),
    shared(36, "backchannel_requests", include_str!("../migrations/0036_backchannel_requests.sql")),
    shared(37, "certificates_of_tokens", include_str!("../migrations/0037_certificates_of_tokens.sql")),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// While nodes are replaced one by one, those of the version before run on the newer schema: it may add, and take nothing.
    #[test]
    fn a_migration_leaves_what_the_version_before_uses() {
        const TAKES: [&str; 6] =
            ["DROP TABLE", "DROP COLUMN", "RENAME", "ALTER COLUMN", "ADD CONSTRAINT", "DELETE FROM"];
        for migration in MIGRATIONS {
            for text in [migration.sqlite, migration.postgres] {
                let text = text.to_uppercase();
                for word in TAKES {
                    assert!(!text.contains(word), "{migration} has {word}: do it two versions later");
                }
                for added in text.split("ADD COLUMN").skip(1) {
                    let column = added.split([';', ',']).next().unwrap_or_default();
                    let filled = !column.contains("NOT NULL") || column.contains("DEFAULT");
                    assert!(filled, "{migration}: the version before does not fill{column}");
                }
            }
        }
    }
}
