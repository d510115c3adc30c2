//! Serves every hosted page with samples, to look at: `cargo run -p auth --example pages [ADDRESS:PORT]`.
//!
//! `?primary=%23ff0000&background=%23222221&logo=https://…` shows them in a tenant's colours.

use std::time::Duration;

use auth::pages::{
    AuthorizationRequest, AuthorizationRequestsPage, ClientLinks, CodeError, CodePage, ConsentPage,
    DeviceCodePage, DeviceConfirmPage, DeviceEnd, DeviceEndPage, DeviceError, ErrorKind, ErrorPage, Footer,
    FormPostPage, FormTargets, LoggedOutPage, LoginError, LoginOptionsPage, LoginPage, LoginWay,
    LogoutConfirmPage, Look, Message, MessagePage, OtpEnrollmentPage, PasswordHint, PasswordlessCodePage,
    PasswordlessLinkPage, PasswordlessPage, RecoveryCodePage, ResetError, ResetPasswordPage,
    ResetRequestPage, ScopeLine, SignupError, SignupPage, SmsEnrollmentPage, Unblock, UnblockPage,
    VerifyEmailPage, WebMessagePage, assets,
};
use axum::Router;
use axum::extract::{Path, Query};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

const NAMES: &[&str] = &[
    "login",
    "login-hint",
    "login-error",
    "signup",
    "signup-error",
    "mfa-otp-challenge",
    "mfa-sms-challenge",
    "mfa-email-challenge",
    "mfa-recovery-code-challenge",
    "mfa-otp-enrollment",
    "mfa-sms-enrollment",
    "mfa-recovery-code-enrollment",
    "mfa-login-options",
    "reset-request",
    "reset-password",
    "reset-password-error",
    "reset-sent",
    "password-changed",
    "reset-ended",
    "verify-email",
    "passwordless",
    "passwordless-sms",
    "passwordless-code",
    "passwordless-link",
    "authorization-requests",
    "device-code",
    "device-code-wrong",
    "device-confirmation",
    "device-connected",
    "consent",
    "consent-long",
    "error",
    "error-plain",
    "logout",
    "logged-out",
    "unblock",
    "form-post",
    "web-message",
];

#[derive(Deserialize)]
struct Colours {
    primary: Option<String>,
    background: Option<String>,
    logo: Option<String>,
    name: Option<String>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8099".to_owned());
    let app = Router::new()
        .route("/", get(index))
        .route("/{name}", get(page))
        .route("/u/{name}", post(slowly))
        .merge(assets::routes());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await
}

async fn index() -> Html<String> {
    Html(NAMES.iter().map(|name| format!("<p><a href=\"/{name}\">{name}</a>")).collect())
}

/// Takes its time, so that the button can be seen to rest.
async fn slowly(body: String) -> String {
    tokio::time::sleep(Duration::from_secs(2)).await;
    body
}

