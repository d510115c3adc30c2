//! Every page with samples, hostile ones included.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use http_body_util::BodyExt;

use super::super::*;

/// What nobody may get onto a page as markup.
pub const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&{{7*7}}${state}";

pub struct Rendered {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub body: String,
}

impl Rendered {
    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn policy(&self) -> &str {
        self.header(header::CONTENT_SECURITY_POLICY)
    }

    #[track_caller]
    pub fn has(&self, markup: &str) -> &Self {
        assert!(self.body.contains(markup), "{markup} is missing in {}", self.body);
        self
    }

    #[track_caller]
    pub fn lacks(&self, markup: &str) -> &Self {
        assert!(!self.body.contains(markup), "{markup} is in {}", self.body);
        self
    }
}

pub async fn read(response: Response<Body>) -> Rendered {
    let (parts, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Rendered { status: parts.status, headers: parts.headers, body }
}

pub async fn render(page: impl IntoResponse) -> Rendered {
    read(page.into_response()).await
}

pub fn look(name: &str) -> Look {
    Look::plain(name, None, None, None, None, "en")
}

pub fn login(text: &str) -> LoginPage {
    LoginPage {
        look: look(text),
        client_name: text.into(),
        client_logo: Some(text.into()),
        links: ClientLinks { policy: Some(text.into()), terms: Some("https://app.test/terms".into()) },
        state: text.into(),
        csrf: text.into(),
        username: text.into(),
        with_usernames: false,
        error: None,
        reset_url: Some("/u/reset-password/request/db?state=s".into()),
        signup_url: Some("/u/signup?state=s".into()),
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn signup(text: &str) -> SignupPage {
    SignupPage {
        look: look(text),
        client_name: text.into(),
        state: text.into(),
        csrf: text.into(),
        email: text.into(),
        username: Some(text.into()),
        hints: vec![
            PasswordHint::Length(8),
            PasswordHint::LowerUpperNumber,
            PasswordHint::ThreeKinds,
            PasswordHint::NoRepeats,
        ],
        broken: vec![],
        errors: vec![],
        login_url: "/u/login?state=s".into(),
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn consent(text: &str) -> ConsentPage {
    let line = |value: &str| ScopeLine { value: value.into(), description: None };
    ConsentPage {
        look: look(text),
        client_name: text.into(),
        client_logo: Some(text.into()),
        links: ClientLinks { policy: Some("https://app.test/privacy".into()), terms: Some(text.into()) },
        user_label: text.into(),
        api_name: Some(text.into()),
        scopes: vec![
            line("openid"),
            line(text),
            line("read:order_items"),
            line("delete:order_items"),
            ScopeLine { value: "x".into(), description: Some(text.into()) },
            line("read:current_user"),
            line("offline_access"),
        ],
        details: vec![(text.into(), vec![text.into()])],
        state: text.into(),
        csrf: text.into(),
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn reset_request(text: &str) -> ResetRequestPage {
    ResetRequestPage {
        look: look(text),
        path: "/u/reset-password/request/db".into(),
        state: text.into(),
        csrf: text.into(),
        email: text.into(),
        with_usernames: false,
        is_missing: false,
        login_url: "/u/login?state=s".into(),
    }
}

pub fn reset_password(text: &str) -> ResetPasswordPage {
    ResetPasswordPage {
        look: look(text),
        ticket: text.into(),
        csrf: text.into(),
        user_label: text.into(),
        hints: vec![PasswordHint::Length(8)],
        error: None,
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn verify_email(text: &str) -> VerifyEmailPage {
    VerifyEmailPage {
        look: look(text),
        ticket: text.into(),
        csrf: text.into(),
        email: text.into(),
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn message(text: &str, message: Message) -> MessagePage {
    MessagePage { look: look(text), message, continue_url: Some(text.into()) }
}

pub const MESSAGES: [Message; 5] = [
    Message::ResetSent,
    Message::PasswordChanged,
    Message::EmailVerified,
    Message::ResetEnded,
    Message::VerificationEnded,
];

pub fn logout(text: &str) -> LogoutConfirmPage {
    LogoutConfirmPage {
        look: look(text),
        client_name: Some(text.into()),
        user_label: Some(text.into()),
        action_url: "/oidc/logout".into(),
        params: vec![("state".into(), text.into())],
        csrf: text.into(),
        form_targets: FormTargets::default(),
    }
}

pub fn code(text: &str, way: LoginWay) -> CodePage {
    CodePage {
        look: look(text),
        way,
        path: match way {
            LoginWay::Otp => "/u/mfa-otp-challenge",
            LoginWay::Sms => "/u/mfa-sms-challenge",
            LoginWay::Email => "/u/mfa-email-challenge",
            LoginWay::RecoveryCode => "/u/mfa-recovery-code-challenge",
        },
        address: text.into(),
        state: text.into(),
        csrf: text.into(),
        pause: 17,
        remembers: way != LoginWay::RecoveryCode,
        edit_url: None,
        error: None,
        options_url: Some("/u/mfa-login-options?state=s".into()),
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn otp_enrollment(text: &str) -> OtpEnrollmentPage {
    OtpEnrollmentPage {
        look: look(text),
        uri: model::factors::totp::key_uri(text, text, b"12345678901234567890"),
        secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".into(),
        path: "/u/mfa-otp-enrollment",
        state: text.into(),
        csrf: text.into(),
        error: None,
        options_url: Some("/u/mfa-enroll-options?state=s".into()),
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn sms_enrollment(text: &str) -> SmsEnrollmentPage {
    SmsEnrollmentPage {
        look: look(text),
        path: "/u/mfa-sms-enrollment",
        number: text.into(),
        state: text.into(),
        csrf: text.into(),
        error: None,
        options_url: Some("/u/mfa-enroll-options?state=s".into()),
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn recovery_code(text: &str, goes_on: bool) -> RecoveryCodePage {
    RecoveryCodePage {
        look: look(text),
        code: "32YCGV1JUE9G7MDJ71UTN12W".into(),
        form: goes_on.then(|| (text.into(), text.into())),
        unsaved: false,
        form_targets: FormTargets::new("https://app.test", []),
    }
}

pub fn passwordless_link(text: &str) -> PasswordlessLinkPage {
    PasswordlessLinkPage {
        look: look(text),
        client_name: text.into(),
        address: text.into(),
        code: text.into(),
        state: text.into(),
        csrf: text.into(),
        error: None,
        form_targets: FormTargets::default(),
    }
}

pub fn device_code(text: &str) -> DeviceCodePage {
    DeviceCodePage { look: look(text), user_code: text.into(), csrf: text.into(), error: None }
}

pub fn device_confirm(text: &str) -> DeviceConfirmPage {
    DeviceConfirmPage {
        look: look(text),
        client_name: text.into(),
        client_logo: Some(text.into()),
        user_code: text.into(),
        csrf: text.into(),
        state: text.into(),
    }
}

pub fn error(text: &str) -> ErrorPage {
    ErrorPage::new(look(text), ErrorKind::InvalidRequest)
        .with_error(text, text)
        .with_detail(text)
        .with_tracking(text)
        .with_start_again(text)
}

pub fn form_post(text: &str) -> FormPostPage {
    FormPostPage {
        form_targets: FormTargets::new("https://app.test/cb", []),
        look: look(text),
        action: "https://app.test/cb?a=1&b=2".into(),
        params: vec![("code".into(), "c".into()), ("state".into(), text.into())],
    }
}

pub fn passwordless(text: &str, by_sms: bool) -> PasswordlessPage {
    PasswordlessPage {
        look: look(text),
        client_name: text.into(),
        by_sms,
        address: text.into(),
        state: text.into(),
        csrf: text.into(),
        error: None,
        form_targets: FormTargets::new("https://app.test/cb", []),
    }
}

pub fn passwordless_code(text: &str, by_sms: bool) -> PasswordlessCodePage {
    PasswordlessCodePage {
        look: look(text),
        client_name: text.into(),
        by_sms,
        address: text.into(),
        pause: 7,
        state: text.into(),
        csrf: text.into(),
        error: None,
        back_url: "/u/passwordless?state=s".into(),
        form_targets: FormTargets::new("https://app.test/cb", []),
    }
}

pub fn authorization_requests(text: &str, notice: Option<RequestsNotice>) -> AuthorizationRequestsPage {
    let request = AuthorizationRequest {
        id: text.into(),
        client_name: text.into(),
        binding_message: text.into(),
        audience: Some(text.into()),
        scopes: vec![text.into()],
    };
    AuthorizationRequestsPage {
        look: look(text),
        user: Some(text.into()),
        requests: vec![request],
        csrf: text.into(),
        notice,
    }
}

pub fn cross_origin(text: &str) -> CrossOriginPage {
    CrossOriginPage {
        look: look(text),
        page: format!("https://app.test/co#origin={text}"),
        origin: "https://app.test".into(),
        verifier_id: text.into(),
        state: text.into(),
        csrf: text.into(),
        form_targets: FormTargets::new("https://app.test/cb", []),
    }
}

/// The pages that people see, each with `text` wherever a stranger's text can stand.
pub async fn all(text: &str) -> Vec<Rendered> {
    let mut failed = login(text);
    failed.error = Some(LoginError::WrongCredentials);
    let mut refused = signup(text);
    refused.errors = vec![SignupError::InvalidEmail, SignupError::WeakPassword];
    let mut wrong = otp_enrollment(text);
    wrong.error = Some(CodeError::Wrong);
    let ways = vec![(LoginWay::Otp, text.to_owned()), (LoginWay::RecoveryCode, "/u/x".into())];
    let mut missing = reset_request(text);
    missing.is_missing = true;
    let mut weak = reset_password(text);
    weak.error = Some(ResetError::WeakPassword);
    let mut pages = vec![
        render(reset_request(text)).await,
        render(missing).await,
        render(reset_password(text)).await,
        render(weak).await,
        render(verify_email(text)).await,
    ];
    for one in MESSAGES {
        pages.push(render(message(text, one)).await);
    }
    pages.extend([
        render(code(text, LoginWay::Otp)).await,
        render(code(text, LoginWay::Sms)).await,
        render(CodePage { edit_url: Some(text.into()), ..code(text, LoginWay::Sms) }).await,
        render(sms_enrollment(text)).await,
        render(SmsEnrollmentPage { error: Some(PhoneError::NoNumber), ..sms_enrollment(text) }).await,
        render(code(text, LoginWay::Email)).await,
        render(code(text, LoginWay::RecoveryCode)).await,
        render(otp_enrollment(text)).await,
        render(wrong).await,
        render(recovery_code(text, true)).await,
        render(recovery_code(text, false)).await,
        render(RecoveryCodePage { code: String::new(), ..recovery_code(text, false) }).await,
        render(LoginOptionsPage { look: look(text), ways: ways.clone(), enrolling: true }).await,
        render(LoginOptionsPage { look: look(text), ways, enrolling: false }).await,
        render(login(text)).await,
        render(failed).await,
        render(signup(text)).await,
        render(refused).await,
        render(consent(text)).await,
        render(logout(text)).await,
        render(passwordless_link(text)).await,
        render(PasswordlessLinkPage { error: Some(LinkError::Over), ..passwordless_link(text) }).await,
        render(device_code(text)).await,
        render(DeviceCodePage { error: Some(DeviceError::Wrong), ..device_code(text) }).await,
        render(device_confirm(text)).await,
        render(DeviceEndPage { look: look(text), how: DeviceEnd::Allowed }).await,
        render(DeviceEndPage { look: look(text), how: DeviceEnd::Denied }).await,
        render(DeviceEndPage { look: look(text), how: DeviceEnd::Over }).await,
        render(LoggedOutPage { look: look(text) }).await,
        render(UnblockPage { look: look(text), what: Unblock::Ask { ticket: text.into() } }).await,
        render(error(text)).await,
        render(form_post(text)).await,
        render(cross_origin(text)).await,
        render(authorization_requests(text, None)).await,
        render(authorization_requests(text, Some(RequestsNotice::Over))).await,
        render(authorization_requests(text, Some(RequestsNotice::Allowed))).await,
        render(AuthorizationRequestsPage {
            user: None,
            requests: vec![],
            ..authorization_requests(text, None)
        })
        .await,
        render(passwordless(text, false)).await,
        render(PasswordlessPage { error: Some(StartProblem::NoAddress), ..passwordless(text, true) }).await,
        render(passwordless_code(text, true)).await,
        render(PasswordlessCodePage { error: Some(CodeProblem::Wrong), ..passwordless_code(text, false) })
            .await,
    ]);
    pages
}
