//! All that a database holds, table by table: a digest of it, and a copy of it in another database.
//!
//! The schema is read from SQLite, whose declared types are those of the migrations; both engines run the same ones.

use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256};

use crate::{Batch, Db, Engine, Error, Row, Value, params};

/// Rows read and written at a time: some of them hold a quarter of a MiB.
const PAGE: usize = 100;

/// What this crate keeps for itself: the schema is compared by migrating, and changes are for the nodes that run now.
const OWN: [&str; 3] = ["schema_migrations", "changes", "changes_counter"];

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The table.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 over its rows in the order of their keys, in hexadecimal.
    pub digest: String,
}

/// One digest for what all tables hold, in hexadecimal.
pub fn total(contents: &[Contents]) -> String {
    let mut hash = Context::new(&SHA256);
    for Contents { table, rows, digest } in contents {
        hash.update(format!("{table} {rows} {digest}\n").as_bytes());
    }
    hex(hash)
}

/// A table as it was declared.
#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<Column>,
    /// The places of its key's columns, in the key's order.
    key: Vec<usize>,
    /// The tables that it refers to.
    parents: Vec<String>,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bool,
    Json,
    /// As SQLite gives it.
    Plain,
}

impl Db {
    /// What each table holds, parents first. On SQLite alone; the database must not change meanwhile. Errors: `Failed`.
    pub async fn contents(&self) -> Result<Vec<Contents>, Error> {
        let tables = tables(self).await?;
        contents(self, &tables).await
    }

    /// Copies every row into `to`, which has the same migrations and no rows yet, reads all of it back there, and compares. This
    /// database is SQLite, and nothing else writes to either.
    ///
    /// Errors: `Failed` when `to` holds rows already, or in the end something else than this database.
    pub async fn copy_to(&self, to: &Self) -> Result<Vec<Contents>, Error> {
        let tables = tables(self).await?;
        for table in &tables {
            let Table { name, .. } = table;
            let sql = format!("SELECT 1 FROM {name} LIMIT 1");
            if to.read_one(sql, params![]).await?.is_some() {
                return Err(Error::Failed(format!("the other database is not empty: {name} has rows")));
            }
        }
        let mut copied = Vec::with_capacity(tables.len());
        for table in &tables {
            let mut sum = Sum::new(table);
            let mut pages = Pages::of(table);
            while let Some(rows) = pages.next(self).await? {
                rows.iter().for_each(|row| sum.add(row));
                to.commit(table.insert(rows)).await?;
            }
            if let Engine::Postgres(postgres) = &to.0.engine {
                postgres.analyze(&table.name).await?;
            }
            copied.push(sum.end());
        }
        let found = contents(to, &tables).await?;
        match copied.iter().zip(&found).find(|(copied, found)| copied != found) {
            Some((copied, _)) => {
                Err(Error::Failed(format!("the copy of {} differs from the original", copied.table)))
            }
            None => Ok(copied),
        }
    }
}

async fn contents(db: &Db, tables: &[Table]) -> Result<Vec<Contents>, Error> {
    let mut all = Vec::with_capacity(tables.len());
    for table in tables {
        let mut sum = Sum::new(table);
        let mut pages = Pages::of(table);
        while let Some(rows) = pages.next(db).await? {
            rows.iter().for_each(|row| sum.add(row));
        }
        all.push(sum.end());
    }
    Ok(all)
}

/// A digest that grows row by row.
struct Sum<'a> {
    table: &'a Table,
    rows: u64,
    hash: Context,
}

impl<'a> Sum<'a> {
    fn new(table: &'a Table) -> Self {
        Self { table, rows: 0, hash: Context::new(&SHA256) }
    }

    /// Each value by its kind and its length, so that no two rows look alike.
    fn add(&mut self, row: &[Value]) {
        let mut part = |kind: u8, bytes: &[u8]| {
            self.hash.update(&[kind]);
            self.hash.update(&(bytes.len() as u64).to_be_bytes());
            self.hash.update(bytes);
        };
        for value in row {
            match value {
                Value::Null => part(b'0', &[]),
                Value::Bool(value) => part(b'b', &[u8::from(*value)]),
                Value::Int(value) => part(b'i', &value.to_be_bytes()),
                Value::Real(value) => part(b'r', &value.to_be_bytes()),
                Value::Text(text) => part(b't', text.as_bytes()),
                Value::Bytes(bytes) => part(b'y', bytes),
                Value::Json(text) => part(b'j', text.as_bytes()),
            }
        }
        self.rows += 1;
    }

    fn end(self) -> Contents {
        Contents { table: self.table.name.clone(), rows: self.rows, digest: hex(self.hash) }
    }
}

fn hex(hash: Context) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash.finish().as_ref() {
        write!(text, "{byte:02x}").expect("a string takes all");
    }
    text
}

