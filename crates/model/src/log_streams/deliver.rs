//! The step of the streams' job: what was written since the cursor is posted, and only then the cursor moves.
//!
//! An entry arrives at least once: when the program ends between the answer and the note, it goes again. While a sink does not take
//! anything it is tried ever more seldom, and after a week it is suspended; whoever changes the stream has it tried at once.

use db::{Batch, params};
use futures_util::future::join_all;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value as Json, json};

use super::{LogStream, category, from_row};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::logs::{self, Entry};
use crate::{Model, net};

/// Seconds that an entry is old before it goes: by then every batch that was to write one before it has ended. The clocks of nodes agree
/// better than this.
pub const SETTLED: i64 = 15;
/// Streams that one step looks after, and entries of each.
const STREAMS: i64 = 20;
const ENTRIES: i64 = 100;
/// Seconds that a stream belongs to who leased it: longer than a post takes.
const LEASE: i64 = 60;
/// Seconds from each failed try to the next; the last repeats.
const PAUSES: [i64; 8] = [1, 5, 15, 60, 300, 900, 1_800, 3_600];
/// Seconds without success after which a stream is suspended.
const A_WEEK: i64 = 7 * 24 * 3600;

/// A stream that is due.
struct Due {
    tenant: TenantId,
    stream: LogStream,
    cursor: String,
    attempts: i64,
    failing_since: Option<Timestamp>,
    next_at: Timestamp,
}

/// Takes a step for each stream that is due. Answers for how many there was something to do. Several nodes may do so at once.
///
/// # Errors
/// When the database fails; what was leased then goes later.
pub async fn deliver(app: &Model) -> Result<usize, db::Error> {
    let now = app.clock.now();
    let settled = logs::ids_from(now.plus_seconds(-SETTLED));
    // Those that have nothing to tell would stand before the others for ever.
    let sql = "SELECT tenant, id, cursor, attempts, failing_since, next_at, sink, doc, version FROM log_streams
         WHERE type = 'http' AND status = 'active' AND next_at <= $1 AND EXISTS
           (SELECT 1 FROM logs WHERE logs.tenant = log_streams.tenant AND logs.id > log_streams.cursor AND logs.id < $2)
         ORDER BY next_at, tenant, id LIMIT $3";
    let mut due = Vec::new();
    for mut row in app.db.read(sql, params![now, &settled, STREAMS]).await? {
        let (tenant, id): (TenantId, String) = (row.take()?, row.take()?);
        let (cursor, attempts) = (row.take()?, row.take()?);
        let (failing_since, next_at) = (row.take()?, row.take()?);
        match from_row(app, &tenant, id.clone(), row) {
            Ok(stream) => due.push(Due { tenant, stream, cursor, attempts, failing_since, next_at }),
            // It keeps no other.
            Err(error) => {
                tracing::error!(%tenant, id, %error, "a log stream cannot be read; trying again later");
                let mut batch = Batch::new();
                batch.execute(
                    "UPDATE log_streams SET next_at = $1 WHERE tenant = $2 AND id = $3 AND next_at = $4",
                    params![now.plus_seconds(LEASE), &tenant, id, next_at],
                );
                app.db.commit(batch).await?;
            }
        }
    }
    let mut busy = 0;
    for done in join_all(due.into_iter().map(|due| step(app, due, &settled))).await {
        busy += usize::from(done?);
    }
    Ok(busy)
}

