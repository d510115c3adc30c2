//! What the pages hold, and what nobody gets onto them.

mod samples;

use axum::body::Body;
use axum::http::{Request, StatusCode};

use samples::*;

use super::*;

#[tokio::test]
async fn no_value_becomes_markup() {
    for page in all(HOSTILE).await {
        page.lacks("<script>alert").lacks("<img src=x").lacks("onerror=alert(2)>");
        // Only our own elements: one script at most, and nothing with a handler or a style of its own.
        assert!(page.body.matches("<script").count() <= 1, "{}", page.body);
        for attribute in [" style=", " onload=", " onclick=", " onsubmit="] {
            page.lacks(attribute);
        }
        page.lacks("javascript:");
    }
}

#[tokio::test]
async fn every_page_stays_alone_in_its_window() {
    for page in all("Acme").await {
        let policy = page.policy();
        for directive in
            ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"]
        {
            assert!(policy.split("; ").any(|part| part.starts_with(directive)), "{directive}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.header("cache-control").contains("no-store"));
        // A sign-in in a popup ends with a message to its opener.
        assert_eq!(page.header("cross-origin-opener-policy"), "");
        page.has("<html lang=\"en\">")
            .has("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    }
}

#[tokio::test]
async fn inline_content_is_what_the_policy_names() {
    let mut pages = all(HOSTILE).await;
    pages.push(render(web_message(HOSTILE)).await);
    pages.push(render(popup(HOSTILE)).await);
    for page in pages {
        for element in ["style", "script"] {
            let Some(content) = between(&page.body, &format!("<{element}>"), &format!("</{element}>")) else {
                continue;
            };
            let hash = base64::Engine::encode(
                &base64::engine::general_purpose::STANDARD,
                model::seal::digest(content),
            );
            assert!(page.policy().contains(&format!("'sha256-{hash}'")), "{element}: {}", page.policy());
        }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(content, _)| content)
}

#[tokio::test]
async fn the_login_page_has_what_password_managers_and_tests_look_for() {
    let page = render(login("it's")).await;
    assert_eq!(page.status, StatusCode::OK);
    page.has("<form method=\"post\" action=\"/u/login?state=it%27s\"")
        .has("<input type=\"hidden\" name=\"state\" value=\"it&#39;s\">")
        .has("<input type=\"hidden\" name=\"_csrf\" value=\"it&#39;s\">")
        .has("<label for=\"username\">Email</label>")
        .has("id=\"username\" name=\"username\" type=\"text\" inputmode=\"email\" autocomplete=\"username\"")
        .has("<label for=\"password\">Password</label>")
        .has("id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\"")
        .has("type=\"submit\" name=\"action\" value=\"default\">Continue</button>")
        .has("href=\"/u/signup?state=s\"")
        .lacks("role=\"alert\"")
        .lacks("aria-invalid");
    assert!(page.policy().contains("form-action 'self' https://app.test;"));
}

#[tokio::test]
async fn a_failed_login_says_so_and_keeps_what_was_typed() {
    let mut failed = login("alice@example.com");
    failed.error = Some(LoginError::WrongCredentials);
    failed.signup_url = None;
    let page = render(failed).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    page.has("id=\"error\" role=\"alert\" tabindex=\"-1\" autofocus")
        .has("That email or password is not right. Check both and try again.")
        .has("value=\"alice@example.com\" required aria-invalid=\"true\" aria-describedby=\"error\"")
        .lacks("Create an account");
    assert_eq!(page.body.matches(" autofocus").count(), 1);
}

#[tokio::test]
async fn a_code_is_typed_into_one_field_that_phones_fill_in() {
    let field = "id=\"code\" name=\"code\" type=\"text\" class=\"code\"";
    for way in [LoginWay::Otp, LoginWay::Sms, LoginWay::Email] {
        let page = render(code("s", way)).await;
        assert_eq!(page.status, StatusCode::OK);
        page.has(&format!("{field} inputmode=\"numeric\" autocomplete=\"one-time-code\""))
            .has("<label for=\"code\">One-time code</label>")
            .has("name=\"rememberBrowser\"")
            .has("href=\"/u/mfa-login-options?state=s\"");
    }
    let page = render(code("s", LoginWay::RecoveryCode)).await;
    page.has(&format!("{field} autocomplete=\"off\"")).lacks("rememberBrowser").lacks("resend");
    render(code("a***@example.com", LoginWay::Email))
        .await
        .has("We sent a code to a***@example.com.")
        .has("name=\"action\" value=\"resend\"")
        .has("(in 17 seconds)");
    render(code("XXXXXXXXX9167", LoginWay::Sms))
        .await
        .has("We sent a code to XXXXXXXXX9167 by text message.")
        .has("name=\"action\" value=\"resend\"")
        .has("Try another way")
        .lacks("Use another phone number");
    let enrolling = CodePage { edit_url: Some("/u/x?state=s".into()), ..code("+15550100", LoginWay::Sms) };
    render(enrolling)
        .await
        .has("<a href=\"/u/x?state=s\">Use another phone number</a>")
        .has("Set up something else")
        .lacks("Try another way");
}

#[tokio::test]
async fn a_number_is_typed_into_a_field_that_phones_fill_in() {
    let page = render(sms_enrollment("s")).await;
    assert_eq!(page.status, StatusCode::OK);
    page.has("id=\"phone\" name=\"phone\" type=\"tel\" inputmode=\"tel\" autocomplete=\"tel\"")
        .has("<label for=\"phone\">Phone number</label>")
        .has("<a href=\"/u/mfa-enroll-options?state=s\">Set up something else</a>")
        .lacks("aria-invalid");
    for (error, status) in
        [(PhoneError::NoNumber, 400), (PhoneError::TooSoon, 429), (PhoneError::TooMany, 429)]
    {
        let page = render(SmsEnrollmentPage { error: Some(error), ..sms_enrollment("s") }).await;
        assert_eq!((page.status.as_u16(), page.body.contains("aria-invalid")), (status, status == 400));
    }
}

#[tokio::test]
async fn a_wrong_code_says_so_and_another_status_says_too_many() {
    for (error, status, told) in [
        (CodeError::NoCode, 400, "Enter the six digits of your code."),
        (CodeError::Wrong, 400, "That code is not right, or was used already."),
        (CodeError::TooMany, 429, "Too many wrong codes."),
        (CodeError::TooSoon, 429, "We just sent a code."),
        (CodeError::TooManySent, 429, "We have sent many codes."),
    ] {
        let mut page = code("s", LoginWay::Otp);
        page.error = Some(error);
        let page = render(page).await;
        assert_eq!(page.status, status, "{told}");
        page.has("role=\"alert\"").has(told);
        assert_eq!(page.body.contains("aria-invalid"), status == 400, "{told}");
    }
}

#[tokio::test]
async fn a_seed_is_shown_as_an_image_and_as_text() {
    let page = render(otp_enrollment("Acme")).await;
    page.has("<img class=\"qr\" src=\"data:image/svg+xml;base64,")
        .has("<code class=\"plain\">GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ</code>")
        .has("action=\"/u/mfa-otp-enrollment?state=Acme\"");
    assert!(page.policy().contains("img-src 'self' data:"), "{}", page.policy());
    let mut endless = otp_enrollment("Acme");
    endless.uri = "x".repeat(10_000);
    render(endless).await.lacks("<img class=\"qr\"").has("GEZD GNBV");
}

#[tokio::test]
async fn a_recovery_code_is_to_be_confirmed_where_a_sign_in_goes_on() {
    render(recovery_code("s", true))
        .await
        .has("32YC\u{a0}GV1J\u{a0}UE9G 7MDJ\u{a0}71UT\u{a0}N12W")
        .has("<input type=\"checkbox\" name=\"saved\" value=\"true\" required>")
        .has("I have saved this code");
    render(recovery_code("s", false)).await.has("32YC\u{a0}GV1J\u{a0}").lacks("<form");
    let unsaved = render(RecoveryCodePage { unsaved: true, ..recovery_code("s", true) }).await;
    assert_eq!(unsaved.status, StatusCode::BAD_REQUEST);
    unsaved.has("Store the code first, then tick the box.");
}

#[tokio::test]
async fn errors_choose_the_status() {
    for (error, status) in [
        (LoginError::NoPassword, 400),
        (LoginError::FormExpired, 403),
        (LoginError::AccountBlocked { notified: true }, 429),
        (LoginError::AccountBlocked { notified: false }, 429),
        (LoginError::AddressBlocked, 429),
        (LoginError::PasswordBreached, 400),
        (LoginError::Busy, 503),
    ] {
        let mut page = login("a");
        page.error = Some(error);
        assert_eq!(render(page).await.status, status);
    }
    assert_eq!(render(ErrorPage::new(look("Acme"), ErrorKind::NotFound)).await.status, 404);
}

#[tokio::test]
async fn the_signup_page_ties_each_error_to_its_field() {
    let mut refused = signup("alice");
    refused.errors = vec![SignupError::InvalidEmail, SignupError::WeakPassword];
    refused.broken = vec![PasswordHint::ThreeKinds];
    let page = render(refused).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    page.has("id=\"email\" name=\"email\" type=\"email\" autocomplete=\"email\"")
        .has("id=\"username\" name=\"username\"")
        .has("autocomplete=\"new-password\"")
        .has("aria-invalid=\"true\" aria-describedby=\"email-error\"")
        .has("<p class=\"wrong\" id=\"email-error\">")
        .has("aria-invalid=\"true\" aria-describedby=\"password-error password-hints\"")
        .has("<a href=\"#password\">Choose a stronger password.</a>")
        .has("<li>At least 8 characters</li>")
        .has("<li class=\"broken\">Three of: lower case, upper case, number, special character <b>(not yet)</b></li>")
        .has("type=\"submit\" name=\"action\" value=\"default\">Continue</button>");
    let mut plain = signup("alice");
    plain.username = None;
    render(plain).await.lacks("id=\"username\"").has("type=\"email\" autocomplete=\"username\"");
}

#[tokio::test]
async fn the_pages_of_recovery_have_what_password_managers_and_tests_look_for() {
    render(login("a")).await.has("<a href=\"/u/reset-password/request/db?state=s\">Forgot password?</a>");
    let page = render(reset_request("it's")).await;
    page.has("<form method=\"post\" action=\"/u/reset-password/request/db?state=it%27s\"")
        .has("<label for=\"email\">Email</label>")
        .has("id=\"email\" name=\"email\" type=\"text\" inputmode=\"email\" autocomplete=\"username\"")
        .has("<a href=\"/u/login?state=s\">Back to sign in</a>");
    let mut missing = reset_request("");
    missing.is_missing = true;
    let page = render(missing).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    page.has("Enter your email address.").has("aria-invalid=\"true\" aria-describedby=\"error\"");
    let page = render(reset_password("alice")).await;
    page.has("<form method=\"post\" action=\"/u/reset-password\"")
        .has("<input type=\"hidden\" name=\"ticket\" value=\"alice\">")
        .has("autocomplete=\"username\" value=\"alice\" readonly")
        .has("autocomplete=\"new-password\"")
        .has("At least 8 characters");
    assert!(page.policy().contains("form-action 'self' https://app.test;"));
    for (error, status) in
        [(ResetError::WeakPassword, 400), (ResetError::NoPassword, 400), (ResetError::Busy, 503)]
    {
        let mut page = reset_password("alice");
        page.error = Some(error);
        let page = render(page).await;
        assert_eq!(page.status, status);
        page.has("id=\"error\" role=\"alert\"");
        assert_eq!(page.body.contains("aria-invalid"), error != ResetError::Busy);
    }
    render(verify_email("ann@example.com"))
        .await
        .has("Is ann@example.com your address?")
        .has("<form method=\"post\" action=\"/u/email-verification\"");
    let shown = render(message("https://app.test/login", Message::EmailVerified)).await;
    shown
        .has("Your email is verified")
        .has("<a class=\"button primary\" href=\"https://app.test/login\">Continue</a>");
    assert_eq!(render(message("", Message::ResetEnded)).await.status, StatusCode::BAD_REQUEST);
    for url in ["javascript:alert(1)", "//evil.test/", "data:text/html,x"] {
        render(message(url, Message::PasswordChanged)).await.lacks("<a class=");
    }
}

#[test]
fn every_message_has_its_words() {
    for key in MESSAGES.into_iter().flat_map(Message::text_keys) {
        assert_ne!(Texts::of("en").get(key), key);
    }
}

#[tokio::test]
async fn consent_says_scopes_in_words() {
    let mut page = consent("odd");
    page.client_name = "Shop".into();
    page.scopes.push(ScopeLine { value: "x".repeat(100), description: None });
    let page = render(page).await;
    page.has("Recognise you when you come back")
        .has("See your whole profile and its details")
        .has("Order items <small>view, delete</small>")
        .has("Keep its access when you are not using it")
        .has("<code>odd</code>")
        .has(&format!("<code>{}…</code>", "x".repeat(63)))
        .has("type=\"submit\" name=\"action\" value=\"accept\">Accept</button>")
        .has("type=\"submit\" name=\"action\" value=\"deny\">Decline</button>")
        .has("<span>app.test</span>")
        .lacks("<img");
}

#[test]
fn every_scope_of_the_current_user_has_words() {
    for scope in model::resource_servers::CURRENT_USER_SCOPES {
        let key = format!("consent/scopes/{scope}");
        assert_ne!(Texts::of("en").get(&key), key);
    }
}

#[tokio::test]
async fn an_odd_value_is_cut_and_set_apart() {
    let page = render(error(&"é\"<".repeat(50))).await;
    let shown = format!("<code>{}…</code>", "é&#34;&#60;".repeat(21));
    page.has(&shown).lacks("href=\"é");
    for url in ["javascript:alert(1)", "//evil.test/", "data:text/html,x"] {
        render(ErrorPage::new(look("A"), ErrorKind::Expired).with_start_again(url))
            .await
            .lacks("Start again");
    }
    render(ErrorPage::new(look("A"), ErrorKind::Expired).with_start_again("https://app.test/"))
        .await
        .has("<a class=\"button primary\" href=\"https://app.test/\">Start again</a>");
}

#[tokio::test]
async fn the_page_of_a_device_says_which_app_and_which_code() {
    let page = DeviceConfirmPage { user_code: "QTZL-MCBW".into(), ..device_confirm("TV") };
    let page = render(page).await;
    page.has("<strong>TV</strong>").has("QTZL-MCBW").has("value=\"accept\"").has("value=\"deny\"");
    assert_eq!(page.status, StatusCode::OK);
    let wrong = render(DeviceCodePage { error: Some(DeviceError::Wrong), ..device_code("TV") }).await;
    wrong.has("role=\"alert\"").has("aria-invalid=\"true\"").has("value=\"TV\"");
    let too_many = render(DeviceCodePage { error: Some(DeviceError::TooMany), ..device_code("TV") }).await;
    assert_eq!((wrong.status, too_many.status), (StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn the_logout_question_can_be_answered_either_way() {
    render(logout("alice"))
        .await
        .has("<form method=\"post\" action=\"/oidc/logout\"")
        .has("<input type=\"hidden\" name=\"state\" value=\"alice\">")
        .has("name=\"action\" value=\"accept\">Sign out</button>")
        .has("name=\"action\" value=\"deny\">Stay signed in</button>");
    render(LoggedOutPage { look: look("Acme") }).await.has("OK");
}

#[tokio::test]
async fn form_post_hands_on_every_byte_and_works_without_javascript() {
    let page = render(form_post("\"><script>a&b")).await;
    page.has("<form method=\"post\" action=\"https://app.test/cb?a=1&#38;b=2\">")
        .has("<input type=\"hidden\" name=\"code\" value=\"c\">")
        .has("<input type=\"hidden\" name=\"state\" value=\"&#34;&#62;&#60;script&#62;a&#38;b\">")
        .has("<noscript>")
        .has("<button class=\"button primary\" type=\"submit\">");
    assert!(page.policy().contains("form-action 'self' https://app.test;"));
}

fn popup(text: &str) -> PopupPage {
    PopupPage {
        target_origin: "https://app.test".into(),
        response: [("state".to_owned(), text.into())].into_iter().collect(),
        otherwise: format!("https://app.test/cb#state={text}"),
    }
}

#[tokio::test]
async fn the_answer_to_a_window_goes_to_one_origin_and_may_not_be_framed() {
    let page = render(popup(HOSTILE)).await;
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("cross-origin-opener-policy"), "");
    assert_eq!(page.body.matches("<script").count(), 1);
    page.lacks("'*'").lacks("\"*\"");
}

fn web_message(text: &str) -> WebMessagePage {
    WebMessagePage {
        target_origin: "https://app.test".into(),
        response: [("state".to_owned(), text.into())].into_iter().collect(),
        relay: None,
    }
}

#[tokio::test]
async fn a_web_message_may_be_framed_and_runs_one_script() {
    let page = render(web_message(HOSTILE)).await;
    assert_eq!(page.header("x-frame-options"), "");
    assert!(
        !page.policy().contains("frame-ancestors") && !page.policy().contains("'self'"),
        "{}",
        page.policy()
    );
    assert_eq!(page.header("cross-origin-opener-policy"), "");
    assert_eq!(page.header("cache-control"), "no-cache, no-store");
    assert_eq!(page.body.matches("<script").count(), 1);
    page.lacks("'*'").lacks("\"*\"");
}

#[tokio::test]
async fn an_address_is_asked_for_as_browsers_and_phones_fill_it_in() {
    render(passwordless("a@b.test", false))
        .await
        .has("<label for=\"address\">Email</label>")
        .has("name=\"address\" type=\"text\" inputmode=\"email\" autocomplete=\"username\"")
        .has("action=\"/u/passwordless?state=a%40b%2Etest\"");
    render(passwordless("+4915", true))
        .await
        .has("<label for=\"address\">Phone number</label>")
        .has("type=\"tel\" inputmode=\"tel\" autocomplete=\"tel\"")
        .has("aria-describedby=\"hint\"");
    render(passwordless_code("+4915", true))
        .await
        .has("We sent a code to +4915.")
        .has("autocomplete=\"one-time-code\"")
        .has("name=\"action\" value=\"resend\" data-wait=\"7\"")
        .has("(in 7 seconds)")
        .has("Use another phone number");
    for (error, status) in [
        (CodeProblem::Wrong, 400),
        (CodeProblem::TooManyTries, 429),
        (CodeProblem::TooSoon, 429),
        (CodeProblem::Busy, 503),
        (CodeProblem::NotSent, 502),
    ] {
        let page = PasswordlessCodePage { error: Some(error), ..passwordless_code("a@b.test", false) };
        assert_eq!(render(page).await.status, status);
    }
    for (error, status) in
        [(StartProblem::NoAddress, 400), (StartProblem::TooMany, 429), (StartProblem::Failed, 502)]
    {
        let page = PasswordlessPage { error: Some(error), ..passwordless("a@b.test", false) };
        assert_eq!(render(page).await.status, status);
    }
}

#[tokio::test]
async fn an_apps_own_page_is_framed_and_nobody_elses() {
    let page = render(cross_origin("https://id.test")).await;
    assert!(page.policy().contains("frame-src https://app.test; "), "{}", page.policy());
    assert_eq!(page.body.matches("<script").count(), 1);
    page.has("var pageOrigin = \"https://app.test\";").has("evt.origin !== pageOrigin").lacks("'*'");
    assert!(!render(login("a")).await.policy().contains("frame-src"));
}

#[tokio::test]
async fn a_classic_page_gets_a_form_and_nothing_before_it() {
    let form = HiddenFormPage {
        action: "https://id.test/login/callback".into(),
        wresult: HOSTILE.into(),
        wctx: HOSTILE.into(),
        lang: "en".into(),
    };
    let page = render(form).await;
    assert!(page.body.starts_with("<form method=\"post\" name=\"hiddenform\""), "{}", page.body);
    page.lacks("<script").lacks("<img").has("name=\"wa\" value=\"wsignin1.0\"");
}

#[tokio::test]
async fn assets_keep_for_a_year_under_names_of_their_content() {
    use tower::ServiceExt;
    let page = render(login("a")).await;
    for asset in [&*assets::STYLE, &*assets::SCRIPT, &*assets::ICON] {
        page.has(&asset.path);
        let request = Request::get(&asset.path).body(Body::empty()).unwrap();
        let served = read(assets::routes::<()>().oneshot(request).await.unwrap()).await;
        assert_eq!((served.status, &*served.body), (StatusCode::OK, asset.content));
        assert_eq!(served.header("content-type"), asset.media_type);
        assert_eq!(served.header("cache-control"), "public, max-age=31536000, immutable");
    }
    let request = Request::get("/assets/page.css").body(Body::empty()).unwrap();
    assert_eq!(assets::routes::<()>().oneshot(request).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_is_light() {
    let page = render(login("Acme")).await;
    let assets = [&*assets::STYLE, &*assets::SCRIPT, &*assets::ICON];
    let bytes = page.body.len() + assets.iter().map(|asset| asset.content.len()).sum::<usize>();
    assert!(bytes < 60_000, "{bytes} bytes");
}