/// A table's rows in the order of its key, a page at a time.
struct Pages<'a> {
    table: &'a Table,
    after: Option<Vec<Value>>,
    ended: bool,
}

impl<'a> Pages<'a> {
    fn of(table: &'a Table) -> Self {
        Self { table, after: None, ended: false }
    }

    async fn next(&mut self, db: &Db) -> Result<Option<Vec<Vec<Value>>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let rows = db.scan(self.table.select(self.after.is_some()), self.after.take().unwrap_or_default());
        let rows = rows.await?.into_iter().map(|row| self.table.values(row));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        self.ended = rows.len() < PAGE;
        self.after = rows.last().map(|row| self.table.key.iter().map(|place| row[*place].clone()).collect());
        Ok((!rows.is_empty()).then_some(rows))
    }
}

impl Table {
    /// All columns of the next page, behind a key where there is one.
    fn select(&self, behind: bool) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
        let key = self.key.iter().map(|place| columns[*place]).collect::<Vec<_>>().join(", ");
        let condition = match behind {
            true => format!("WHERE ({key}) > ({}) ", markers(1, self.key.len())),
            false => String::new(),
        };
        format!("SELECT {} FROM {} {condition}ORDER BY {key} LIMIT {PAGE}", columns.join(", "), self.name)
    }

    fn insert(&self, rows: Vec<Vec<Value>>) -> Batch {
        let (width, count) = (self.columns.len(), rows.len());
        let columns: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
        let places: Vec<_> = (0..count).map(|row| format!("({})", markers(row * width + 1, width))).collect();
        let mut batch = Batch::new();
        let sql = format!("INSERT INTO {} ({}) VALUES {}", self.name, columns.join(", "), places.join(", "));
        batch.execute(sql, rows.into_iter().flatten().collect()).expect(count as u64);
        batch
    }

    /// The values of a row, of one kind each on both engines.
    fn values(&self, mut row: Row) -> Result<Vec<Value>, Error> {
        let typed = |column: &Column| {
            let value: Value = row.take()?;
            match (column.kind, value) {
                (Kind::Bool, Value::Int(value @ (0 | 1))) => Ok(Value::Bool(value == 1)),
                (Kind::Json, Value::Text(text)) => Ok(Value::Json(text)),
                (_, value) => Ok(value),
            }
        };
        self.columns.iter().map(typed).collect()
    }
}

fn markers(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
}

/// Every table of a SQLite database, each behind those that it refers to.
async fn tables(db: &Db) -> Result<Vec<Table>, Error> {
    let Engine::Sqlite(_) = &db.0.engine else {
        return Err(Error::Failed("the tables are read from SQLite alone".into()));
    };
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite$_%' ESCAPE '$' ORDER BY name LIMIT 1000";
    let mut waiting = Vec::new();
    for mut row in db.scan(sql, params![]).await? {
        let name: String = row.take()?;
        if !OWN.contains(&&*name) && name != crate::backup::TABLE {
            waiting.push(table(db, name).await?);
        }
    }
    let mut ordered: Vec<Table> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let known = |name: &String| ordered.iter().any(|table| table.name == *name);
        let Some(next) = waiting.iter().position(|table| table.parents.iter().all(known)) else {
            return Err(Error::Failed("tables refer to each other in a circle".into()));
        };
        ordered.push(waiting.remove(next));
    }
    Ok(ordered)
}

async fn table(db: &Db, name: String) -> Result<Table, Error> {
    let sql = "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid LIMIT 1000";
    let (mut columns, mut key) = (Vec::new(), Vec::new());
    for mut row in db.scan(sql, params![&name]).await? {
        let (column, declared, place): (String, String, i64) = (row.take()?, row.take()?, row.take()?);
        let kind = match &*declared {
            "BOOLEAN" => Kind::Bool,
            "JSON" => Kind::Json,
            "TEXT" | "BIGINT" | "DOUBLE PRECISION" | "BYTEA" => Kind::Plain,
            other => return Err(Error::Failed(format!("{name}.{column} is of the type {other}"))),
        };
        if place > 0 {
            key.push((place, columns.len()));
        }
        columns.push(Column { name: column, kind });
    }
    if key.is_empty() {
        return Err(Error::Failed(format!("the table {name} has no key")));
    }
    key.sort_unstable();
    let sql = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1) LIMIT 1000";
    let parents = db.scan(sql, params![&name]).await?.into_iter().map(|mut row| row.take());
    let parents = parents.collect::<Result<Vec<String>, _>>()?.into_iter().filter(|parent| *parent != name);
    let parents = parents.collect();
    Ok(Table { name, columns, key: key.into_iter().map(|(_, place)| place).collect(), parents })
}
