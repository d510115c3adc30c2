//! The My Account API, `/me/v1`: what people see and change of their own account, with a token whose audience is this API
//! (authentication contract §12).
//!
//! Everything here is the token subject's: no path, query or body names a user.

mod methods;
pub(crate) mod problem;

use std::sync::{Arc, LazyLock};

use axum::extract::State;
use axum::http::Method;
use model::factors::Kind;
use model::self_service::Change;
use model::users::User;
use model::{App, guardian};
use serde_json::{Value, json};

use crate::access::{Grant, Reach};
use crate::answers::Answer;
use crate::errors::Error;
use crate::limits::{Limiter, Limits};
use crate::operations::{Api, Operation, own_row};
use crate::table::Table;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// What every factor here is used as: after another proof.
const USAGE: [&str; 1] = ["secondary"];

/// Everything below `/me/v1`. The columns are kept by hand.
#[rustfmt::skip]
pub(crate) fn table(table: Table) -> Table {
    table
        .op(GET, "/authentication-methods", "Get a list of authentication methods", &[own_row("read:me:authentication_methods")], methods::list)
        .op(POST, "/authentication-methods", "Start the enrollment of an authentication method", &[own_row("create:me:authentication_methods")], methods::create)
        .op(GET, "/authentication-methods/{authentication_method_id}", "Get an authentication method by ID", &[own_row("read:me:authentication_methods")], methods::get)
        .op(PATCH, "/authentication-methods/{authentication_method_id}", "Update details of an authentication method by ID", &[own_row("update:me:authentication_methods")], methods::update)
        .op(DELETE, "/authentication-methods/{authentication_method_id}", "Delete an authentication method by ID",
            &[own_row("delete:me:authentication_methods").asking(Change::RemoveFactor)], methods::remove)
        .op(POST, "/authentication-methods/{authentication_method_id}/verify", "Confirm the enrollment of an authentication method", &[own_row("create:me:authentication_methods")], methods::verify)

        .op(GET, "/factors", "Get the status of all factors", &[own_row("read:me:factors")], factors)
}

/// The operations, in the order of the table.
pub fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let limiter = Arc::new(Limiter::new(Limits::default()));
        table(Table::new(Api::MyAccount, limiter)).operations()
    });
    &OPERATIONS
}

/// The caller's own user, as they are now.
///
/// # Errors
/// 401 when the token no longer speaks for them.
async fn person(app: &App, grant: &Grant) -> Result<User, Error> {
    let Reach::Own(id) = &grant.reach else { return Err(Error::Internal) };
    grant.user(app, id).await?.ok_or(Error::InvalidToken)
}

/// `GET /factors`: the kinds that can be enrolled.
async fn factors(State(app): State<App>, grant: Grant) -> Result<Answer<Value>, Error> {
    let guardian = guardian::find(&app, &grant.tenant.id).await?;
    let offered = Kind::ALL.into_iter().filter(|kind| guardian.offers(*kind));
    let factors: Vec<_> = offered.map(|kind| json!({ "type": kind.as_str(), "usage": USAGE })).collect();
    Ok(Answer(json!({ "factors": factors })))
}
