//! What is deleted once it has served: a bounded number of rows at a time, so that no delete holds anybody up.

use db::{Batch, params};

use crate::attack_protection::MOST_STRANGERS;
use crate::clock::{SKEW, Timestamp};
use crate::ids::TenantId;
use crate::{Model, attack_protection, logs, recovery, sessions, tenants, transactions};

/// Rows that one statement deletes at most.
const AT_A_TIME: u32 = 500;

/// Seconds that log entries are kept: 30 days.
const LOGS: i64 = 30 * 24 * 3600;

/// Seconds that a code is kept after its end: its second use must still be noticed (RFC 6749 §4.1.2).
const CODES: i64 = 24 * 3600;

/// Seconds that a full bucket of an address is kept: until then its emptiness is not put into the log again.
const ADDRESSES: i64 = 3600;

/// Seconds that the enrolment of a second factor may take: a day, which is longer than any sign-in.
const ENROLMENTS: i64 = 24 * 3600;

/// Seconds that a device, or an app, which waited in vain is kept: it is told so once.
const DEVICES: i64 = 3600;

/// Seconds that a token for a missing second factor is kept after its end: until then the answer is that it has expired.
const MFA_TOKENS: i64 = 3600;

/// Seconds that a letter is kept, once it has gone or was given up: 7 days.
const LETTERS: i64 = 7 * 24 * 3600;

/// A table whose rows end, and how long they are kept then.
struct Expiring {
    delete: &'static str,
    /// Seconds after the end.
    kept: i64,
}