async fn page(Path(name): Path<String>, Query(colours): Query<Colours>) -> Response {
    let look = look(&colours);
    match &*name {
        "login" => login(look, "", None).into_response(),
        "login-hint" => login(look, "alice@example.com", None).into_response(),
        "login-error" => login(look, "alice@example.com", Some(LoginError::WrongCredentials)).into_response(),
        "signup" => signup(look, Vec::new()).into_response(),
        "signup-error" => {
            signup(look, vec![SignupError::InvalidEmail, SignupError::WeakPassword]).into_response()
        }
        "mfa-otp-challenge" => code(look, LoginWay::Otp, None).into_response(),
        "mfa-sms-challenge" => code(look, LoginWay::Sms, None).into_response(),
        "mfa-sms-enrollment" => SmsEnrollmentPage {
            look,
            path: "/u/mfa-sms-enrollment",
            number: String::new(),
            state: "state".to_owned(),
            csrf: "csrf".to_owned(),
            error: None,
            options_url: Some("/mfa-login-options".to_owned()),
            form_targets: FormTargets::default(),
        }
        .into_response(),
        "mfa-email-challenge" => code(look, LoginWay::Email, None).into_response(),
        "mfa-recovery-code-challenge" => {
            code(look, LoginWay::RecoveryCode, Some(CodeError::Wrong)).into_response()
        }
        "mfa-otp-enrollment" => OtpEnrollmentPage {
            uri: model::factors::totp::key_uri(&look.tenant_name, "alice@example.com", SEED),
            secret: model::factors::totp::encode(SEED),
            look,
            path: "/u/mfa-otp-enrollment",
            state: "state".to_owned(),
            csrf: "csrf".to_owned(),
            error: None,
            options_url: None,
            form_targets: FormTargets::default(),
        }
        .into_response(),
        "mfa-recovery-code-enrollment" => RecoveryCodePage {
            look,
            code: "32YCGV1JUE9G7MDJ71UTN12W".to_owned(),
            form: Some(("state".to_owned(), "csrf".to_owned())),
            unsaved: false,
            form_targets: FormTargets::default(),
        }
        .into_response(),
        "mfa-login-options" => LoginOptionsPage {
            look,
            ways: [LoginWay::Otp, LoginWay::Sms, LoginWay::Email, LoginWay::RecoveryCode]
                .map(|way| (way, "/mfa-otp-challenge".to_owned()))
                .to_vec(),
            enrolling: false,
        }
        .into_response(),
        "reset-request" => ResetRequestPage {
            look,
            path: "/u/reset-password/request/db".to_owned(),
            state: "state".to_owned(),
            csrf: "csrf".to_owned(),
            email: String::new(),
            with_usernames: false,
            is_missing: false,
            login_url: "/login".to_owned(),
        }
        .into_response(),
        "reset-password" => reset(look, None).into_response(),
        "reset-password-error" => reset(look, Some(ResetError::WeakPassword)).into_response(),
        "reset-sent" => message(look, Message::ResetSent).into_response(),
        "password-changed" => message(look, Message::PasswordChanged).into_response(),
        "reset-ended" => {
            MessagePage { look, message: Message::ResetEnded, continue_url: None }.into_response()
        }
        "verify-email" => VerifyEmailPage {
            look,
            ticket: "ticket".to_owned(),
            csrf: "csrf".to_owned(),
            email: "alice@example.com".to_owned(),
            form_targets: FormTargets::default(),
        }
        .into_response(),
        "passwordless" => passwordless(look, false).into_response(),
        "passwordless-sms" => passwordless(look, true).into_response(),
        "passwordless-code" => PasswordlessCodePage {
            look,
            client_name: "Acme Shop".to_owned(),
            by_sms: false,
            address: "alice@example.com".to_owned(),
            pause: 20,
            state: "state".to_owned(),
            csrf: "csrf".to_owned(),
            error: None,
            back_url: "/passwordless".to_owned(),
            form_targets: FormTargets::default(),
        }
        .into_response(),
        "authorization-requests" => AuthorizationRequestsPage {
            look,
            user: Some("alice@example.com".to_owned()),
            requests: vec![AuthorizationRequest {
                id: "id".to_owned(),
                client_name: "Acme Bank, counter 4".to_owned(),
                binding_message: "Transfer 250 EUR - KX7Q".to_owned(),
                audience: Some("https://payments.example.com".to_owned()),
                scopes: vec!["openid".to_owned(), "pay:invoices".to_owned()],
            }],
            csrf: "csrf".to_owned(),
            notice: None,
        }
        .into_response(),
        "passwordless-link" => PasswordlessLinkPage {
            look,
            client_name: "Acme Shop".to_owned(),
            address: "alice@example.com".to_owned(),
            code: "code".to_owned(),
            state: "state".to_owned(),
            csrf: "csrf".to_owned(),
            error: None,
            form_targets: FormTargets::default(),
        }
        .into_response(),
        "device-code" => device_code(look, None).into_response(),
        "device-code-wrong" => device_code(look, Some(DeviceError::Wrong)).into_response(),
        "device-confirmation" => DeviceConfirmPage {
            look,
            client_name: "Acme TV".to_owned(),
            client_logo: None,
            user_code: "QTZL-MCBW".to_owned(),
            csrf: "csrf".to_owned(),
            state: "state".to_owned(),
        }
        .into_response(),
        "device-connected" => DeviceEndPage { look, how: DeviceEnd::Allowed }.into_response(),
        "consent" => consent(
            look,
            &[
                ("openid", None),
                ("profile", None),
                ("email", None),
                ("read:current_user", None),
                ("update:current_user_metadata", None),
            ],
        )
        .into_response(),
        "consent-long" => consent(
            look,
            &[
                ("openid", None),
                ("offline_access", None),
                ("read:orders", None),
                ("write:orders", None),
                ("read:billing_addresses", None),
                ("refunds", None),
                ("ship:parcels", Some("Book parcels in your name")),
            ],
        )
        .into_response(),
        "error" => ErrorPage::new(look, ErrorKind::CallbackMismatch)
            .with_error(
                "invalid_request",
                "Callback URL mismatch. The redirect_uri is not in the list of allowed callback URLs.",
            )
            .with_detail("https://evil.example/\"><script>alert(document.domain)</script>/a/rather/long/path")
            .with_tracking("90020261123132141887654000000000000001223372036854775807")
            .into_response(),
        "error-plain" => ErrorPage::new(look, ErrorKind::Expired)
            .with_start_again("https://app.example.com/")
            .into_response(),
        "logout" => LogoutConfirmPage {
            look,
            client_name: Some("Acme Shop".to_owned()),
            user_label: Some("alice@example.com".to_owned()),
            action_url: "/u/logout".to_owned(),
            params: vec![("state".to_owned(), "s".to_owned())],
            csrf: "csrf".to_owned(),
            form_targets: FormTargets::default(),
        }
        .into_response(),
        "logged-out" => LoggedOutPage { look }.into_response(),
        "unblock" => UnblockPage { look, what: Unblock::Ask { ticket: "ticket".to_owned() } }.into_response(),
        "form-post" => FormPostPage {
            form_targets: FormTargets::default(),
            look,
            action: "http://127.0.0.1:8099/u/callback".to_owned(),
            params: vec![
                ("code".to_owned(), "abc".to_owned()),
                ("state".to_owned(), "\"><script>".to_owned()),
            ],
        }
        .into_response(),
        "web-message" => WebMessagePage {
            target_origin: "http://127.0.0.1:8099".to_owned(),
            response: [("code".to_owned(), "abc".into()), ("state".to_owned(), "</script>".into())]
                .into_iter()
                .collect(),
            relay: None,
        }
        .into_response(),
        _ => ErrorPage::new(look, ErrorKind::NotFound).into_response(),
    }
}

