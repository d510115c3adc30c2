//! The categories that streams filter by, as Auth0's documentation lists the types of events.

/// What a priority stream takes: attacks, and what was done against them.
pub(super) const SECURITY: &str = "security";

const SECURITY_TYPES: [&str; 8] = [
    "limit_mu",
    "limit_wc",
    "limit_sul",
    "pwd_leak",
    "signup_pwd_leak",
    "ublkdu",
    "ferrt",
    "gd_otp_rate_limit_exceed",
];

/// The category of events of this type.
pub fn of(code: &str) -> &'static str {
    match code {
        "f" | "fp" | "fu" | "fc" | "fco" | "fcoa" | "fens" => "auth.login.fail",
        "w" | "limit_mu" | "limit_wc" | "limit_sul" | "pwd_leak" => "auth.login.notification",
        "s" | "scoa" => "auth.login.success",
        "flo" | "oidc_backchannel_logout_failed" => "auth.logout.fail",
        "slo" | "oidc_backchannel_logout_succeeded" => "auth.logout.success",
        "fs" | "signup_pwd_leak" => "auth.signup.fail",
        "ss" => "auth.signup.success",
        "fsa" => "auth.silent_auth.fail",
        "ssa" => "auth.silent_auth.success",
        "feacft"
        | "feccft"
        | "fepft"
        | "fertft"
        | "ferrt"
        | "fede"
        | "ciba_exchange_failed"
        | "feoobft"
        | "feotpft"
        | "fercft" => "auth.token_exchange.fail",
        "seacft"
        | "seccft"
        | "sepft"
        | "sertft"
        | "sede"
        | "ciba_exchange_succeeded"
        | "seoobft"
        | "seotpft"
        | "sercft" => "auth.token_exchange.success",
        "fapi" => "management.fail",
        "sapi" | "mgmt_api_read" => "management.success",
        "api_limit" | "depnote" | "fn" | "sui" | "fui" => "system.notification",
        "fv" | "fvr" | "fcp" | "fcpr" | "fce" | "fdu" | "fi" => "user.fail",
        "scpr" | "svr" | "ublkdu" | "cs" | "cls" => "user.notification",
        "sv" | "scp" | "sce" | "scu" | "scpn" | "sdu" | "si" => "user.success",
        _ => "other",
    }
}

/// Whether a filter of this name takes events of this type.
pub(super) fn takes(filter: &str, code: &str) -> bool {
    match filter {
        SECURITY => SECURITY_TYPES.contains(&code),
        category => of(code) == category,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::Kind;

    #[test]
    fn every_kind_of_a_sign_in_has_its_category() {
        for kind in [Kind::Login, Kind::WrongPassword, Kind::CodeExchange, Kind::Signup, Kind::ApiOperation] {
            assert_ne!(of(kind.code()), "other", "{}", kind.code());
        }
        assert!(takes(SECURITY, Kind::AccountBlocked.code()) && !takes(SECURITY, Kind::Login.code()));
        assert!(takes("auth.login.fail", "fp") && !takes("auth.login.fail", "s"));
    }
}
