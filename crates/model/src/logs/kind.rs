//! The kinds of events, by Auth0's type codes.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The `type` of the log entry.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

kinds! {
    /// A login.
    Login = "s",
    /// A login that failed for another reason than those below.
    FailedLogin = "f",
    /// A wrong password.
    WrongPassword = "fp",
    /// An unknown username or e-mail address.
    UnknownUser = "fu",
    /// A login without a prompt, from the session.
    SilentLogin = "ssa",
    /// A login without a prompt that was not possible.
    FailedSilentLogin = "fsa",
    /// A login on a page of the app's own.
    CrossOriginLogin = "scoa",
    /// A refused login on a page of the app's own.
    FailedCrossOriginLogin = "fcoa",
    /// A sign-up.
    Signup = "ss",
    /// A refused sign-up.
    FailedSignup = "fs",
    /// A logout.
    Logout = "slo",
    /// A refused logout.
    FailedLogout = "flo",
    /// A client told of a logout.
    BackchannelLogout = "oidc_backchannel_logout_succeeded",
    /// A client that could not be told of a logout.
    FailedBackchannelLogout = "oidc_backchannel_logout_failed",
    /// A successful write to the Management API.
    ApiOperation = "sapi",
    /// A refused call of the Management API.
    FailedApiOperation = "fapi",
    /// A read of secrets through the Management API.
    ApiRead = "mgmt_api_read",
    /// The Management API's rate limit was met.
    ApiLimit = "api_limit",
    /// An authorization code exchanged for tokens.
    CodeExchange = "seacft",
    /// A refused authorization code.
    FailedCodeExchange = "feacft",
    /// Client credentials exchanged for a token.
    ClientCredentials = "seccft",
    /// Refused client credentials.
    FailedClientCredentials = "feccft",
    /// A password exchanged for tokens.
    PasswordExchange = "sepft",
    /// A refused password at the token endpoint.
    FailedPasswordExchange = "fepft",
    /// A refresh token exchanged for tokens.
    RefreshExchange = "sertft",
    /// A refused refresh token.
    FailedRefreshExchange = "fertft",
    /// A rotated refresh token used again: its family is revoked.
    RefreshTokenReuse = "ferrt",
    /// A refresh token revoked.
    RefreshTokenRevoked = "srrt",
    /// A token exchanged for one for another API.
    TokenExchange = "secte",
    /// A token that was not exchanged.
    FailedTokenExchange = "fecte",
    /// A device's code exchanged for tokens.
    DeviceExchange = "sede",
    /// A device's code that was refused.
    FailedDeviceExchange = "fede",
    /// A refused device code request.
    FailedDeviceAuthorization = "fdeaz",
    /// A device's activation that failed.
    FailedDeviceActivation = "fdeac",
    /// A device's activation that the user declined.
    DeviceActivationDeclined = "fdecc",
    /// An app asked a person, who is elsewhere, to let it in.
    BackchannelStarted = "ciba_start_succeeded",
    /// An app that may not ask a person.
    FailedBackchannelStart = "ciba_start_failed",
    /// An app that was let in came for its tokens.
    BackchannelExchange = "ciba_exchange_succeeded",
    /// An app that was not let in, or may not come for its tokens.
    FailedBackchannelExchange = "ciba_exchange_failed",
    /// A person who said no to an app.
    FactorRejected = "gd_auth_rejected",
    /// An e-mail address verified.
    EmailVerified = "sv",
    /// An e-mail address not verified.
    FailedEmailVerification = "fv",
    /// A verification mail asked for.
    VerificationMail = "svr",
    /// A verification mail that could not be asked for.
    FailedVerificationMail = "fvr",
    /// A password changed.
    PasswordChanged = "scp",
    /// A password that could not be changed.
    FailedPasswordChange = "fcp",
    /// A password change asked for.
    PasswordChangeRequested = "scpr",
    /// A password change that could not be asked for.
    FailedPasswordChangeRequest = "fcpr",
    /// An e-mail address changed.
    EmailChanged = "sce",
    /// An e-mail address that could not be changed.
    FailedEmailChange = "fce",
    /// A username changed.
    UsernameChanged = "scu",
    /// A phone number changed.
    PhoneChanged = "scpn",
    /// A user deleted.
    UserDeleted = "sdu",
    /// A user that could not be deleted.
    FailedUserDeletion = "fdu",
    /// A one-time code sent.
    CodeSent = "cs",
    /// A one-time link sent.
    LinkSent = "cls",
    /// An account blocked after too many failed logins from an address.
    AccountBlocked = "limit_wc",
    /// An address blocked after too many failed logins or sign-ups.
    AddressBlocked = "limit_mu",
    /// A user blocked from too frequent logins.
    UserLimited = "limit_sul",
    /// A login with a password that is known to have leaked.
    LeakedPassword = "pwd_leak",
    /// A sign-up with a password that is known to have leaked.
    LeakedSignupPassword = "signup_pwd_leak",
    /// A block lifted.
    BlockReleased = "ublkdu",
    /// Users imported.
    Import = "sui",
    /// An import that failed.
    FailedImport = "fui",
    /// A second factor enrolled.
    FactorEnrolled = "gd_enrollment_complete",
    /// A second factor asked for.
    FactorStarted = "gd_start_auth",
    /// A second factor given.
    FactorSucceeded = "gd_auth_succeed",
    /// A wrong second factor.
    FactorFailed = "gd_auth_failed",
    /// Too many wrong one-time codes.
    FactorLimited = "gd_otp_rate_limit_exceed",
    /// A recovery code used.
    RecoverySucceeded = "gd_recovery_succeed",
    /// A second factor removed.
    FactorRemoved = "gd_unenroll",
    /// A one-time code sent by SMS.
    FactorSms = "gd_send_sms",
    /// A one-time code sent by e-mail.
    FactorMail = "gd_send_email",
    /// A second factor required by policy.
    FactorRequired = "mfar",
    /// A deprecated feature used.
    DeprecationNotice = "depnote",
    /// A warning during a login.
    Warning = "w",
    /// A notification that could not be sent.
    FailedNotification = "fn",
    /// An invitation accepted.
    InvitationAccepted = "si",
    /// An invitation that could not be accepted.
    FailedInvitation = "fi",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Kind;

    #[test]
    fn no_two_kinds_share_a_code() {
        let codes: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
    }
}
