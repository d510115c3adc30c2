//! Second factors: what a tenant asks for, what a user has, and the codes of it.

use db::{Batch, params};
use model::factors::{self, Factor, Kind, totp};
use model::guardian;
use model::seal::context;
use model::users;
use serde_json::{Map, Value, json};

use super::hook::Hook;
use super::{Answer, Authorize, Browser, TestApp};

/// The `acr_values` that ask for a second factor.
pub const MULTI_FACTOR: &str = "http://schemas.openid.net/pape/policies/2007/06/multi-factor";

impl TestApp {
    /// Enables factors and sets the policy.
    pub async fn guard(&self, factors: &[&str], policies: &[&str]) {
        let mut guardian = guardian::load(&self.app, &self.tenant.id).await.expect("reads");
        for name in guardian::FACTORS {
            guardian.enable(name, factors.contains(&name));
        }
        guardian.policies = policies.iter().map(|policy| (*policy).to_owned()).collect();
        let mut batch = Batch::new();
        guardian::save(&mut batch, &self.app, &self.tenant.id, &mut guardian);
        self.app.db.commit(batch).await.expect("writes");
    }

    /// Gives the user an authenticator app, whose seed it answers.
    pub async fn add_totp(&self, user: &str) -> Vec<u8> {
        let seed = totp::new_seed(&self.app.random).to_vec();
        let factor = Factor::confirmed(&self.app, &user.into(), Kind::Totp);
        self.add_factor(factor.with_seed(&self.app, &self.tenant.id, &seed)).await;
        seed
    }

    /// Gives the user a recovery code.
    pub async fn add_recovery_code(&self, user: &str) -> String {
        let code = factors::recovery_code::new(&self.app.random);
        self.add_factor(Factor::recovery_code(&self.app, &user.into(), &code)).await;
        code
    }

    /// Gives its user a factor.
    pub async fn add_factor(&self, factor: Factor) {
        let found = users::find(&self.app.db, &self.tenant.id, &factor.user_id).await.expect("reads");
        let mut user = found.expect("the user is there");
        let mut batch = Batch::new();
        if factor.protects() {
            factors::enrolled(&mut batch, &mut user, self.app.clock.now());
        }
        factors::insert(&mut batch, &self.tenant.id, &factor);
        self.app.db.commit(batch).await.expect("writes");
    }

    /// What an authenticator app shows, so many steps from now.
    pub fn code(&self, seed: &[u8], steps: i64) -> String {
        totp::code_now(seed, self.app.clock.now().plus_seconds(30 * steps))
    }

    /// What the letters of a kind name, oldest first: recipient and variables.
    pub async fn letters(&self, kind: &str) -> Vec<(String, Map<String, Value>)> {
        let sql = "SELECT id, recipient, variables FROM letters WHERE tenant = $1 AND kind = $2 ORDER BY created_at, id";
        let rows = self.app.db.read(sql, params![&self.tenant.id, kind]).await.expect("reads");
        let open = |mut row: db::Row| {
            let id: String = row.take().expect("is text");
            let recipient = row.take().expect("is text");
            let sealed: Vec<u8> = row.take().expect("is sealed");
            let place = context("letters", &[self.tenant.id.as_str(), &id], "variables");
            let opened = self.app.seal.open(&place, &sealed).expect("opens");
            (recipient, serde_json::from_slice(&opened).expect("is an object"))
        };
        rows.into_iter().map(open).collect()
    }

    /// The code of the last letter that holds one.
    pub async fn mailed_code(&self) -> String {
        let (_, variables) = self.letters("mfa_oob_code").await.pop().expect("a letter was queued");
        variables["code"].as_str().expect("is text").to_owned()
    }
}

impl TestApp {
    /// Gives the tenant a connection whose gateway takes messages to phones.
    pub async fn add_gateway(&self, gateway: &Hook) {
        let options = json!({ "provider": "sms_gateway", "gateway_url": gateway.url, "from": "Acme", "forward_req_info": true });
        let body = json!({ "name": "sms", "strategy": "sms", "options": options });
        let made = self.admin().post("/api/v2/connections", body).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }

    /// Gives the user a phone.
    pub async fn add_phone(&self, user: &str, number: &str) -> Factor {
        let factor = Factor::confirmed(&self.app, &user.into(), Kind::Phone).with_address(number);
        self.add_factor(factor.clone()).await;
        factor
    }

    /// The messages to phones that wait or have gone, oldest first: number and code.
    pub async fn messages(&self) -> Vec<(String, String)> {
        let sql = "SELECT id, recipient, variables FROM letters
                   WHERE tenant = $1 AND kind IN ('sms_enrollment', 'sms_verification') ORDER BY created_at, id";
        let rows = self.app.db.read(sql, params![&self.tenant.id]).await.expect("reads");
        let open = |mut row: db::Row| {
            let id: String = row.take().expect("is text");
            let number = row.take().expect("is text");
            let sealed: Option<Vec<u8>> = row.take().expect("is sealed");
            let place = context("letters", &[self.tenant.id.as_str(), &id], "variables");
            let opened = sealed.map(|sealed| self.app.seal.open(&place, &sealed).expect("opens").to_vec());
            let variables: Map<String, Value> = opened
                .map(|opened| serde_json::from_slice(&opened).expect("is an object"))
                .unwrap_or_default();
            (number, variables.get("code").and_then(Value::as_str).unwrap_or_default().to_owned())
        };
        rows.into_iter().map(open).collect()
    }

    /// The code of the last message, which has not gone yet.
    pub async fn texted_code(&self) -> String {
        self.messages().await.pop().expect("a message was queued").1
    }
}

impl Authorize {
    /// With the demand for a second factor.
    pub fn multi_factor(&self) -> Self {
        self.with("acr_values", MULTI_FACTOR)
    }
}

impl Browser {
    /// Gives `code` to the page that asks for one, and follows where it leads.
    pub async fn give(&mut self, page: &Answer, code: &str) -> Answer {
        self.submit(page, &[("code", code)]).await
    }
}

/// The page that a form leads back to: which page an answer is.
pub fn page_of(answer: &Answer) -> String {
    if !answer.text.contains("<form") {
        return String::new();
    }
    super::browser::Form::of(answer).action.split('?').next().unwrap_or_default().to_owned()
}

/// The way of a link on a page to `path`.
pub fn link(page: &Answer, path: &str) -> String {
    let rest =
        page.text.split(&format!("href=\"{path}")).nth(1).unwrap_or_else(|| panic!("{path}: {page:?}"));
    format!("{path}{}", rest.split('"').next().unwrap_or_default())
}

/// The first thing in `<code class="plain">`: a seed, or a recovery code, without its blanks, of either kind.
pub fn shown(answer: &Answer) -> String {
    let (_, rest) = answer.text.split_once("<code class=\"plain\"").unwrap_or_else(|| panic!("{answer:?}"));
    let (_, rest) = rest.split_once('>').expect("the tag ends");
    rest.split('<').next().unwrap_or_default().replace([' ', '\u{a0}'], "")
}
