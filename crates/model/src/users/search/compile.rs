//! From the tree of a query to SQL: fixed fragments, and parameters for all that came from outside.

use db::Value as Bound;

use super::parse::{Bound as End, Node, Piece, Test};
use super::{Field, Kind, Schema, SearchError};
use crate::identities::fold_name;

/// The deepest path into metadata.
const MOST_KEYS: usize = 8;
/// The least text that a term beginning with a wildcard must have.
const LEAST_TEXT: usize = 3;

const DAY: i64 = 86_400_000;

pub(super) fn compile(tree: &Node, schema: &'static Schema) -> Result<(String, Vec<Bound>), SearchError> {
    let mut compiler = Compiler { schema, params: Vec::new() };
    let sql = compiler.node(tree)?;
    Ok((sql, compiler.params))
}

struct Compiler {
    schema: &'static Schema,
    params: Vec<Bound>,
}

impl Compiler {
    /// The marker of a new parameter. `$1` is the tenant.
    fn bind(&mut self, value: impl Into<Bound>) -> String {
        self.params.push(value.into());
        format!("${}", self.params.len() + 1)
    }

    fn node(&mut self, node: &Node) -> Result<String, SearchError> {
        match node {
            Node::And(all) => self.joined(all, " AND "),
            Node::Or(any) => self.joined(any, " OR "),
            // What is not known does not match, so its negation does.
            Node::Not(node) => Ok(format!("(NOT COALESCE({}, FALSE))", self.node(node)?)),
            Node::Term(Some(name), test) => self.named(name, test),
            Node::Term(None, test) => self.bare(test),
        }
    }

    fn joined(&mut self, nodes: &[Node], operator: &str) -> Result<String, SearchError> {
        let parts: Vec<String> = nodes.iter().map(|node| self.node(node)).collect::<Result<_, _>>()?;
        Ok(format!("({})", parts.join(operator)))
    }

    fn bare(&mut self, test: &Test) -> Result<String, SearchError> {
        let fields = self.schema.bare.iter().filter_map(|name| self.field(name));
        let mut parts = Vec::new();
        for field in fields.collect::<Vec<_>>() {
            parts.push(match test {
                Test::Equals(word) if field.kind == Kind::Words => {
                    let pattern = [Piece::Any, Piece::Text(word.clone()), Piece::Any];
                    let marker = self.bind(pattern_of(&pattern, Kind::Words));
                    format!("{} LIKE {marker} ESCAPE '\\'", field.column)
                }
                test => self.test(field, test)?,
            });
        }
        Ok(format!("({})", parts.join(" OR ")))
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.schema.fields.iter().find(|field| field.name == name)
    }

    fn named(&mut self, name: &str, test: &Test) -> Result<String, SearchError> {
        if let Some(field) = self.field(name) {
            return self.test(field, test);
        }
        let unknown = || SearchError::Field(name.to_owned());
        let (root, path) = name.split_once('.').ok_or_else(unknown)?;
        let (_, column) = self.schema.metadata.iter().find(|(name, _)| *name == root).ok_or_else(unknown)?;
        let keys: Vec<&str> = path.split('.').collect();
        if keys.iter().any(|key| key.is_empty() || key.contains('$')) || keys.len() > MOST_KEYS {
            return Err(unknown());
        }
        self.metadata(column, &keys, test)
    }

    /// JSON texts are compared, which both engines render alike: `"teal"`, `5`, `true`.
    fn metadata(&mut self, column: &str, keys: &[&str], test: &Test) -> Result<String, SearchError> {
        let mut value = column.to_owned();
        for key in keys {
            let marker = self.bind(*key);
            value = format!("({value} -> CAST({marker} AS TEXT))");
        }
        match test {
            Test::Exists => Ok(format!("CAST({value} AS TEXT) <> 'null'")),
            Test::Equals(wanted) => {
                let text = self.bind(serde_json::Value::from(wanted.as_str()).to_string());
                let plain = matches!(
                    serde_json::from_str(wanted),
                    Ok(serde_json::Value::Bool(_) | serde_json::Value::Number(_))
                );
                if plain {
                    let plain = self.bind(wanted.as_str());
                    return Ok(format!("CAST({value} AS TEXT) IN ({text}, {plain})"));
                }
                Ok(format!("CAST({value} AS TEXT) = {text}"))
            }
            Test::Like(_) | Test::Range(..) => {
                Err(SearchError::Unsupported("a wildcard or range on metadata"))
            }
        }
    }

