//! An import of users: the file is cut into rows while it comes in ([`Upload`]); then step by step rows become users, each step in
//! one batch with the progress it makes and what is told of the rows it refused.

mod factors;
mod row;
mod splitter;
mod upload;

use std::collections::HashSet;
use std::sync::Arc;

use db::{Batch, params};
use serde_json::{Map, Value, json};

use super::{Job, Progress, Status, store};
use crate::connections::{self, Connection};
use crate::credentials::{self, Credential};
use crate::factors::Factor;
use crate::identities::{fold_email, fold_phone, fold_username};
use crate::ids::UserId;
use crate::password_policies::NewPassword;
use crate::tenants::Tenant;
use crate::users::{self, User};
use crate::{App, administrators, logs, mail};

use row::{Row, RowError};

pub use upload::{AT_A_TIME, TooMany, Upload, Wanted};

/// What stands in a piece for a row that is no JSON, and for one that is too long.
const BROKEN: &str = "!broken";
const TOO_LONG: &str = "!too long";

/// Rows of a step.
const ROWS: usize = 50;

/// Does the next rows. Where rows meet what others write at the same time, they are done one by one.
///
/// # Errors
/// `Conflict` when another took the job over.
pub(super) async fn step(app: &App, tenant: &Tenant, job: &mut Job) -> Result<(), db::Error> {
    if let Some(problem) = job.progress.problem.clone() {
        return end(app, tenant, job, Status::Failed, Some(&problem)).await;
    }
    let Some(connection) = connection(app, job).await? else {
        return end(app, tenant, job, Status::Failed, Some("The connection does not exist.")).await;
    };
    let Some(lines) = store::part(app, job, job.progress.part).await? else {
        return end(app, tenant, job, Status::Completed, None).await;
    };
    let lines: Vec<&str> = lines.lines().collect();
    let from = usize::try_from(job.progress.row).unwrap_or(usize::MAX).min(lines.len());
    let left = &lines[from..];
    let whole = &left[..left.len().min(ROWS)];
    match write(app, &connection, job, whole, left.len()).await {
        Err(error) if is_met(&error) && whole.len() > 1 => {
            for (place, line) in whole.iter().enumerate() {
                alone(app, &connection, job, line, left.len() - place).await?;
            }
            Ok(())
        }
        Err(error) if is_met(&error) => alone(app, &connection, job, whole[0], left.len()).await,
        other => other,
    }
}

/// Whether a batch met something else that was written at the same time. Its first statement is the job's own.
fn is_met(error: &db::Error) -> bool {
    matches!(error, db::Error::Unique(_) | db::Error::Conflict { statement: 1.., .. })
}

/// Does one row, again while it meets others, and gives it up in the end.
async fn alone(
    app: &App,
    connection: &Arc<Connection>,
    job: &mut Job,
    line: &str,
    left: usize,
) -> Result<(), db::Error> {
    for _ in 0..5 {
        match write(app, connection, job, &[line], left).await {
            Err(error) if is_met(&error) => {}
            other => return other,
        }
    }
    let mut ahead = job.clone();
    let mut refused = Batch::new();
    let error = RowError::new("CONFLICT", "The user was changed meanwhile");
    let user = serde_json::from_str(line).unwrap_or_else(|_| Value::Object(Map::new()));
    refuse(&mut refused, &mut ahead, &user, &[error]);
    ahead.progress.done += 1;
    advance(&mut ahead, 1, left);
    commit(app, job, ahead, refused).await
}

async fn connection(app: &App, job: &Job) -> Result<Option<Arc<Connection>>, db::Error> {
    let id = job.doc.get("connection_id").and_then(Value::as_str).unwrap_or_default();
    connections::find(app, &job.tenant, id).await
}

