//! Moving every sealed value to the newest master key.

use db::{Batch, Db, Row, Value, params};

use super::{Sealer, context};

/// A column of envelopes. An envelope's context is `context(table, key, column)`, with the values of `key` in their order.
#[derive(Clone, Copy, Debug)]
pub struct SealedColumn {
    /// The table.
    pub table: &'static str,
    /// The columns of its primary key, all of type `TEXT`.
    pub key: &'static [&'static str],
    /// The sealed column, of type `BYTEA`.
    pub column: &'static str,
}

/// Every sealed column there is. Who adds one to the schema adds it here.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn { table: "attack_protection", key: &["tenant", "part"], column: "secrets" },
    SealedColumn { table: "clients", key: &["tenant", "client_id"], column: "secret" },
    SealedColumn { table: "connections", key: &["tenant", "id"], column: "options" },
    SealedColumn { table: "email_providers", key: &["tenant"], column: "credentials" },
    SealedColumn { table: "letters", key: &["tenant", "id"], column: "rendered" },
    SealedColumn { table: "letters", key: &["tenant", "id"], column: "variables" },
    SealedColumn { table: "log_streams", key: &["tenant", "id"], column: "sink" },
    SealedColumn { table: "job_parts", key: &["tenant", "job", "number"], column: "data" },
    SealedColumn { table: "factors", key: &["tenant", "id"], column: "secret" },
    SealedColumn { table: "guardian", key: &["tenant"], column: "providers" },
    SealedColumn { table: "resource_servers", key: &["tenant", "id"], column: "signing_secret" },
    SealedColumn { table: "subject_salts", key: &["tenant"], column: "salt" },
    SealedColumn { table: "signing_keys", key: &["tenant", "kid"], column: "private" },
];

/// What a rewrap did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// How many envelopes were found.
    pub found: u64,
    /// How many of them were under an older key and are now under the newest.
    pub moved: u64,
    /// How many did not open, and stay as they are: damaged, or under a key that is not here.
    pub unreadable: u64,
}

/// Rows read and written at a time.
const PAGE: usize = 200;

/// Seals every envelope of `columns` that is under an older master key anew under the newest. It may run beside
/// everything else, and again.
///
/// A node that still holds an older envelope in hand may write it back meanwhile: an older key is dispensable once a
/// run moves nothing and finds nothing unreadable.
///
/// # Errors
/// When the database fails; what was moved stays moved.
pub async fn rewrap(db: &Db, sealer: &Sealer, columns: &[SealedColumn]) -> Result<Rewrapped, db::Error> {
    let mut total = Rewrapped::default();
    for column in columns {
        column.rewrap(db, sealer, &mut total).await?;
    }
    Ok(total)
}