fn look(colours: &Colours) -> Look {
    let mut look = Look::plain(
        colours.name.as_deref().unwrap_or("Acme"),
        colours.logo.as_deref(),
        None,
        colours.primary.as_deref(),
        colours.background.as_deref(),
        "en",
    );
    look.footer = Footer {
        help: None,
        privacy: Some("https://example.com/privacy".to_owned()),
        terms: Some("https://example.com/terms".to_owned()),
    };
    look
}

fn login(look: Look, username: &str, error: Option<LoginError>) -> LoginPage {
    LoginPage {
        look,
        client_name: "Acme Shop".to_owned(),
        client_logo: None,
        links: ClientLinks::default(),
        state: "state".to_owned(),
        csrf: "csrf".to_owned(),
        username: username.to_owned(),
        with_usernames: false,
        error,
        reset_url: Some("/reset-request".to_owned()),
        signup_url: Some("/signup".to_owned()),
        form_targets: FormTargets::new("https://shop.example.com", []),
    }
}

fn signup(look: Look, errors: Vec<SignupError>) -> SignupPage {
    SignupPage {
        look,
        client_name: "Acme Shop".to_owned(),
        state: "state".to_owned(),
        csrf: "csrf".to_owned(),
        email: if errors.is_empty() { String::new() } else { "alice@".to_owned() },
        username: None,
        hints: vec![PasswordHint::Length(8), PasswordHint::LowerUpperNumber],
        broken: if errors.is_empty() { vec![] } else { vec![PasswordHint::LowerUpperNumber] },
        errors,
        login_url: "/login".to_owned(),
        form_targets: FormTargets::default(),
    }
}

fn passwordless(look: Look, by_sms: bool) -> PasswordlessPage {
    PasswordlessPage {
        look,
        client_name: "Acme Shop".to_owned(),
        by_sms,
        address: String::new(),
        state: "state".to_owned(),
        csrf: "csrf".to_owned(),
        error: None,
        form_targets: FormTargets::default(),
    }
}

fn reset(look: Look, error: Option<ResetError>) -> ResetPasswordPage {
    ResetPasswordPage {
        look,
        ticket: "ticket".to_owned(),
        csrf: "csrf".to_owned(),
        user_label: "alice@example.com".to_owned(),
        hints: vec![PasswordHint::Length(8), PasswordHint::ThreeKinds],
        error,
        form_targets: FormTargets::default(),
    }
}

fn message(look: Look, message: Message) -> MessagePage {
    MessagePage { look, message, continue_url: Some("/login".to_owned()) }
}

/// The seed of RFC 6238's examples.
const SEED: &[u8] = b"12345678901234567890";

fn code(look: Look, way: LoginWay, error: Option<CodeError>) -> CodePage {
    CodePage {
        look,
        way,
        path: "/u/mfa-otp-challenge",
        address: if way == LoginWay::Sms { "XXXXXXXXX9167" } else { "al***@example.com" }.to_owned(),
        state: "state".to_owned(),
        csrf: "csrf".to_owned(),
        pause: 20,
        remembers: way != LoginWay::RecoveryCode,
        edit_url: None,
        error,
        options_url: Some("/mfa-login-options".to_owned()),
        form_targets: FormTargets::default(),
    }
}

fn device_code(look: Look, error: Option<DeviceError>) -> DeviceCodePage {
    DeviceCodePage { look, user_code: String::new(), csrf: "csrf".to_owned(), error }
}

fn consent(look: Look, scopes: &[(&str, Option<&str>)]) -> ConsentPage {
    ConsentPage {
        look,
        client_name: "Acme Shop".to_owned(),
        client_logo: None,
        links: ClientLinks::default(),
        user_label: "alice@example.com".to_owned(),
        api_name: Some("Orders".to_owned()),
        scopes: scopes
            .iter()
            .map(|(value, description)| ScopeLine {
                value: (*value).to_owned(),
                description: description.map(str::to_owned),
            })
            .collect(),
        details: Vec::new(),
        state: "state".to_owned(),
        csrf: "csrf".to_owned(),
        form_targets: FormTargets::new("https://shop.example.com", []),
    }
}