/// Whether there was something to do.
async fn step(app: &Model, due: Due, settled: &str) -> Result<bool, db::Error> {
    let entries = logs::list_between(&app.db, &due.tenant, &due.cursor, settled, ENTRIES).await?;
    let Some(last) = entries.last().map(|entry| entry.id().to_owned()) else { return Ok(false) };
    let leased_until = app.clock.now().plus_seconds(LEASE);
    let mut batch = Batch::new();
    batch
        .execute(
            "UPDATE log_streams SET next_at = $1 WHERE tenant = $2 AND id = $3 AND next_at = $4 AND version = $5",
            params![leased_until, &due.tenant, &due.stream.id, due.next_at, due.stream.version],
        )
        .expect(1);
    match app.db.commit(batch).await {
        Ok(_) => {}
        // Another node has it, or it was changed.
        Err(db::Error::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(error),
    }
    let entries: Vec<Entry> = entries.into_iter().filter(|entry| is_wanted(&due.stream, entry)).collect();
    let sent = if entries.is_empty() { Ok(()) } else { post(app, &due.stream, entries).await };
    note(app, &due, leased_until, &last, sent).await
}

fn is_wanted(stream: &LogStream, entry: &Entry) -> bool {
    let mut names = stream.filters.iter().filter_map(|filter| filter.get("name")?.as_str());
    stream.filters.is_empty() || names.any(|name| category::takes(name, entry.kind()))
}

/// Posts a batch of entries.
async fn post(app: &Model, stream: &LogStream, entries: Vec<Entry>) -> Result<(), String> {
    let url = stream.of_sink("httpEndpoint").ok_or("the sink has no httpEndpoint")?;
    let kind = stream.of_sink("httpContentType").unwrap_or("application/json");
    let mut headers: Vec<net::Header> = Vec::new();
    if let Some(value) = stream.of_sink("httpAuthorization").filter(|value| !value.is_empty()) {
        let mut value = HeaderValue::from_str(value).map_err(|_| "httpAuthorization is no header's value")?;
        value.set_sensitive(true);
        headers.push((AUTHORIZATION, value));
    }
    for custom in stream.sink.get("httpCustomHeaders").and_then(Json::as_array).into_iter().flatten() {
        let of = |name| custom.get(name).and_then(Json::as_str).unwrap_or_default();
        let name = HeaderName::try_from(of("header")).map_err(|_| "a custom header has no name")?;
        headers.push((name, HeaderValue::from_str(of("value")).map_err(|_| "a custom header has no value")?));
    }
    match app.net.post(url, headers, kind, body(stream, entries)).await {
        Ok((200..=299, _)) => Ok(()),
        Ok((status, _)) => Err(format!("the endpoint answered {status}")),
        Err(error) => Err(error.to_string()),
    }
}

/// The entries as the stream wants them.
fn body(stream: &LogStream, entries: Vec<Entry>) -> Vec<u8> {
    let events = entries.into_iter().map(|entry| {
        let id = entry.id().to_owned();
        let mut data = Json::Object(entry.to_wire());
        mask(stream, &mut data);
        json!({ "log_id": id, "data": data })
    });
    match stream.of_sink("httpContentFormat") {
        Some("JSONARRAY") => Json::from_iter(events).to_string().into(),
        Some("JSONOBJECT") => json!({ "logs": events.collect::<Vec<_>>() }).to_string().into(),
        _ => events.map(|event| format!("{event}\n")).collect::<String>().into(),
    }
}

/// Masks what the stream's `pii_config` names. Where that asks for hashes it is masked too, which tells less.
fn mask(stream: &LogStream, data: &mut Json) {
    let fields = stream.pii_config.as_ref().and_then(|config| config.get("log_fields")?.as_array());
    let mut keys = Vec::new();
    for field in fields.into_iter().flatten().filter_map(Json::as_str) {
        keys.extend_from_slice(match field {
            "first_name" => &["first_name", "given_name"][..],
            "last_name" => &["last_name", "family_name"],
            "username" => &["username", "user_name"],
            "email" => &["email", "to", "from", "user_name"],
            "phone" => &["phone", "phone_number"],
            "address" => &["address"],
            _ => &[],
        });
    }
    if !keys.is_empty() {
        mask_keys(&keys, data);
    }
}

fn mask_keys(keys: &[&str], value: &mut Json) {
    match value {
        Json::Object(object) => {
            for (key, value) in object {
                match value {
                    Json::String(text) if keys.contains(&key.as_str()) && !text.is_empty() => {
                        *value = logs::MASK.into();
                    }
                    value => mask_keys(keys, value),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| mask_keys(keys, item)),
        _ => {}
    }
}

/// Notes what became of a leased stream. Whether to go on with it at once.
async fn note(
    app: &Model,
    due: &Due,
    leased_until: Timestamp,
    last: &str,
    sent: Result<(), String>,
) -> Result<bool, db::Error> {
    let (now, Due { tenant, stream, .. }) = (app.clock.now(), due);
    let well = sent.is_ok();
    let mut batch = Batch::new();
    let noted = match sent {
        Ok(()) => batch.execute(
            "UPDATE log_streams SET cursor = $1, attempts = 0, failing_since = NULL, next_at = $2
             WHERE tenant = $3 AND id = $4 AND next_at = $5 AND version = $6",
            params![last, now, tenant, &stream.id, leased_until, stream.version],
        ),
        Err(reason) => {
            let since = due.failing_since.unwrap_or(now);
            let suspended = now >= since.plus_seconds(A_WEEK);
            let pause = PAUSES[usize::try_from(due.attempts).unwrap_or_default().min(PAUSES.len() - 1)];
            tracing::warn!(%tenant, stream = stream.id, attempts = due.attempts + 1, reason, suspended, "a log stream was not taken");
            let mut doc: Map<String, Json> = crate::document::object(stream);
            doc.shift_remove("sink");
            let status = if suspended { "suspended" } else { "active" };
            doc.insert("status".into(), status.into());
            batch.execute(
                "UPDATE log_streams SET status = $1, doc = $2, attempts = attempts + 1, failing_since = $3, next_at = $4
                 WHERE tenant = $5 AND id = $6 AND next_at = $7 AND version = $8",
                params![status, doc, since, now.plus_seconds(pause), tenant, &stream.id, leased_until, stream.version],
            )
        }
    };
    noted.expect(1);
    match app.db.commit(batch).await {
        Ok(_) => Ok(well),
        // The lease ran out, or the stream was changed: what was sent goes again.
        Err(db::Error::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(body: Json) -> LogStream {
        LogStream::new(&crate::Random::seeded(1), body.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_person_is_masked_wherever_they_are_named() {
        let stream = stream(
            json!({ "type": "http", "sink": {}, "pii_config": { "log_fields": ["email", "first_name"], "method": "hash" } }),
        );
        let mut data = json!({ "user_name": "ann@example.com", "ip": "1.2.3.4",
            "details": { "body": [{ "email": "ann@example.com", "given_name": "Ann", "family_name": "Lee" }] } });
        mask(&stream, &mut data);
        let masked = logs::MASK;
        assert_eq!(
            data,
            json!({ "user_name": masked, "ip": "1.2.3.4",
            "details": { "body": [{ "email": masked, "given_name": masked, "family_name": "Lee" }] } })
        );
    }
}