/// Whether every signing key in the database opens. Whoever goes on with another master key would seal the next ones with that.
///
/// # Errors
/// When the database fails.
pub async fn signing_keys_open(db: &Db, sealer: &Sealer) -> Result<bool, db::Error> {
    let rows =
        db.read("SELECT tenant, kid, private FROM signing_keys WHERE private IS NOT NULL", params![]).await?;
    for mut row in rows {
        let (tenant, kid): (String, String) = (row.take()?, row.take()?);
        let envelope: Vec<u8> = row.take()?;
        if sealer.open(&context("signing_keys", &[&tenant, &kid], "private"), &envelope).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether what is sealed in the database opens: one envelope of each column is tried. `None` if nothing is sealed yet.
///
/// # Errors
/// When the database fails.
pub async fn opens(db: &Db, sealer: &Sealer) -> Result<Option<bool>, db::Error> {
    let mut answer = None;
    for SealedColumn { table, key, column } in SEALED {
        let keys = key.join(", ");
        let sql = format!(
            "SELECT {keys}, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {keys} LIMIT 1"
        );
        let Some(mut row) = db.read_one(sql, params![]).await? else { continue };
        let key = key.iter().map(|_| row.take()).collect::<Result<Vec<String>, _>>()?;
        let parts: Vec<&str> = key.iter().map(String::as_str).collect();
        let envelope: Vec<u8> = row.take()?;
        let opened = sealer.open(&context(table, &parts, column), &envelope).is_ok();
        answer = Some(answer.unwrap_or(true) && opened);
    }
    Ok(answer)
}

impl SealedColumn {
    async fn rewrap(&self, db: &Db, sealer: &Sealer, total: &mut Rewrapped) -> Result<(), db::Error> {
        let Self { table, column, .. } = self;
        let keys = self.key.join(", ");
        let markers: Vec<String> = (1..=self.key.len()).map(|number| format!("${number}")).collect();
        let limit = self.key.len() + 1;
        let select = format!(
            "SELECT {keys}, {column} FROM {table} WHERE {column} IS NOT NULL AND ({keys}) > ({}) ORDER BY {keys} LIMIT ${limit}",
            markers.join(", "),
        );
        let mut after: Vec<String> = vec![String::new(); self.key.len()];
        loop {
            let mut parameters: Vec<Value> = after.iter().map(Value::from).collect();
            parameters.extend(params![i64::try_from(PAGE).unwrap_or(i64::MAX)]);
            let rows = db.scan(select.clone(), parameters).await?;
            let count = rows.len();
            let mut batch = Batch::new();
            for row in rows {
                after = self.rewrap_row(row, sealer, &mut batch, total)?;
            }
            db.commit(batch).await?;
            if count < PAGE {
                return Ok(());
            }
        }
    }

    /// Adds the row's update to the batch, if it needs one. Returns its key.
    fn rewrap_row(
        &self,
        mut row: Row,
        sealer: &Sealer,
        batch: &mut Batch,
        total: &mut Rewrapped,
    ) -> Result<Vec<String>, db::Error> {
        let key = self.key.iter().map(|_| row.take()).collect::<Result<Vec<String>, _>>()?;
        let envelope: Vec<u8> = row.take()?;
        total.found += 1;
        if sealer.is_newest(&envelope) {
            return Ok(key);
        }
        let parts: Vec<&str> = key.iter().map(String::as_str).collect();
        let place = context(self.table, &parts, self.column);
        let Ok(plain) = sealer.open(&place, &envelope) else {
            tracing::error!(place, "a sealed value does not open");
            total.unreadable += 1;
            return Ok(key);
        };
        total.moved += 1;
        let Self { table, column, .. } = self;
        let conditions: Vec<String> =
            self.key.iter().zip(3..).map(|(name, number)| format!("{name} = ${number}")).collect();
        let mut parameters = params![sealer.seal(&place, &plain), envelope];
        parameters.extend(key.iter().map(Value::from));
        // Whoever has written the value since has sealed it under the newest key.
        batch.execute(
            format!("UPDATE {table} SET {column} = $1 WHERE {column} = $2 AND {}", conditions.join(" AND ")),
            parameters,
        );
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::attack_protection;
    use crate::jobs::{self, Job};
    use crate::mail::providers::{self, Provider};
    use crate::mail::{self, Delivery, Kind, Letter};
    use crate::seal::MasterKey;
    use crate::testing::{TestModel, object};

    #[tokio::test]
    async fn a_rewrap_moves_every_sealed_value_to_the_newest_master_key() {
        for app in TestModel::each().await {
            let mut client = app.add_client(json!({ "name": "one" })).await;
            client.protocol.subject_type = Some("pairwise".to_owned());
            crate::subjects::of(&app, &app.tenant, &client, &"auth0|ann".into()).await.unwrap();
            app.add_api(json!({ "identifier": "https://api.test", "signing_alg": "HS256" })).await;
            let mut batch = Batch::new();
            let letter = Letter::new(Kind::MfaOobCode, "ann@example.com").with("code", "123456");
            mail::queue(&mut batch, &app, &app.tenant, letter.clone());
            let smtp = json!({ "name": "smtp", "credentials": { "smtp_pass": "secret" } });
            let mut provider = Provider::new(smtp.as_object().unwrap()).unwrap();
            providers::save(&app, &mut batch, &app.tenant, &mut provider);
            app.db.commit(batch).await.unwrap();
            // That one is delivered, and the next one waits.
            mail::deliver(&app, Delivery::Outbox).await.unwrap();
            let mut batch = Batch::new();
            mail::queue(&mut batch, &app, &app.tenant, letter);
            let mut captcha = attack_protection::load_captcha(&app, &app.tenant).await.unwrap();
            captcha = captcha.patched(&object(json!({ "hcaptcha": { "site_key": "k", "secret": "s" } })));
            attack_protection::save_captcha(&app, &mut batch, &app.tenant, &mut captcha);
            let job = Job::new(&app, &app.tenant, jobs::Kind::VerificationEmail, Map::new());
            jobs::insert(&mut batch, &job);
            let place = context("job_parts", &[app.tenant.as_str(), &job.id, "0"], "data");
            batch.execute(
                "INSERT INTO job_parts (tenant, job, number, data) VALUES ($1, $2, '0', $3)",
                params![&app.tenant, &job.id, app.seal.seal(&place, b"part")],
            );
            app.add_factor().await;
            let mut guardian = crate::guardian::load(&app, &app.tenant).await.unwrap();
            guardian.set_provider("duo", json!({ "skey": "s" }).as_object().cloned().unwrap());
            crate::guardian::save(&mut batch, &app, &app.tenant, &mut guardian);
            let http = object(json!({ "type": "http", "sink": { "httpEndpoint": "https://example.com" } }));
            let mut stream = crate::log_streams::LogStream::new(&app.random, &http).unwrap();
            crate::log_streams::insert(&app, &mut batch, &app.tenant, &mut stream, app.clock.now());
            app.db.commit(batch).await.unwrap();
            let new = MasterKey::generate(&app.random);
            let both = Sealer::new(&new, std::slice::from_ref(&app.master_key));
            assert_eq!(opens(&app.db, &Sealer::new(&new, &[])).await.unwrap(), Some(false));
            assert_eq!(opens(&app.db, &both).await.unwrap(), Some(true));
            let strange = rewrap(&app.db, &Sealer::new(&new, &[]), SEALED).await.unwrap();
            assert_eq!(
                (strange.moved, strange.unreadable),
                (0, strange.found),
                "nothing is lost without the old key"
            );
            let first = rewrap(&app.db, &both, SEALED).await.unwrap();
            assert_eq!((first.moved, first.unreadable), (first.found, 0));
            assert_eq!(rewrap(&app.db, &both, SEALED).await.unwrap(), Rewrapped { moved: 0, ..first });
            for place in SEALED {
                let sql = format!("SELECT COUNT(*) FROM {} WHERE {} IS NOT NULL", place.table, place.column);
                let count: i64 = app.db.read_one(sql, vec![]).await.unwrap().unwrap().take().unwrap();
                assert!(count > 0, "{} has a row here", place.table);
            }
            assert!(
                app.keys.published(&app, &app.tenant).await.is_err(),
                "the old key alone opens nothing now"
            );
        }
    }
}