/// Children before nobody: what hangs on a row goes with it. What may be renewed meanwhile is asked again when its row is held.
const EXPIRING: &[Expiring] = &[
    Expiring {
        delete: "DELETE FROM transactions WHERE tenant = $1 AND id IN
                 (SELECT id FROM transactions WHERE tenant = $1 AND expires_at < $2 ORDER BY expires_at, id LIMIT $3)",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM authorization_codes WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM authorization_codes WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: CODES,
    },
    Expiring {
        delete: "DELETE FROM access_tokens WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM access_tokens WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM refresh_token_families WHERE tenant = $1 AND id IN
                 (SELECT id FROM refresh_token_families WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, id LIMIT $3) AND expires_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM refresh_token_families WHERE tenant = $1 AND id IN
                 (SELECT id FROM refresh_token_families WHERE tenant = $1 AND idle_expires_at < $2
                  ORDER BY idle_expires_at, id LIMIT $3)
                 AND idle_expires_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM factor_codes WHERE tenant = $1 AND purpose IN
                 (SELECT purpose FROM factor_codes WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, purpose LIMIT $3)
                 AND expires_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM device_codes WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM device_codes WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: DEVICES,
    },
    Expiring {
        delete: "DELETE FROM passwordless_codes WHERE tenant = $1 AND (connection, address) IN
                 (SELECT connection, address FROM passwordless_codes WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, connection, address LIMIT $3)
                 AND expires_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM device_limits WHERE tenant = $1 AND who IN
                 (SELECT who FROM device_limits WHERE tenant = $1 AND free_at < $2 ORDER BY free_at, who LIMIT $3)
                 AND free_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM backchannel_requests WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM backchannel_requests WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: DEVICES,
    },
    Expiring {
        delete: "DELETE FROM login_tickets WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM login_tickets WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM registration_limits WHERE tenant = $1 AND who IN
                 (SELECT who FROM registration_limits WHERE tenant = $1 AND free_at < $2 ORDER BY free_at, who LIMIT $3)
                 AND free_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM mfa_tokens WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM mfa_tokens WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: MFA_TOKENS,
    },
    Expiring {
        delete: "DELETE FROM factors WHERE tenant = $1 AND confirmed_at IS NULL AND id IN
                 (SELECT id FROM factors WHERE tenant = $1 AND confirmed_at IS NULL AND created_at < $2
                  ORDER BY created_at, id LIMIT $3)",
        kept: ENROLMENTS,
    },
    Expiring {
        delete: "DELETE FROM remembered_browsers WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM remembered_browsers WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3) AND expires_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM enrollment_tickets WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM enrollment_tickets WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM letters WHERE tenant = $1 AND id IN
                 (SELECT id FROM letters WHERE tenant = $1 AND created_at < $2 AND state <> 'queued'
                  ORDER BY created_at, id LIMIT $3)",
        kept: LETTERS,
    },
    Expiring {
        delete: "DELETE FROM mail_counts WHERE tenant = $1 AND key IN
                 (SELECT key FROM mail_counts WHERE tenant = $1 AND began_at < $2 ORDER BY began_at, key LIMIT $3)
                 AND began_at < $2",
        kept: recovery::WINDOW,
    },
    Expiring {
        delete: "DELETE FROM tickets WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM tickets WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM pushed_requests WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM pushed_requests WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        // A sign-in may go on for as long, and spends its request in the end.
        kept: transactions::LIFETIME,
    },
    Expiring {
        delete: "DELETE FROM spent_ids WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM spent_ids WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        // A node whose clock is behind would take them once more.
        kept: SKEW,
    },
    Expiring {
        delete: "DELETE FROM jobs WHERE tenant = $1 AND id IN
                 (SELECT id FROM jobs WHERE tenant = $1 AND expires_at < $2 ORDER BY expires_at, id LIMIT $3)",
        kept: 0,
    },
    // Uploads whose connection broke: what came of the file is nobody's to keep.
    Expiring {
        delete: "DELETE FROM jobs WHERE tenant = $1 AND id IN
                 (SELECT id FROM jobs WHERE tenant = $1 AND status = 'uploading' AND leased_until < $2
                  ORDER BY leased_until, id LIMIT $3)
                 AND leased_until < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM unblock_tickets WHERE tenant = $1 AND hash IN
                 (SELECT hash FROM unblock_tickets WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, hash LIMIT $3)",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM login_attempts WHERE tenant = $1 AND (subject, ip) IN
                 (SELECT subject, ip FROM login_attempts WHERE tenant = $1 AND expires_at < $2
                  ORDER BY expires_at, subject, ip LIMIT $3)
                 AND expires_at < $2",
        kept: 0,
    },
    Expiring {
        delete: "DELETE FROM address_attempts WHERE tenant = $1 AND (stage, ip) IN
                 (SELECT stage, ip FROM address_attempts WHERE tenant = $1 AND full_at < $2
                  ORDER BY full_at, stage, ip LIMIT $3)
                 AND full_at < $2",
        kept: ADDRESSES,
    },
];

/// Deletes what has ended, of every tenant, and log entries older than 30 days. Answers how many rows it were. It may run
/// on several nodes at once, and be cut short anywhere.
pub async fn sweep(app: &Model) -> Result<u64, db::Error> {
    let now = app.clock.now();
    let mut removed = 0;
    for tenant in tenants::all(app).await? {
        for table in EXPIRING {
            removed += clear(app, table, &tenant.id, now.plus_seconds(-table.kept)).await?;
        }
        removed += sessions::end_expired(app, &tenant.id).await?;
        removed +=
            attack_protection::forget_oldest_strangers(app, &tenant.id, MOST_STRANGERS, AT_A_TIME).await?;
    }
    loop {
        let some = logs::remove_older_than(&app.db, now.plus_seconds(-LOGS), AT_A_TIME).await?;
        removed += some;
        if some < u64::from(AT_A_TIME) {
            return Ok(removed);
        }
    }
}

async fn clear(app: &Model, table: &Expiring, tenant: &TenantId, end: Timestamp) -> Result<u64, db::Error> {
    let mut removed = 0;
    loop {
        let mut batch = Batch::new();
        batch.execute(table.delete, params![tenant, end, AT_A_TIME]);
        let some = app.db.commit(batch).await?.affected.first().copied().unwrap_or_default();
        removed += some;
        if some < u64::from(AT_A_TIME) {
            return Ok(removed);
        }
    }
}