    fn test(&mut self, field: &Field, test: &Test) -> Result<String, SearchError> {
        let column = field.column;
        if field.kind == Kind::Identity {
            let condition = self.text(Kind::Text, column, test)?;
            return Ok(format!(
                "EXISTS (SELECT 1 FROM identities x WHERE x.tenant = u.tenant AND x.user_id = u.id AND {condition})"
            ));
        }
        if *test == Test::Exists {
            return Ok(format!("{column} IS NOT NULL"));
        }
        match field.kind {
            Kind::Bool => match test {
                Test::Equals(value) if value == "true" || value == "false" => {
                    let marker = self.bind(value == "true");
                    Ok(format!("{column} = {marker}"))
                }
                _ => Err(SearchError::Value(field.name.to_owned())),
            },
            Kind::Int => self.number(field, test, |text, _| text.parse().ok()),
            Kind::Moment => self.number(field, test, moment),
            Kind::Domain => match test {
                Test::Equals(domain) => {
                    let pattern = [Piece::Any, Piece::Text(format!("@{domain}"))];
                    let marker = self.bind(pattern_of(&pattern, Kind::Folded));
                    Ok(format!("{column} LIKE {marker} ESCAPE '\\'"))
                }
                _ => Err(SearchError::Unsupported("a wildcard or range on a domain")),
            },
            kind => self.text(kind, column, test),
        }
    }

    fn text(&mut self, kind: Kind, column: &str, test: &Test) -> Result<String, SearchError> {
        let folded = |text: &str| if kind == Kind::Text { text.to_owned() } else { fold_name(text) };
        match test {
            Test::Exists => Ok(format!("{column} IS NOT NULL")),
            Test::Equals(value) => {
                let marker = self.bind(folded(value));
                Ok(format!("{column} = {marker}"))
            }
            Test::Like(pieces) => match pieces.as_slice() {
                // A prefix is a range, which an index serves.
                [Piece::Text(prefix), Piece::Any] => {
                    let prefix = folded(prefix);
                    let after = after(&prefix);
                    let from = self.bind(prefix);
                    let Some(after) = after else { return Ok(format!("{column} >= {from}")) };
                    let to = self.bind(after);
                    Ok(format!("({column} >= {from} AND {column} < {to})"))
                }
                pieces => {
                    let begins_open = !matches!(pieces.first(), Some(Piece::Text(_)));
                    if begins_open && length(pieces) < LEAST_TEXT {
                        return Err(SearchError::Unsupported(
                            "a leading wildcard with fewer than three characters",
                        ));
                    }
                    let marker = self.bind(pattern_of(pieces, kind));
                    // `LIKE` ignores case on one engine and not on the other; `lower` makes them one.
                    let value =
                        if kind == Kind::Text { format!("lower({column})") } else { column.to_owned() };
                    Ok(format!("{value} LIKE {marker} ESCAPE '\\'"))
                }
            },
            Test::Range(from, to) => {
                let mut ends = Vec::new();
                for (end, inclusive, exclusive) in [(from, ">=", ">"), (to, "<=", "<")] {
                    match end {
                        End::Open => {}
                        End::Inclusive(value) => {
                            let marker = self.bind(folded(value));
                            ends.push(format!("{column} {inclusive} {marker}"));
                        }
                        End::Exclusive(value) => {
                            let marker = self.bind(folded(value));
                            ends.push(format!("{column} {exclusive} {marker}"));
                        }
                    }
                }
                Ok(either(ends, column))
            }
        }
    }

    /// `read` gives the first and the last value that a text stands for: a date stands for a day.
    fn number<R>(&mut self, field: &Field, test: &Test, read: R) -> Result<String, SearchError>
    where
        R: Fn(&str, bool) -> Option<i64>,
    {
        let column = field.column;
        let value = |text: &str, last: bool| {
            read(text, last).ok_or_else(|| SearchError::Value(field.name.to_owned()))
        };
        let (from, to) = match test {
            Test::Equals(text) => (Some((">=", value(text, false)?)), Some(("<=", value(text, true)?))),
            Test::Range(from, to) => (
                match from {
                    End::Open => None,
                    End::Inclusive(text) => Some((">=", value(text, false)?)),
                    End::Exclusive(text) => Some((">", value(text, true)?)),
                },
                match to {
                    End::Open => None,
                    End::Inclusive(text) => Some(("<=", value(text, true)?)),
                    End::Exclusive(text) => Some(("<", value(text, false)?)),
                },
            ),
            Test::Exists | Test::Like(_) => return Err(SearchError::Value(field.name.to_owned())),
        };
        let mut ends = Vec::new();
        for (operator, value) in [from, to].into_iter().flatten() {
            let marker = self.bind(value);
            ends.push(format!("{column} {operator} {marker}"));
        }
        Ok(either(ends, column))
    }
}

/// Both ends of a range; without any, what exists is in it.
fn either(ends: Vec<String>, column: &str) -> String {
    if ends.is_empty() { format!("{column} IS NOT NULL") } else { format!("({})", ends.join(" AND ")) }
}

/// How many characters of a term are given.
fn length(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| if let Piece::Text(text) = piece { text.chars().count() } else { 0 }).sum()
}

/// A `LIKE` pattern with `\` as its escape character. Texts that are compared to the letter are lowered as SQL's `lower` does.
fn pattern_of(pieces: &[Piece], kind: Kind) -> String {
    let mut pattern = String::new();
    for piece in pieces {
        match piece {
            Piece::Any => pattern.push('%'),
            Piece::One => pattern.push('_'),
            Piece::Text(text) => {
                let text = if kind == Kind::Text { text.to_ascii_lowercase() } else { fold_name(text) };
                for c in text.chars() {
                    if matches!(c, '%' | '_' | '\\') {
                        pattern.push('\\');
                    }
                    pattern.push(c);
                }
            }
        }
    }
    pattern
}

