//! A table of operations in the making: each becomes a route whose handler runs only after the access rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter};
use model::App;

use crate::errors::Error;
use crate::gate;
use crate::limits::Limiter;
use crate::operations::{Api, Operation, Scope};

/// The operations of an API.
pub struct Table {
    api: Api,
    limiter: Arc<Limiter>,
    operations: Vec<Arc<Operation>>,
    paths: BTreeMap<&'static str, MethodRouter<App>>,
}

impl Table {
    /// Without any operation yet.
    pub fn new(api: Api, limiter: Arc<Limiter>) -> Self {
        Self { api, limiter, operations: Vec::new(), paths: BTreeMap::new() }
    }

    /// Adds an operation. Its handler runs only after the access rule.
    pub fn op<H: Handler<T, App>, T: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        title: &'static str,
        scopes: &[Scope],
        handler: H,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("the table names known methods");
        let scopes = scopes.to_vec();
        let operation = Arc::new(Operation { api: self.api, method, path, title, scopes });
        let (limiter, guarded) = (self.limiter.clone(), operation.clone());
        let serve = move |State(app): State<App>, request: Request| {
            gate::serve(guarded.clone(), limiter.clone(), app, request, handler.clone())
        };
        self.operations.push(operation);
        let methods = self.paths.remove(path).unwrap_or_default();
        self.paths.insert(path, methods.on(filter, serve));
        self
    }

    /// The routes, below the API's own path.
    pub fn router(self) -> Router<App> {
        let api = self.api;
        let mut router = Router::new();
        for (path, methods) in self.paths {
            let refuse = async move |State(app): State<App>| gate::refuse(&app, api, Error::NoMethod);
            router = router.route(path, methods.fallback(refuse));
        }
        router.fallback(async move |State(app): State<App>| gate::refuse(&app, api, Error::NoRoute))
    }

    /// The operations, in the order of the table.
    pub fn operations(&self) -> Vec<Operation> {
        self.operations.iter().map(|operation| Operation::clone(operation)).collect()
    }
}
