//! The table of operations: one line each, with its scopes in the order of the published list and what each of them grants.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter};
use model::App;

use crate::errors::Error;
use crate::limits::{Limiter, Limits};
use crate::operations::{Operation, Power, Scope, everyone, own_id, power};
use crate::{gate, users};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Everything below `/api/v2`. The columns are kept by hand.
#[rustfmt::skip]
fn table(table: Table) -> Table {
    use Power::{AddMetadataOnly, AppMetadataOnly, IdpTokens};

    table
        .op(GET, "/users", "List or Search Users", &[everyone("read:users"), power("read:user_idp_tokens", IdpTokens)], users::list)
        .op(POST, "/users", "Create a User", &[everyone("create:users")], users::create)
        .op(GET, "/users-by-email", "Search Users by Email", &[everyone("read:users")], users::by_email)
        .op(GET, "/users/{id}", "Get a User", &[everyone("read:users"), own_id("read:current_user"), power("read:user_idp_tokens", IdpTokens)], users::get)
        .op(PATCH, "/users/{id}", "Update a User", &[everyone("update:users"), power("update:users_app_metadata", AppMetadataOnly),
            own_id("update:current_user_metadata"), own_id("create:current_user_metadata").with(AddMetadataOnly).unnamed()], users::update)
        .op(DELETE, "/users/{id}", "Delete a User", &[everyone("delete:users"), own_id("delete:current_user")], users::delete)
}

/// The routes of the Management API, to be merged at the root.
pub fn routes() -> Router<App> {
    routes_with(Limits::default())
}

/// [`routes`] with other rate limits.
pub fn routes_with(limits: Limits) -> Router<App> {
    let Table { paths, .. } = table(Table::new(limits));
    let mut api = Router::new();
    for (path, methods) in paths {
        api = api.route(
            path,
            methods.fallback(async |State(app): State<App>| gate::refuse(&app, Error::NoMethod)),
        );
    }
    Router::new()
        .nest("/api/v2", api.fallback(async |State(app): State<App>| gate::refuse(&app, Error::NoRoute)))
}

/// The operations, in the order of the table.
pub fn operations() -> &'static [Operation] {
    static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        let Table { operations, .. } = table(Table::new(Limits::default()));
        operations.iter().map(|operation| Operation::clone(operation)).collect()
    });
    &OPERATIONS
}

/// The table in the making.
struct Table {
    limiter: Arc<Limiter>,
    operations: Vec<Arc<Operation>>,
    paths: BTreeMap<&'static str, MethodRouter<App>>,
}

impl Table {
    fn new(limits: Limits) -> Self {
        Self { limiter: Arc::new(Limiter::new(limits)), operations: Vec::new(), paths: BTreeMap::new() }
    }

    /// Adds an operation. Its handler runs only after the access rule.
    fn op<H: Handler<T, App>, T: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        title: &'static str,
        scopes: &[Scope],
        handler: H,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("the table names known methods");
        let operation = Arc::new(Operation { method, path, title, scopes: scopes.to_vec() });
        let (limiter, guarded) = (self.limiter.clone(), operation.clone());
        let serve = move |State(app): State<App>, request: Request| {
            gate::serve(guarded.clone(), limiter.clone(), app, request, handler.clone())
        };
        self.operations.push(operation);
        let methods = self.paths.remove(path).unwrap_or_default();
        self.paths.insert(path, methods.on(filter, serve));
        self
    }
}
