//! The mail job's step: what is due is leased, rendered, sent and noted.
//!
//! A letter is sent at least once: when the program ends between the sending and the note, the lease runs out and the letter
//! goes again. While a tenant's server does not answer its letters are put off, longer each time; other tenants do not wait, and neither do
//! its messages to phones, which have a way of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use db::Batch;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::queue::{self, Queued};
use super::render::{self, Mail};
use super::{Kind, Letter, SendError, message, providers, smtp};
use crate::Model;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::logs::{self, Event, Kind as EventKind};
use crate::tenants::{self, Tenant};

/// Where letters go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To the mail server that the tenant has configured.
    Provider,
    /// Into the outbox, which shows them: a development server sends nothing.
    Outbox,
}

/// Letters that one step takes.
const AT_A_TIME: u32 = 100;
/// Seconds that a letter belongs to who leased it: longer than a try takes.
const LEASE: i64 = 300;
/// How long one step goes on with the letters of one way: others wait for its end.
const LONGEST: Duration = Duration::from_secs(5);
/// Seconds from each failed try to the next. After the last the letter is given up: about a day after the first.
const PAUSES: [i64; 10] = [30, 120, 600, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 28_800];

/// Delivers what is due. Answers how many letters have gone. Several nodes may do so at once.
///
/// # Errors
/// When the database fails; what was leased then goes later.
pub async fn deliver(app: &Model, delivery: Delivery) -> Result<usize, db::Error> {
    let mut by_way: BTreeMap<(TenantId, bool), Vec<Queued>> = BTreeMap::new();
    let due = queue::due(app, app.clock.now(), AT_A_TIME).await?;
    let others_wait = due.len() >= AT_A_TIME as usize;
    for letter in due {
        let to_phone = Kind::from_name(&letter.kind).is_some_and(Kind::is_message);
        by_way.entry((letter.tenant.clone(), to_phone)).or_default().push(letter);
    }
    let ways =
        by_way.into_iter().map(|((id, _), letters)| deliver_for(app, delivery, id, letters, others_wait));
    let mut gone = 0;
    for way in join_all(ways).await {
        gone += way?;
    }
    Ok(gone)
}

/// Speaks to a tenant's mail server as far as to be let in, without a letter.
///
/// # Errors
/// The inner error says why no letter would go out.
pub async fn try_out(app: &Model, tenant: &Tenant) -> Result<Result<(), SendError>, db::Error> {
    let provider = providers::find(app, &tenant.id).await?;
    Ok(smtp::try_out(&app.net, provider.as_deref(), &tenant.host).await)
}

/// Delivers the letters of one tenant that go one way, until its server fails, or others have waited long enough for a slow one. What is left
/// comes with the next step, unless that would keep `others_wait`ing: then it makes room for them.
async fn deliver_for(
    app: &Model,
    delivery: Delivery,
    id: TenantId,
    letters: Vec<Queued>,
    others_wait: bool,
) -> Result<usize, db::Error> {
    let Some(tenant) = tenants::find(app, &id).await? else { return Ok(0) };
    let (mut gone, began) = (0, Instant::now());
    let mut letters = letters.into_iter();
    while began.elapsed() < LONGEST
        && let Some(mut letter) = letters.next()
    {
        let mut batch = Batch::new();
        queue::lease(&mut batch, &mut letter, app.clock.now().plus_seconds(LEASE));
        match app.db.commit(batch).await {
            Ok(_) => {}
            // Another node has it.
            Err(db::Error::Conflict { .. }) => continue,
            Err(error) => return Err(error),
        }
        let (said, mail) = match written(app, &tenant, &letter).await? {
            Ok(written) => written,
            // It is this letter's fault, and keeps no other.
            Err(error) => {
                note(app, &tenant, &letter, Err(error)).await?;
                continue;
            }
        };
        let sent = match delivery {
            Delivery::Outbox => Ok(Some(&mail)),
            Delivery::Provider if said.kind.is_message() => {
                message::send(app, &tenant, &said, &mail).await?.map(|()| None)
            }
            Delivery::Provider => {
                let provider = providers::find(app, &id).await?;
                smtp::send(&app.net, provider.as_deref(), &mail, &letter.id, &tenant.host)
                    .await
                    .map(|()| None)
            }
        };
        let serves = sent.as_ref().err().is_none_or(|error| !error.keeps_others);
        gone += usize::from(sent.is_ok());
        note(app, &tenant, &letter, sent).await?;
        if !serves {
            break;
        }
    }
    if others_wait {
        let (mut batch, until) = (Batch::new(), app.clock.now().plus_seconds(PAUSES[0]));
        letters.for_each(|letter| queue::leave(&mut batch, &letter, until));
        app.db.commit(batch).await?;
    }
    Ok(gone)
}

