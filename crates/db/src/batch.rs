//! A batch: everything that one request writes, all of it or nothing.

use std::borrow::Cow;

use crate::cache::Key;
use crate::{Error, Row, Value};

/// The text of a statement. A literal is prepared once per connection; text that was built is prepared for each use.
pub type Sql = Cow<'static, str>;

/// The most statements that a batch may hold.
pub const MOST_STATEMENTS: usize = 1000;

/// Refuses what is no query: only a batch writes.
pub(crate) fn check_query(sql: &str, params: &[Value]) -> Result<(), Error> {
    let first = sql.split_ascii_whitespace().next().unwrap_or_default();
    if !["SELECT", "WITH"].iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return Err(Error::Failed(format!("`{sql}` is no query")));
    }
    params.iter().try_for_each(Value::check)
}

/// Statements that are written together or not at all, with what each must touch.
///
/// A condition protects only the row that its own statement writes, or a [`guard`](Batch::guard). Batches touch rows in one
/// order everywhere: parents before children, then by key.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) statements: Vec<Statement>,
    pub(crate) changes: Vec<Key>,
}

#[derive(Debug)]
pub(crate) struct Statement {
    pub sql: Sql,
    pub params: Vec<Value>,
    pub expect: Expect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Whatever it touches is fine.
    Any,
    /// It touches exactly so many rows.
    Rows(u64),
    /// It finds at least one row, which then stays as it is until the commit.
    Held,
}

impl Expect {
    pub fn holds(self, affected: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Rows(rows) => affected == rows,
            Self::Held => affected > 0,
        }
    }
}

impl Batch {
    /// A batch that writes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a statement, which may have a `RETURNING` clause.
    pub fn execute(&mut self, sql: impl Into<Sql>, params: Vec<Value>) -> Added<'_> {
        Added(self.add(sql.into(), params, Expect::Any))
    }

    /// Adds all of another batch behind what is there.
    pub fn append(&mut self, other: Self) {
        self.statements.extend(other.statements);
        for key in other.changes {
            if !self.changes.contains(&key) {
                self.changes.push(key);
            }
        }
    }

    /// Goes on only if `select` finds a row, and holds the rows it finds unchanged to the commit (`FOR SHARE` on PostgreSQL, which
    /// is appended here). It names one table and has no aggregate. Otherwise: `Conflict` with `affected` 0.
    pub fn guard(&mut self, select: impl Into<Sql>, params: Vec<Value>) {
        self.add(select.into(), params, Expect::Held);
    }

    /// Says that this batch changes the configuration `(kind, tenant, id)`: the commit drops it from this node's cache and appends
    /// it to `changes`, where the other nodes find it.
    pub fn changed(&mut self, kind: &'static str, tenant: &str, id: &str) {
        let key = Key::new(kind, tenant, id);
        if !self.changes.contains(&key) {
            self.changes.push(key);
        }
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.changes.is_empty()
    }

    fn add(&mut self, sql: Sql, params: Vec<Value>, expect: Expect) -> &mut Statement {
        let position = self.statements.len();
        self.statements.push(Statement { sql, params, expect });
        &mut self.statements[position]
    }

    /// Refuses a batch that is too long, or holds a value that only one engine would take.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.statements.len() > MOST_STATEMENTS {
            return Err(Error::Failed(format!(
                "a batch of {} statements; the most is {MOST_STATEMENTS}",
                self.statements.len()
            )));
        }
        self.statements.iter().flat_map(|statement| &statement.params).try_for_each(Value::check)
    }

    /// Appends the statements that number and log the changes. The counter comes last of all rows that are shared, and stays
    /// locked to the commit: so the numbers have no gaps and their order is the order of the commits.
    pub(crate) fn log_changes(&mut self) {
        let Ok(count) = i64::try_from(self.changes.len()) else { return };
        if count == 0 {
            return;
        }
        self.add("UPDATE changes_counter SET seq = seq + $1".into(), crate::params![count], Expect::Rows(1));
        for (before, key) in (0..count).rev().zip(std::mem::take(&mut self.changes)) {
            let (kind, tenant, id) = key.parts();
            self.add(
                "INSERT INTO changes (seq, kind, tenant, id) SELECT seq - $1, $2, $3, $4 FROM changes_counter".into(),
                crate::params![before, kind, tenant, id],
                Expect::Rows(1),
            );
            self.changes.push(key);
        }
    }
}

/// A statement that was just added.
#[derive(Debug)]
pub struct Added<'a>(&'a mut Statement);

impl Added<'_> {
    /// It must touch exactly `rows` rows, or nothing of the batch is written and the commit answers `Conflict`.
    pub fn expect(self, rows: u64) {
        self.0.expect = Expect::Rows(rows);
    }
}

/// What a commit did, by the statements' positions in the batch.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many rows each touched, or for a guard found.
    pub affected: Vec<u64>,
    /// The rows of each `RETURNING` clause; none for a statement without.
    pub rows: Vec<Vec<Row>>,
}
