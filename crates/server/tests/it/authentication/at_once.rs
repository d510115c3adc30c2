//! Things that happen at the same moment.

use std::sync::Arc;

use db::params;
use tokio::sync::Barrier;

use crate::security::{API, browser, prepared, signed_in, stored};
use crate::support::app::PASSWORD;
use crate::support::{Answer, Authorize, Browser, TestApp};

/// What each browser's `call` answers, all of them made at once.
async fn together<F>(browsers: Vec<Browser>, call: impl Fn(Browser) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(browsers.len()));
    let calls: Vec<_> = browsers
        .into_iter()
        .map(|browser| {
            let (barrier, call) = (barrier.clone(), call(browser));
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("no call panics"));
    }
    answers
}

both_databases_at_once! {
    /// Each in a browser of their own, all as one user.
    async fn sign_ins_of_one_user_do_not_disturb_each_other(app: TestApp) {
        let app = prepared(app).await;
        for _ in 0..5 {
            let mut pages = Vec::new();
            for _ in 0..8 {
                let mut browser = browser(&app);
                browser.open(&Authorize::code("web").path()).await;
                pages.push(browser);
            }
            let answers = together(pages, |mut browser| async move {
                let page = browser.open(&Authorize::code("web").path()).await;
                browser.submit(&page, &[("username", "alice@example.com"), ("password", PASSWORD)]).await
            });
            for answer in answers.await {
                assert!(!answer.param("code").is_empty(), "{answer:?}");
            }
        }
        let logins: i64 = stored(&app, "SELECT logins_count FROM users WHERE tenant = $1 AND id = $2", params!["auth0|alice"]).await;
        assert_eq!(logins, 40);
    }

    /// The first requests of an app for an API, in two frames: both note the consent, and neither fails.
    async fn first_requests_of_an_app_do_not_disturb_each_other(app: TestApp) {
        let app = prepared(app).await;
        for user in ["alice", "bob"] {
            let browser = signed_in(&app, user).await;
            let answers = together(vec![browser; 16], |mut browser| async move {
                let request = Authorize::code("page").with("audience", API).with("scope", "openid read:a").with("prompt", "none");
                browser.get(&request.path()).await
            });
            for answer in answers.await {
                assert!(!answer.param("code").is_empty(), "{answer:?}");
            }
        }
        let grants: i64 = stored(&app, "SELECT COUNT(*) FROM user_grants WHERE tenant = $1", params![]).await;
        assert_eq!(grants, 2);
    }

    /// A sign-in is completed once, however often its last step is asked for.
    async fn a_sign_in_is_completed_once(app: TestApp) {
        let app = prepared(app).await;
        for _ in 0..5 {
            let mut alice = browser(&app);
            let page = alice.open(&Authorize::code("web").path()).await;
            let form = crate::support::browser::Form::of(&page);
            let typed = [("state", form.field("state")), ("_csrf", form.field("_csrf")), ("username", "alice@example.com"), ("password", PASSWORD)];
            let entered = alice.post(&form.action, &typed).await;
            let resume = entered.location().to_owned();
            let answers = together(vec![alice; 16], |mut browser| {
                let resume = resume.clone();
                async move { browser.get(&resume).await }
            });
            let answers = answers.await;
            let won = answers.iter().filter(|answer| !answer.param("code").is_empty()).count();
            assert_eq!((won, answers.iter().filter(|answer| answer.status == 400).count()), (1, 15));
        }
    }
}
