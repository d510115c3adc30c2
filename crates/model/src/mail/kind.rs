//! The kinds of letters.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $template:literal;)*) => {
        /// What a letter is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name: `template` in `email-templates`, for the kinds that Auth0 has.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Whether Auth0 has a template of this kind, which a tenant can change.
            pub const fn is_template(self) -> bool {
                match self { $(Self::$name => $template,)* }
            }
        }
    };
}

kinds! {
    /// Asks the user to follow a link that proves the address theirs. Variable: `url`.
    VerifyEmail = "verify_email", true;
    /// The same with a code. Variable: `code`.
    VerifyEmailByCode = "verify_email_by_code", true;
    /// A code to sign in with. Variable: `code`.
    AuthEmailByCode = "auth_email_by_code", true;
    /// A link to sign in with. Variables: `url`, `url_lifetime`.
    AuthEmailByLink = "auth_email_by_link", false;
    /// A link to the page that sets a new password. Variable: `url`.
    ResetEmail = "reset_email", true;
    /// The same with a code. Variable: `code`.
    ResetEmailByCode = "reset_email_by_code", true;
    /// Welcomes a user whose address is proved, or needs no proof.
    WelcomeEmail = "welcome_email", true;
    /// Too many wrong passwords blocked sign-ins from an address. Variables: `url` to lift that, `user.source_ip`.
    BlockedAccount = "blocked_account", true;
    /// The password is known to have leaked. Variable: `url` to set another.
    StolenCredentials = "stolen_credentials", true;
    /// Asks the user to enrol a second factor. Variable: `link`.
    EnrollmentEmail = "enrollment_email", true;
    /// A one-time code as second factor. Variable: `code`.
    MfaOobCode = "mfa_oob_code", true;
    /// A message to a phone: a code as second factor. Variables: `code`, `req`.
    SmsVerification = "sms_verification", false;
    /// A message to a phone: a code that proves the number theirs. Variables: `code`, `req`.
    SmsEnrollment = "sms_enrollment", false;
    /// Invites somebody to an organization. Variable: `url`.
    UserInvitation = "user_invitation", true;
    /// The older name of `reset_email`, whose template is used where only this one is there.
    ChangePassword = "change_password", true;
    /// The classic pages' confirmation of a new password. Variable: `url`.
    PasswordReset = "password_reset", true;
    /// Asks the user to approve what an app asks for in the background. Variable: `url`.
    AsyncApproval = "async_approval", true;
    /// Notice: the password was changed.
    PasswordChanged = "password_changed", false;
    /// Notice to the old address: another one is in its place. Variable: `new_email`, masked by whoever queues it.
    EmailChanged = "email_changed", false;
    /// Notice: a second factor was added. Variable: `factor`, its name as people know it.
    FactorAdded = "factor_added", false;
    /// Notice: a second factor was removed. Variable: `factor`.
    FactorRemoved = "factor_removed", false;
    /// Notice: the recovery code was replaced, or used.
    RecoveryCodeChanged = "recovery_code_changed", false;
    /// Notice: another account was linked. Variable: `account`, as people know it (`GitHub`, an address).
    IdentityLinked = "identity_linked", false;
    /// Notice: a linked account was unlinked. Variable: `account`.
    IdentityUnlinked = "identity_unlinked", false;
    /// Notice: a device was registered. Variable: `device`, its name.
    DeviceRegistered = "device_registered", false;
    /// Notice: a device was removed. Variable: `device`.
    DeviceRemoved = "device_removed", false;
    /// Tells an administrator that an import has ended. Variables: `status`, `inserted`, `updated`, `failed`.
    ImportFinished = "import_finished", false;
    /// Tells an administrator that attack protection did something. Variables: `happened`, a sentence, and `log_type`.
    AttackNoticed = "attack_noticed", false;
}

impl Kind {
    /// Whether it is a message to a phone, and no mail.
    pub const fn is_message(self) -> bool {
        matches!(self, Self::SmsVerification | Self::SmsEnrollment)
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}
