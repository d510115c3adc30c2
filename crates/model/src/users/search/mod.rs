//! The `q` parameter of user and log lists: Auth0's Lucene dialect (management contract §3.1), as much of it as SQL serves.
//!
//! A query is parsed to a tree, whose length, depth and size are bounded, and the tree is written as fixed SQL fragments with
//! parameters: no character of the query ever gets into a statement. Only the fields of a [`Schema`] can be searched.
//!
//! Understood: `field:value`, `field:"phrase"`, bare terms, `AND` `OR` `NOT` `+` `-` and parentheses, `field:("a" OR "b")`,
//! `_exists_:field`, the wildcards `*` and `?`, ranges `[a TO b]` `{a TO b}` and `>=a`, and `\` escapes. Metadata is compared by
//! equality; elements of arrays are not looked into.

mod compile;
mod parse;
mod schema;

use db::Value as Bound;

pub use schema::{Field, Kind, Schema, USERS};

/// Why a query is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// Longer, deeper or of more clauses than is served.
    #[error("the query is too long or too complex")]
    TooComplex,
    /// Quotes or parentheses do not match, or an operator lacks its operand.
    #[error("the query cannot be parsed at character {0}")]
    Syntax(usize),
    /// Nothing can be searched by this name.
    #[error("the field {0} cannot be searched")]
    Field(String),
    /// The value does not fit the field: not a date, not a number, not a boolean.
    #[error("the value of {0} is not valid")]
    Value(String),
    /// Regular expressions, fuzzy terms, and wildcards with too little to look for.
    #[error("{0} is not supported")]
    Unsupported(&'static str),
}

/// A query that can be run: a condition on the table of its schema whose parameters are numbered from `$2`; `$1` is the tenant.
#[derive(Clone, Debug)]
pub struct Filter {
    sql: String,
    params: Vec<Bound>,
}

impl Filter {
    /// Reads a query against a schema.
    pub fn parse(query: &str, schema: &'static Schema) -> Result<Self, SearchError> {
        let tree = parse::parse(query)?;
        let (sql, params) = compile::compile(&tree, schema)?;
        Ok(Self { sql, params })
    }

    /// The condition, in parentheses.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its parameters, from `$2` on.
    pub fn params(&self) -> &[Bound] {
        &self.params
    }
}