/// A letter, and the mail or the message that goes out; or why there is none.
async fn written(
    app: &Model,
    tenant: &Tenant,
    queued: &Queued,
) -> Result<Result<(Letter, Mail), SendError>, db::Error> {
    let letter = match queued.open(app) {
        Ok(letter) => letter,
        Err(error) => return Ok(Err(error)),
    };
    let rendered = match letter.kind.is_message() {
        true => message::render(app, tenant, &letter, queued.created_at).await?,
        false => render::render(app, tenant, &letter, queued.created_at)
            .await?
            .map_err(|error| SendError::lasting(format!("the letter cannot be rendered: {error}"))),
    };
    Ok(rendered.map(|mail| (letter, mail)))
}

/// Notes what became of a leased letter: it is sent, in the outbox, or not delivered.
async fn note(
    app: &Model,
    tenant: &Tenant,
    letter: &Queued,
    sent: Result<Option<&Mail>, SendError>,
) -> Result<(), db::Error> {
    let now = app.clock.now();
    let mut batch = Batch::new();
    match sent {
        Ok(Some(mail)) => queue::kept(app, &mut batch, letter, mail, now),
        Ok(None) => queue::sent(&mut batch, letter, now),
        Err(error) => match next_try(letter.attempts, now).filter(|_| !error.is_final) {
            Some(next) => {
                tracing::warn!(
                    tenant = %tenant.id, kind = letter.kind, attempts = letter.attempts, %error,
                    "a letter was not delivered; trying again later"
                );
                queue::put_off(&mut batch, letter, &error.reason, next);
            }
            None => {
                tracing::error!(
                    tenant = %tenant.id, kind = letter.kind, attempts = letter.attempts, %error, "a letter is given up"
                );
                queue::failed(&mut batch, letter, &error.reason, now);
                logs::record(&mut batch, given_up(app, tenant, letter, &error));
            }
        },
    }
    match app.db.commit(batch).await {
        Ok(_) => Ok(()),
        // The lease ran out and another node has it.
        Err(db::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// When a letter that failed so often is tried next; `None` to give it up.
fn next_try(attempts: i64, now: Timestamp) -> Option<Timestamp> {
    let pause = PAUSES.get(usize::try_from(attempts.max(1) - 1).ok()?)?;
    Some(now.plus_seconds(*pause))
}

/// `fn`: a letter that nobody will get.
fn given_up(app: &Model, tenant: &Tenant, letter: &Queued, error: &SendError) -> Event {
    let event = Event::new(app, tenant, EventKind::FailedNotification)
        .description(&error.reason)
        .user_name(&letter.to)
        .details(json!({ "email_type": letter.kind, "to": letter.to, "attempts": letter.attempts }));
    let event = match &letter.client_id {
        Some(client_id) => event.client_id(client_id),
        None => event,
    };
    match &letter.user_id {
        Some(user_id) => event.user_id(user_id),
        None => event,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{find, newest, queue as add};
    use crate::testing::TestModel;
    use db::params;

    async fn queued(app: &TestModel) {
        let mut batch = Batch::new();
        let letter = Letter::new(Kind::MfaOobCode, "ann@example.com").with("code", "123456");
        add(&mut batch, app, &app.tenant, letter);
        app.db.commit(batch).await.unwrap();
    }

    #[tokio::test]
    async fn the_outbox_keeps_each_letter_once() {
        for app in TestModel::each().await {
            queued(&app).await;
            let both = tokio::join!(deliver(&app, Delivery::Outbox), deliver(&app, Delivery::Outbox));
            assert_eq!(both.0.unwrap() + both.1.unwrap(), 1);
            assert_eq!(deliver(&app, Delivery::Outbox).await.unwrap(), 0);
            let letters = newest(&app, &app.tenant, 10).await.unwrap();
            let [letter] = letters.as_slice() else { panic!("{letters:?}") };
            let mail = letter.mail.clone().unwrap();
            assert_eq!((letter.state.as_str(), mail.to.as_str()), ("sent", "ann@example.com"));
            assert_eq!(
                (mail.from.as_str(), mail.subject.as_str()),
                ("no-reply@acme.test", "123456 is your code for acme")
            );
            assert!(find(&app, &app.tenant, &letter.id).await.unwrap().is_some());
            assert!(find(&app, &"other".into(), &letter.id).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn without_a_server_a_letter_waits_longer_each_time_and_is_then_given_up_visibly() {
        for app in TestModel::each().await {
            queued(&app).await;
            for pause in PAUSES {
                assert_eq!(deliver(&app, Delivery::Provider).await.unwrap(), 0);
                app.clock.advance(pause - 1);
                assert_eq!(deliver(&app, Delivery::Provider).await.unwrap(), 0);
                let letter = newest(&app, &app.tenant, 1).await.unwrap().remove(0);
                assert_eq!(letter.state, "queued");
                assert_eq!(letter.error.as_deref(), Some("no e-mail provider is configured"));
                app.clock.advance(1);
            }
            assert_eq!(deliver(&app, Delivery::Provider).await.unwrap(), 0);
            let letter = newest(&app, &app.tenant, 1).await.unwrap().remove(0);
            assert_eq!(letter.state, "failed");
            let sql = "SELECT type FROM logs WHERE tenant = $1 AND type = 'fn'";
            assert_eq!(app.db.read(sql, params![&app.tenant]).await.unwrap().len(), 1);
            let sql = "SELECT attempts, variables FROM letters WHERE tenant = $1";
            let mut row = app.db.read_one(sql, params![&app.tenant]).await.unwrap().unwrap();
            assert_eq!(row.take::<i64>().unwrap(), 11);
            assert_eq!(row.take::<Option<Vec<u8>>>().unwrap(), None, "what it said is forgotten");
        }
    }

    #[tokio::test]
    async fn a_letter_whose_node_died_goes_when_its_lease_is_over() {
        for app in TestModel::each().await {
            queued(&app).await;
            let mut letter = queue::due(&app, app.clock.now(), 10).await.unwrap().remove(0);
            let mut batch = Batch::new();
            queue::lease(&mut batch, &mut letter, app.clock.now().plus_seconds(LEASE));
            app.db.commit(batch).await.unwrap();
            assert_eq!(deliver(&app, Delivery::Outbox).await.unwrap(), 0);
            app.clock.advance(LEASE);
            assert_eq!(deliver(&app, Delivery::Outbox).await.unwrap(), 1);
        }
    }

    /// What cannot be opened is put off like what no server takes, what cannot be read never goes; neither keeps the next letter.
    #[tokio::test]
    async fn a_letter_that_cannot_be_read_keeps_no_other_and_ends_visibly() {
        for app in TestModel::each().await {
            for _ in 0..3 {
                queued(&app).await;
                app.clock.advance(1);
            }
            let ids: Vec<String> = newest(&app, &app.tenant, 10)
                .await
                .unwrap()
                .into_iter()
                .rev()
                .map(|letter| letter.id)
                .collect();
            let mut batch = Batch::new();
            let sql = "UPDATE letters SET variables = $1 WHERE tenant = $2 AND id = $3";
            batch.execute(sql, params![b"no seal".to_vec(), &app.tenant, &ids[0]]).expect(1);
            let sql = "UPDATE letters SET kind = 'of_tomorrow' WHERE tenant = $1 AND id = $2";
            batch.execute(sql, params![&app.tenant, &ids[1]]).expect(1);
            app.db.commit(batch).await.unwrap();
            assert_eq!(deliver(&app, Delivery::Outbox).await.unwrap(), 1);
            let state = async |place: usize| {
                let sql = "SELECT state, error, variables FROM letters WHERE tenant = $1 AND id = $2";
                let row = app.db.read_one(sql, params![&app.tenant, &ids[place]]).await;
                let mut row = row.unwrap().unwrap();
                let told = (
                    row.take::<String>().unwrap(),
                    row.take::<Option<String>>().unwrap().unwrap_or_default(),
                );
                (told, row.take::<Option<Vec<u8>>>().unwrap().is_some())
            };
            let ((waits, why), kept) = state(0).await;
            assert!(waits == "queued" && why.ends_with("does not open with the master key") && kept, "{why}");
            let failed = ("failed".to_owned(), "a letter of the unknown kind of_tomorrow".to_owned());
            assert_eq!(state(1).await, (failed, false));
            assert_eq!(state(2).await.0.0, "sent");
            for pause in PAUSES {
                app.clock.advance(pause);
                assert_eq!(deliver(&app, Delivery::Outbox).await.unwrap(), 0);
            }
            assert_eq!(state(0).await.0.0, "failed");
            let sql = "SELECT type FROM logs WHERE tenant = $1 AND type = 'fn'";
            assert_eq!(app.db.read(sql, params![&app.tenant]).await.unwrap().len(), 2);
        }
    }
}
