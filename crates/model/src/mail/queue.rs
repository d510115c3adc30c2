//! The table `letters`.

use db::{Batch, params};
use serde_json::Value;

use super::Letter;
use crate::Model;
use crate::ids::TenantId;
use crate::seal::context;

/// Puts a letter into the queue, in the batch of what it tells of. It is rendered and delivered by the mail job; its variables
/// are sealed. Its row hangs on the tenant's alone, and comes after those of users and sessions in the batch.
pub fn queue(batch: &mut Batch, app: &Model, tenant: &TenantId, letter: Letter) {
    let (id, now) = (app.random.alphanumeric(24), app.clock.now());
    let variables = Value::Object(letter.variables).to_string();
    batch
        .execute(
            "INSERT INTO letters (tenant, id, kind, recipient, user_id, client_id, variables, state, attempts, due_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', 0, $8, $8)",
            params![
                tenant,
                &id,
                letter.kind.name(),
                letter.to,
                letter.user_id,
                letter.client_id,
                app.seal.seal(&place(tenant, &id, "variables"), variables.as_bytes()),
                now
            ],
        )
        .expect(1);
}

/// What a sealed column of a letter is sealed for.
fn place(tenant: &TenantId, id: &str, column: &str) -> String {
    context("letters", &[tenant.as_str(), id], column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Kind;
    use crate::testing::TestModel;

    #[tokio::test]
    async fn a_letter_waits_with_its_variables_sealed() {
        for app in TestModel::each().await {
            let mut batch = Batch::new();
            let letter = Letter::new(Kind::MfaOobCode, "ann@example.com").with("code", "123456");
            queue(&mut batch, &app, &app.tenant, letter);
            app.db.commit(batch).await.unwrap();
            let sql = "SELECT id, kind, recipient, state, variables FROM letters WHERE tenant = $1";
            let mut row = app.db.read_one(sql, params![&app.tenant]).await.unwrap().unwrap();
            let id: String = row.take().unwrap();
            let texts: [String; 3] = [row.take().unwrap(), row.take().unwrap(), row.take().unwrap()];
            assert_eq!(texts, ["mfa_oob_code", "ann@example.com", "queued"]);
            let sealed: Vec<u8> = row.take().unwrap();
            assert!(!sealed.windows(6).any(|window| window == b"123456"));
            let opened = app.seal.open(&place(&app.tenant, &id, "variables"), &sealed).unwrap();
            assert_eq!(**opened, *br#"{"code":"123456"}"#);
        }
    }
}