/// Writes the users of these lines, `left` of which are left in the piece with them.
async fn write(
    app: &App,
    connection: &Arc<Connection>,
    job: &mut Job,
    lines: &[&str],
    left: usize,
) -> Result<(), db::Error> {
    let mut ahead = job.clone();
    let mut batch = Batch::new();
    connections::exists(&mut batch, &job.tenant, connection);
    let mut plan = Plan { app, connection, job, taken: HashSet::new() };
    let rows: Vec<(Value, Result<Row, Vec<RowError>>)> = lines.iter().map(|line| plan.read(line)).collect();
    let held = plan.look_up(rows.iter().filter_map(|(_, row)| row.as_ref().ok())).await?;
    let mut held = held.into_iter();
    for (user, row) in rows {
        let done = match row {
            Ok(row) => match held.next() {
                Some(held) => plan.write(&mut batch, &row, held).await?,
                None => Err(vec![RowError::new("CONFLICT", "The row was not looked up")]),
            },
            Err(errors) => Err(errors),
        };
        match done {
            Ok(Written::Inserted) => ahead.progress.inserted += 1,
            Ok(Written::Updated) => ahead.progress.updated += 1,
            Err(errors) => refuse(&mut batch, &mut ahead, &user, &errors),
        }
        ahead.progress.done += 1;
    }
    advance(&mut ahead, lines.len(), left);
    commit(app, job, ahead, batch).await
}

/// Adds what is told of a row that is refused.
fn refuse(batch: &mut Batch, ahead: &mut Job, user: &Value, errors: &[RowError]) {
    store::insert_error(batch, ahead, ahead.progress.done, row::report(user, errors));
    ahead.progress.failed += 1;
}

/// Goes on behind these rows: to the next piece after the last of this one.
fn advance(ahead: &mut Job, rows: usize, left: usize) {
    if rows >= left {
        ahead.progress.part += 1;
        ahead.progress.row = 0;
    } else {
        ahead.progress.row += rows as u64;
    }
}

/// Commits rows with the progress they make, and drops the piece that is done with.
async fn commit(app: &App, job: &mut Job, mut ahead: Job, rows: Batch) -> Result<(), db::Error> {
    let mut batch = Batch::new();
    let done = (ahead.progress.part > job.progress.part).then_some(job.progress.part);
    store::save(&mut batch, &mut ahead, app.clock.now());
    batch.append(rows);
    if let Some(part) = done {
        store::remove_part(&mut batch, job, part);
    }
    app.db.commit(batch).await?;
    *job = ahead;
    Ok(())
}

/// Ends the job.
pub(super) async fn end(
    app: &App,
    tenant: &Tenant,
    job: &mut Job,
    status: Status,
    problem: Option<&str>,
) -> Result<(), db::Error> {
    let administrators = administrators::find(app, &job.tenant).await?;
    let mut ahead = job.clone();
    ahead.status = status;
    ahead.slot = None;
    ahead.progress.problem = problem.map(str::to_owned);
    let mut batch = Batch::new();
    store::save(&mut batch, &mut ahead, app.clock.now());
    let kind = if status == Status::Completed { logs::Kind::Import } else { logs::Kind::FailedImport };
    let event = logs::Event::new(app, tenant, kind).description(problem.unwrap_or("Users were imported"));
    logs::record(&mut batch, event.details(Value::Object(ahead.to_wire(app.clock.now()))));
    if ahead.progress.send_completion_email {
        let Progress { inserted, updated, failed, .. } = ahead.progress;
        let Value::Object(told) =
            json!({ "status": status.name(), "inserted": inserted, "updated": updated, "failed": failed })
        else {
            unreachable!("it is written as an object")
        };
        administrators::queue(
            &mut batch,
            app,
            &tenant.id,
            &administrators,
            mail::Kind::ImportFinished,
            &told,
        );
    }
    app.db.commit(batch).await?;
    *job = ahead;
    Ok(())
}

/// What became of a row.
enum Written {
    Inserted,
    Updated,
}

/// Who has a row's identifiers already.
#[derive(Default)]
struct Held {
    email: Option<UserId>,
    username: Option<UserId>,
    phone: Option<UserId>,
    id: Option<UserId>,
}

/// The rows of one batch.
struct Plan<'a> {
    app: &'a App,
    connection: &'a Arc<Connection>,
    job: &'a Job,
    /// What the rows before this one took.
    taken: HashSet<(&'static str, String)>,
}

