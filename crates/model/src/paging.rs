//! Pages of lists: by offset, or by a checkpoint token that continues where the last page ended (management contract §2.5).

use db::{Row, Value};

use crate::ids::TenantId;
use crate::{Model, seal};

/// Which part of a list is asked for.
#[derive(Clone, Debug)]
pub enum Paging {
    /// `page` counts from 0; `totals` asks for the number of all matches.
    Offset {
        /// Number of the page, from 0.
        page: u32,
        /// Items on a page.
        per_page: u32,
        /// Whether the number of all matches is counted.
        totals: bool,
    },
    /// From where `after` ended, or from the start.
    Checkpoint {
        /// The `next` of the page before.
        after: Option<String>,
        /// Items on a page.
        take: u32,
    },
}

impl Default for Paging {
    fn default() -> Self {
        Self::Offset { page: 0, per_page: 50, totals: false }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items, oldest first unless the list says otherwise.
    pub items: Vec<T>,
    /// All matches, when asked for.
    pub total: Option<u64>,
    /// The token for the next page; `None` on the last page and with offsets.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The same page of other items.
    pub fn map<U, E>(self, change: impl FnMut(T) -> Result<U, E>) -> Result<Page<U>, E> {
        let items = self.items.into_iter().map(change).collect::<Result<_, E>>()?;
        Ok(Page { items, total: self.total, next: self.next })
    }
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The checkpoint token was not made by this list of this tenant.
    #[error("the checkpoint token is not valid")]
    Checkpoint,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] db::Error),
}

/// A list query: `SELECT order keys, columns FROM table WHERE tenant = … AND … ORDER BY keys`.
///
/// All SQL in it is `'static`; input goes into parameters only.
pub struct List<'a> {
    tenant: &'a TenantId,
    table: &'static str,
    keys: [&'static str; 2],
    columns: &'static str,
    conditions: String,
    params: Vec<Value>,
}

impl<'a> List<'a> {
    /// The rows of `table` in order of `keys`: a BIGINT and, since several rows may share it, a unique TEXT.
    pub fn new(
        tenant: &'a TenantId,
        table: &'static str,
        keys: [&'static str; 2],
        columns: &'static str,
    ) -> Self {
        let params = vec![Value::from(tenant)];
        Self { tenant, table, keys, columns, conditions: "tenant = $1".into(), params }
    }

    /// Keeps the rows whose `column` equals the value, if there is one to compare with.
    pub fn equals(&mut self, column: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.params.push(value.into());
            self.conditions.push_str(&format!(" AND {column} = ${}", self.params.len()));
        }
    }

    /// Keeps the rows whose `column` is one of the values, if there are any.
    pub fn one_of(&mut self, column: &'static str, values: &[String]) {
        if values.is_empty() {
            return;
        }
        let first = self.params.len() + 1;
        self.params.extend(values.iter().map(Value::from));
        let markers: Vec<_> = (first..=self.params.len()).map(|number| format!("${number}")).collect();
        self.conditions.push_str(&format!(" AND {column} IN ({})", markers.join(", ")));
    }

    /// Keeps the rows for which `condition`, whose single marker is written `$?`, holds.
    pub fn such_that(&mut self, condition: &'static str, value: impl Into<Value>) {
        self.params.push(value.into());
        let marker = format!("${}", self.params.len());
        self.conditions.push_str(" AND ");
        self.conditions.push_str(&condition.replace("$?", &marker));
    }

    /// Reads the page. The rows hold `columns` only.
    pub async fn read(self, app: &Model, paging: &Paging) -> Result<Page<Row>, Error> {
        let Self { tenant, table, keys: [key, id], columns, conditions, params } = self;
        let context = seal::context("checkpoint", &[tenant.as_str()], table);
        let (after, limit, offset, totals) = match paging {
            Paging::Offset { page, per_page, totals } => {
                (None, *per_page, u64::from(*page) * u64::from(*per_page), *totals)
            }
            Paging::Checkpoint { after: None, take } => (None, *take, 0, false),
            Paging::Checkpoint { after: Some(token), take } => {
                (Some(Checkpoint::open(app, &context, token)?), *take, 0, false)
            }
        };
        let count = totals
            .then(|| (format!("SELECT COUNT(*) FROM {table} WHERE {conditions}").into(), params.clone()));

        let mut rows_params = params;
        let mut rows_conditions = conditions;
        if let Some(after) = after {
            let at = rows_params.len() + 1;
            rows_params.extend([Value::from(after.key), Value::from(after.id)]);
            rows_conditions.push_str(&format!(" AND ({key}, {id}) > (${at}, ${})", at + 1));
        }
        let at = rows_params.len() + 1;
        // One row more than asked for tells whether there is a next page.
        rows_params.extend([
            Value::from(i64::from(limit) + 1),
            Value::from(i64::try_from(offset).unwrap_or(i64::MAX)),
        ]);
        let rows_sql = format!(
            "SELECT {key}, {id}, {columns} FROM {table} WHERE {rows_conditions} \
             ORDER BY {key}, {id} LIMIT ${at} OFFSET ${}",
            at + 1
        );

        let mut queries = vec![(rows_sql.into(), rows_params)];
        queries.extend(count);
        let mut answers = app.db.snapshot(queries).await?.into_iter();
        let rows = answers.next().unwrap_or_default();
        let total = match answers.next().and_then(|rows| rows.into_iter().next()) {
            Some(mut row) => Some(u64::try_from(row.take::<i64>()?).unwrap_or_default()),
            None => None,
        };

        let more = rows.len() > limit as usize;
        let mut last = None;
        let mut items = Vec::with_capacity(rows.len());
        for mut row in rows.into_iter().take(limit as usize) {
            last = Some(Checkpoint { key: row.take()?, id: row.take()? });
            items.push(row);
        }
        let next = match (paging, last) {
            (Paging::Checkpoint { .. }, Some(last)) if more => Some(last.seal(app, &context)),
            _ => None,
        };
        Ok(Page { items, total, next })
    }
}

/// The order keys of the last row of a page. Its token is sealed, so that it can neither be read nor made up.
struct Checkpoint {
    key: i64,
    id: String,
}

impl Checkpoint {
    fn seal(&self, app: &Model, context: &str) -> String {
        app.seal.seal_text(context, &format!("{},{}", self.key, self.id))
    }

    fn open(app: &Model, context: &str, token: &str) -> Result<Self, Error> {
        let plain = app.seal.open_text(context, token).map_err(|_| Error::Checkpoint)?;
        let (key, id) = plain.split_once(',').ok_or(Error::Checkpoint)?;
        Ok(Self { key: key.parse().map_err(|_| Error::Checkpoint)?, id: id.into() })
    }
}
