//! Recovery codes: 24 upper-case letters and digits, of which only the SHA-256 is kept, good once.

use db::{Batch, params};

use super::{Factor, Kind};
use crate::app::Model;
use crate::clock::Timestamp;
use crate::ids::{TenantId, UserId};
use crate::random::Random;
use crate::seal::{digest, same};

/// Characters of a code, about 124 bits.
const LENGTH: usize = 24;

/// A new code.
pub fn new(random: &Random) -> String {
    random.upper_alphanumeric(LENGTH)
}

/// A code as a person may type it: in any case, with blanks and hyphens.
pub fn typed(text: &str) -> Option<String> {
    let kept = text.chars().take(128).filter(|char| !char.is_whitespace() && *char != '-');
    let code: String = kept.map(|char| char.to_ascii_uppercase()).collect();
    let fits = code.len() == LENGTH && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then_some(code)
}

impl Factor {
    /// A recovery code of the user, as it is kept.
    pub fn recovery_code(app: &Model, user_id: &UserId, code: &str) -> Self {
        Self { hash: Some(digest(code)), ..Self::confirmed(app, user_id, Kind::RecoveryCode) }
    }

    /// A recovery code that is good once [`confirm`] puts it in the place of the former one: until then it is bound to `purpose`.
    pub fn begin_recovery_code(app: &Model, user_id: &UserId, code: &str, purpose: &str) -> Self {
        Self { hash: Some(digest(code)), ..Self::begin(app, user_id, Kind::RecoveryCode, purpose) }
    }

    /// Whether `code` is this recovery code.
    pub fn is_recovery_code(&self, code: &str) -> bool {
        self.is_good_recovery_code() && self.hash.is_some_and(|hash| same(&hash, &digest(code)))
    }
}

/// Puts a code in the place of the user's former one, whether or not there was any.
pub fn replace(batch: &mut Batch, tenant: &TenantId, factor: &Factor) {
    batch.execute(
        "DELETE FROM factors WHERE tenant = $1 AND user_id = $2 AND kind = $3",
        params![tenant, &factor.user_id, Kind::RecoveryCode.as_str()],
    );
    super::insert(batch, tenant, factor);
}

/// Puts a code that was under way in the place of the user's former one. One that was confirmed or replaced meanwhile is a `Conflict`.
pub fn confirm(batch: &mut Batch, tenant: &TenantId, factor: &Factor, now: Timestamp) {
    batch.execute(
        "DELETE FROM factors WHERE tenant = $1 AND user_id = $2 AND kind = $3 AND confirmed_at IS NOT NULL",
        params![tenant, &factor.user_id, Kind::RecoveryCode.as_str()],
    );
    super::confirm(batch, tenant, factor, 0, now);
}

/// Spends a code, once: it stays as a row that no code opens until the next one takes its place. Of two racing sign-ins with
/// one code the other is a `Conflict`.
pub fn spend(batch: &mut Batch, tenant: &TenantId, factor: &Factor, now: Timestamp) {
    batch
        .execute(
            "UPDATE factors SET hash = $1, last_auth_at = $2 WHERE tenant = $3 AND id = $4 AND hash = $5",
            params![None::<Vec<u8>>, now, tenant, &factor.id, factor.hash],
        )
        .expect(1);
}

impl Factor {
    /// Whether it is a recovery code that can be given: neither one under way, nor one that was used and has no follower yet.
    pub fn is_good_recovery_code(&self) -> bool {
        self.kind == Kind::RecoveryCode && self.is_confirmed() && self.hash.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_24_upper_case_letters_and_digits_however_it_is_typed() {
        let code = new(&Random::seeded(1));
        assert_eq!(typed(&code).as_deref(), Some(&*code));
        let spaced: String = code.to_lowercase().chars().flat_map(|char| [char, ' ']).collect();
        assert_eq!(typed(&spaced).as_deref(), Some(&*code));
        for bad in ["", "ABC", &code[1..], &format!("{code}A"), &code.replace(&code[..1], "é")] {
            assert_eq!(typed(bad), None, "{bad}");
        }
    }
}
