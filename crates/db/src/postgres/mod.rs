//! PostgreSQL.

use std::sync::Arc;

use crate::cache::Cache;
use crate::{Batch, Error, Migration, Outcome, Row, Sql, Value};

pub(crate) struct Postgres {}

impl Postgres {
    pub async fn open(_url: &str, _cache: Arc<Cache>) -> Result<Self, Error> {
        Err(missing())
    }
    pub async fn migrate(&self, _migrations: &'static [Migration]) -> Result<(), Error> {
        Err(missing())
    }
    pub async fn read(&self, _sql: &Sql, _params: &[Value]) -> Result<Vec<Row>, Error> {
        Err(missing())
    }
    pub async fn snapshot(&self, _queries: &[(Sql, Vec<Value>)]) -> Result<Vec<Vec<Row>>, Error> {
        Err(missing())
    }
    pub async fn commit(&self, _batch: Batch) -> Result<Outcome, Error> {
        Err(missing())
    }
    pub async fn close(&self) {}
}

fn missing() -> Error {
    Error::Failed("PostgreSQL is not built in yet".into())
}