impl Plan<'_> {
    /// What a line holds: what is told of it, and the row or what is wrong with it.
    fn read(&self, line: &str) -> (Value, Result<Row, Vec<RowError>>) {
        let nothing = || Value::Object(Map::new());
        match serde_json::from_str::<Value>(line) {
            Ok(user) => {
                let row = row::read(self.connection, &user);
                (user, row)
            }
            Err(_) if line == TOO_LONG => {
                let told = format!("The user is longer than {} bytes", splitter::LONGEST);
                (nothing(), Err(vec![RowError::new("MAX_LENGTH", told)]))
            }
            Err(_) => (nothing(), Err(vec![RowError::new("FORMAT", "The user is not valid JSON")])),
        }
    }

    /// Who has the identifiers of these rows, in their order: one round trip.
    async fn look_up(&self, rows: impl Iterator<Item = &Row>) -> Result<Vec<Held>, db::Error> {
        const BY_EMAIL: &str =
            "SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2 AND email = $3";
        const BY_USERNAME: &str =
            "SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2 AND username = $3";
        const BY_PHONE: &str =
            "SELECT user_id FROM identities WHERE tenant = $1 AND connection = $2 AND phone = $3";
        const BY_ID: &str =
            "SELECT user_id FROM identities WHERE tenant = $1 AND provider = $2 AND subject = $3";
        let (tenant, connection) = (&self.job.tenant, &self.connection.name);
        let mut queries = Vec::new();
        let mut places = Vec::new();
        let mut count = 0;
        for row in rows {
            for (identifier, value) in identifiers(row) {
                let (sql, scope) = match identifier {
                    "email" => (BY_EMAIL, connection.as_str()),
                    "username" => (BY_USERNAME, connection.as_str()),
                    "phone_number" => (BY_PHONE, connection.as_str()),
                    _ => (BY_ID, "auth0"),
                };
                queries.push((sql.into(), params![tenant, scope, value]));
                places.push((count, identifier));
            }
            count += 1;
        }
        let mut held: Vec<Held> = (0..count).map(|_| Held::default()).collect();
        if queries.is_empty() {
            return Ok(held);
        }
        let found = self.app.db.snapshot(queries).await?;
        for ((place, identifier), rows) in places.into_iter().zip(found) {
            let Some(mut row) = rows.into_iter().next() else { continue };
            let user = Some(row.take()?);
            let held = &mut held[place];
            match identifier {
                "email" => held.email = user,
                "username" => held.username = user,
                "phone_number" => held.phone = user,
                _ => held.id = user,
            }
        }
        Ok(held)
    }

    /// Adds the user of a row, or what the row changes of the user who has its address.
    async fn write(
        &mut self,
        batch: &mut Batch,
        row: &Row,
        held: Held,
    ) -> Result<Result<Written, Vec<RowError>>, db::Error> {
        let refused = |code, text: &str| Ok(Err(vec![RowError::new(code, text)]));
        for (identifier, value) in identifiers(row) {
            if !self.taken.insert((identifier, value)) {
                return refused("DUPLICATED_USER", "The user is in the file twice");
            }
        }
        let exists =
            held.email.is_some() || held.username.is_some() || held.phone.is_some() || held.id.is_some();
        if !exists {
            self.insert(batch, row);
            return Ok(Ok(Written::Inserted));
        }
        if !self.job.progress.upsert {
            return refused("DUPLICATED_USER", "The user already exist and upsert parameter is false");
        }
        let Some(id) = held.email else {
            return match held.username {
                Some(_) => refused("CONFLICT_USERNAME", "The username belongs to another user"),
                None => refused("CONFLICT", "The user already exists with another email"),
            };
        };
        if held.username.is_some_and(|other| other != id) {
            return refused("CONFLICT_USERNAME", "The username belongs to another user");
        }
        if held.id.is_some_and(|other| other != id) || held.phone.is_some_and(|other| other != id) {
            return refused("CONFLICT", "The user_id or phone_number belongs to another user");
        }
        let Some(user) = users::find(&self.app.db, &self.job.tenant, &id).await? else {
            return refused("CONFLICT", "The user was deleted meanwhile");
        };
        if user.primary().connection != self.connection.name {
            return refused(
                "CONFLICT_EMAIL",
                "The email belongs to an account that was linked to another user",
            );
        }
        if !row.factors.is_empty() {
            let present = crate::factors::list(&self.app.db, &self.job.tenant, &id).await?;
            if present.iter().any(Factor::is_confirmed) {
                return refused("MFA_FACTORS_FAILED", "The user has second factors already");
            }
        }
        if let Some(id) = &row.new.user_id
            && user.primary().user_id != *id
        {
            return refused("CONFLICT_EMAIL", "The email belongs to a user with another user_id");
        }
        self.update(batch, row, user).await?;
        Ok(Ok(Written::Updated))
    }

    fn insert(&self, batch: &mut Batch, row: &Row) {
        let (app, tenant) = (self.app, &self.job.tenant);
        let mut user = users::new_database_user(app, tenant, self.connection, row.new.clone());
        if !row.factors.is_empty() {
            crate::factors::mark(&mut user);
        }
        users::insert(batch, &user);
        self.add_factors(batch, row, &user.id);
        if let Some(hash) = &row.hash {
            let password = NewPassword::of_hash(self.connection, hash.clone());
            password.set(batch, tenant, user.primary(), app.clock.now());
        }
    }

    fn add_factors(&self, batch: &mut Batch, row: &Row, user: &UserId) {
        for factor in &row.factors {
            let factor = factor.factor(self.app, &self.job.tenant, user);
            crate::factors::insert(batch, &self.job.tenant, &factor);
        }
    }

    /// What an import may change of a user: the profile, metadata as a whole, a custom hash with which nobody signed in yet, and the
    /// second factors of whoever has none.
    async fn update(&self, batch: &mut Batch, row: &Row, mut user: User) -> Result<(), db::Error> {
        let (now, new) = (self.app.clock.now(), &row.new);
        user.updated_at = now;
        let fields = [
            (&mut user.name, &new.name),
            (&mut user.nickname, &new.nickname),
            (&mut user.given_name, &new.given_name),
            (&mut user.family_name, &new.family_name),
            (&mut user.picture, &new.picture),
        ];
        for (field, value) in fields {
            if value.is_some() {
                field.clone_from(value);
            }
        }
        if new.user_metadata.is_some() {
            user.user_metadata.clone_from(&new.user_metadata);
        }
        if new.app_metadata.is_some() {
            user.app_metadata.clone_from(&new.app_metadata);
        }
        if let Some(verified) = row.email_verified {
            user.email_verified = verified;
        }
        if !row.factors.is_empty() {
            crate::factors::mark(&mut user);
        }
        users::save(batch, &mut user);
        self.add_factors(batch, row, &user.id);
        if let Some(hash) = row.hash.as_ref().filter(|_| row.is_custom_hash && user.last_login.is_none()) {
            let identity = user.primary();
            if let Some(present) = self.present(&user).await? {
                // Who signs in meanwhile gets a hash of their own, which stays.
                credentials::unchanged(batch, &user.tenant, identity, &present);
            }
            NewPassword::of_hash(self.connection, hash.clone()).set(batch, &user.tenant, identity, now);
        }
        Ok(())
    }

    async fn present(&self, user: &User) -> Result<Option<Credential>, db::Error> {
        credentials::find(&self.app.db, &user.tenant, user.primary()).await
    }
}

/// What a row's user is found by, in the form in which it is compared.
fn identifiers(row: &Row) -> impl Iterator<Item = (&'static str, String)> + '_ {
    let new = &row.new;
    [
        ("email", new.email.as_deref().map(fold_email)),
        ("username", new.username.as_deref().map(fold_username)),
        ("phone_number", new.phone_number.as_deref().map(fold_phone)),
        ("user_id", new.user_id.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}