/// The least text greater than all that begin with `prefix`, in the order of code points.
fn after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = ((u32::from(last) + 1)..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// Milliseconds of `2025-12-01`, the first or the last of that day, or of a full ISO 8601 time.
fn moment(text: &str, last: bool) -> Option<i64> {
    if let Ok(date) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
        return Some(if last { start + DAY - 1 } else { start });
    }
    text.parse::<jiff::Timestamp>().ok().map(|moment| moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, USERS};
    use super::*;

    fn sql(query: &str) -> (String, Vec<Bound>) {
        let filter = Filter::parse(query, &USERS).unwrap();
        (filter.sql().to_owned(), filter.params().to_vec())
    }

    fn refused(query: &str) -> SearchError {
        Filter::parse(query, &USERS).unwrap_err()
    }

    #[test]
    fn nothing_of_the_query_is_in_the_statement() {
        let (sql, params) = sql(r#"email:"x' OR 1=1 --" AND user_metadata.plan:"'; DROP TABLE users; --""#);
        assert_eq!(sql, "(u.email = $2 AND CAST((u.user_metadata -> CAST($3 AS TEXT)) AS TEXT) = $4)");
        assert_eq!(params[0], Bound::from("x' or 1=1 --"));
    }

    #[test]
    fn secrets_and_unknown_names_cannot_be_searched() {
        for name in [
            "password",
            "hash",
            "credentials.hash",
            "identities.access_token",
            "tenant",
            "u.email",
            "profile.a",
            "user_metadata",
        ] {
            assert_eq!(refused(&format!("{name}:*")), SearchError::Field(name.to_owned()), "{name}");
        }
    }

    #[test]
    fn names_ignore_case_and_usernames_do_not() {
        assert_eq!(sql("name:\"Jane DOE\"").1, vec![Bound::from("jane doe")]);
        assert_eq!(sql("username:Jane").1, vec![Bound::from("Jane")]);
    }

    #[test]
    fn a_prefix_is_a_range_and_other_wildcards_a_pattern() {
        let (text, params) = sql("name:Jan*");
        assert_eq!(text, "(u.name_folded >= $2 AND u.name_folded < $3)");
        assert_eq!(params, vec![Bound::from("jan"), Bound::from("jao")]);
        let (text, params) = sql("email:*50%_\\*off*");
        assert_eq!(text, "u.email LIKE $2 ESCAPE '\\'");
        assert_eq!(params, vec![Bound::from("%50\\%\\_*off%")]);
        assert!(matches!(refused("name:*ab"), SearchError::Unsupported(_)));
        assert!(matches!(refused("name:?ab"), SearchError::Unsupported(_)));
        assert_eq!(after("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(after("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after("\u{10ffff}"), None);
    }

    #[test]
    fn a_date_is_a_whole_day() {
        let day = 1_764_547_200_000;
        assert_eq!(sql("created_at:2025-12-01").1, vec![Bound::Int(day), Bound::Int(day + DAY - 1)]);
        let (text, params) = sql("created_at:{2025-12-01 TO 2025-12-02T00:00:00.000Z}");
        assert_eq!(text, "(u.created_at > $2 AND u.created_at < $3)");
        assert_eq!(params, vec![Bound::Int(day + DAY - 1), Bound::Int(day + DAY)]);
        assert_eq!(sql("logins_count:[* TO *]").0, "u.logins_count IS NOT NULL");
        for query in ["created_at:yesterday", "logins_count:many", "blocked:maybe", "created_at:2025*"] {
            assert!(matches!(refused(query), SearchError::Value(_)), "{query}");
        }
    }

    #[test]
    fn what_is_absent_matches_a_negation() {
        assert_eq!(sql("-blocked:true").0, "(NOT COALESCE(u.blocked = $2, FALSE))");
    }

    #[test]
    fn metadata_is_compared_by_equality() {
        assert_eq!(
            sql("app_metadata.plan.level:5"),
            (
                "CAST(((u.app_metadata -> CAST($2 AS TEXT)) -> CAST($3 AS TEXT)) AS TEXT) IN ($4, $5)".into(),
                vec![Bound::from("plan"), Bound::from("level"), Bound::from("\"5\""), Bound::from("5")]
            )
        );
        assert!(matches!(refused("user_metadata.a:b*"), SearchError::Unsupported(_)));
        assert!(matches!(refused("user_metadata.a:[1 TO 2]"), SearchError::Unsupported(_)));
        assert!(matches!(refused("user_metadata..a:b"), SearchError::Field(_)));
    }

    #[test]
    fn a_bare_term_looks_at_the_root_profile() {
        let (sql, params) = sql("Jane");
        assert!(sql.contains("u.name_folded LIKE $3") && sql.contains("u.username = "), "{sql}");
        assert!(!sql.contains("metadata"), "{sql}");
        assert_eq!(params.len(), USERS.bare.len());
    }
}
