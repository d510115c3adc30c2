//! What the tenant's administrators are told of attack protection, where its shields say `admin_notification`.

use serde_json::{Map, Value};

use super::breaches::BreachStage;
use super::settings::{BreachedPasswords, BruteForce, Shield, SuspiciousIp, find};
use crate::ids::TenantId;
use crate::mail::Kind;
use crate::{Model, administrators};

/// Seconds between two letters about the like, where nothing else is set.
const QUIET: i64 = 3600;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    /// An account had too many wrong passwords.
    Account,
    /// An address had too many attempts.
    Address,
    /// A password that has leaked was used at a stage.
    Leak(BreachStage),
}

/// Tells the administrators, where the tenant wants that: the first time in an hour, or in whatever time it wants to be told once.
pub(super) async fn tell(app: &Model, tenant: &TenantId, noticed: Noticed) -> Result<(), db::Error> {
    let (about, happened, log_type) = match noticed {
        Noticed::Account => {
            ("account", "Sign-ins to an account were blocked after too many wrong passwords.", "limit_wc")
        }
        Noticed::Address => ("address", "An address was throttled after too many attempts.", "limit_mu"),
        Noticed::Leak(BreachStage::Login) => {
            ("leak/login", "Somebody signed in with a password that has leaked.", "pwd_leak")
        }
        Noticed::Leak(BreachStage::Signup) => {
            ("leak/signup", "Somebody signed up with a password that has leaked.", "signup_pwd_leak")
        }
        Noticed::Leak(BreachStage::ChangePassword) => {
            ("leak/change", "Somebody chose a new password that has leaked.", "pwd_leak")
        }
    };
    let variables = Map::from_iter([
        ("happened".to_owned(), Value::from(happened)),
        ("log_type".to_owned(), log_type.into()),
    ]);
    for (name, seconds) in times(app, tenant, noticed).await? {
        let about = format!("{about}{name}");
        administrators::tell(app, tenant, (&about, seconds), Kind::AttackNoticed, &variables).await?;
    }
    Ok(())
}

/// In which times they are told once, and how those are kept apart; none where no shield says so.
async fn times(
    app: &Model,
    tenant: &TenantId,
    noticed: Noticed,
) -> Result<Vec<(&'static str, i64)>, db::Error> {
    let tells = |shields: &[Shield]| shields.contains(&Shield::AdminNotification);
    let plain = |tells: bool| if tells { vec![("", QUIET)] } else { Vec::new() };
    Ok(match noticed {
        Noticed::Account => plain(tells(&find::<BruteForce>(app, tenant).await?.shields)),
        Noticed::Address => plain(tells(&find::<SuspiciousIp>(app, tenant).await?.shields)),
        Noticed::Leak(stage) => {
            let settings = find::<BreachedPasswords>(app, tenant).await?;
            if !tells(settings.shields_at(stage)) {
                return Ok(Vec::new());
            }
            let known = [
                ("immediately", "", QUIET),
                ("daily", "/daily", 86_400),
                ("weekly", "/weekly", 7 * 86_400),
                ("monthly", "/monthly", 30 * 86_400),
            ];
            let wanted = &settings.admin_notification_frequency;
            let asked = known.into_iter().filter(|(name, ..)| wanted.iter().any(|other| other == name));
            let asked: Vec<_> = asked.map(|(_, about, seconds)| (about, seconds)).collect();
            if asked.is_empty() { plain(true) } else { asked }
        }
    })
}
