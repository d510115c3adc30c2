//! From the text of a query to its tree.

use super::SearchError;

/// The longest query, in bytes.
const MOST_BYTES: usize = 4096;
/// The deepest nesting of parentheses.
const MOST_DEPTH: usize = 16;
/// The most terms.
const MOST_TERMS: usize = 64;

/// A parsed query.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// A test of a field; without a field, of all that bare terms look at.
    Term(Option<String>, Test),
}

/// What is asked of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Exists,
    Equals(String),
    /// Text and wildcards.
    Like(Vec<Piece>),
    Range(Bound, Bound),
}

/// Part of a term with wildcards.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Any,
    One,
}

/// An end of a range.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bound {
    Open,
    Inclusive(String),
    Exclusive(String),
}

/// Whether a clause must match, must not, or is one of several that may.
#[derive(Clone, Copy, PartialEq)]
enum Occurs {
    Should,
    Must,
    MustNot,
}

pub(super) fn parse(query: &str) -> Result<Node, SearchError> {
    if query.len() > MOST_BYTES {
        return Err(SearchError::TooComplex);
    }
    if let Some(at) = query.find('\0') {
        return Err(SearchError::Syntax(at));
    }
    let mut parser = Parser { text: query.chars().collect(), at: 0, terms: 0, depth: 0 };
    let tree = parser.clauses(None)?;
    parser.blanks();
    if parser.at < parser.text.len() { Err(parser.wrong()) } else { Ok(tree) }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    terms: usize,
    depth: usize,
}

impl Parser {
    fn wrong(&self) -> SearchError {
        SearchError::Syntax(self.at)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Takes an operator that stands alone.
    fn word(&mut self, wanted: &str) -> bool {
        let end = self.at + wanted.len();
        let alone =
            self.text.get(end).is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '"' | '+' | '-'));
        let found =
            alone && self.text.get(self.at..end).is_some_and(|text| text.iter().copied().eq(wanted.chars()));
        if found {
            self.at = end;
        }
        found
    }

    fn conjunction(&mut self, word: &str, symbol: &str) -> bool {
        self.blanks();
        self.word(word) || self.symbols(symbol)
    }

    fn symbols(&mut self, wanted: &str) -> bool {
        let end = self.at + wanted.len();
        let found = self.text.get(self.at..end).is_some_and(|text| text.iter().copied().eq(wanted.chars()));
        if found {
            self.at = end;
        }
        found
    }

    /// Clauses up to the end or a closing parenthesis: alternatives, each a chain of `AND`. What stands side by side without an
    /// operator is alternatives too, unless marked `+` or `-`.
    fn clauses(&mut self, field: Option<&str>) -> Result<Node, SearchError> {
        let (mut must, mut should, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        let mut joined_by_or = false;
        loop {
            let (occurs, mut chain) = self.clause(field)?;
            let mut alone = true;
            while self.conjunction("AND", "&&") {
                alone = false;
                if chain.len() == 1 && occurs == Occurs::MustNot {
                    chain = vec![negated(chain.remove(0))];
                }
                let (next, mut node) = self.clause(field)?;
                let node = node.remove(0);
                chain.push(if next == Occurs::MustNot { negated(node) } else { node });
            }
            let node = if alone { chain.remove(0) } else { Node::And(chain) };
            let or_follows = self.conjunction("OR", "||");
            match occurs {
                Occurs::MustNot if alone && !joined_by_or && !or_follows => must_not.push(node),
                Occurs::MustNot if alone => should.push(negated(node)),
                Occurs::Must if alone && !joined_by_or && !or_follows => must.push(node),
                _ => should.push(node),
            }
            self.blanks();
            if !or_follows && self.peek().is_none_or(|c| c == ')') {
                break;
            }
            joined_by_or = or_follows;
        }
        // Beside clauses that must match, those that may only rank the result.
        let mut all = must;
        if all.is_empty() && !should.is_empty() {
            all.push(if should.len() == 1 { should.remove(0) } else { Node::Or(should) });
        }
        all.extend(must_not.into_iter().map(negated));
        Ok(if all.len() == 1 { all.remove(0) } else { Node::And(all) })
    }

    /// One clause with its marks, as a chain of one.
    fn clause(&mut self, field: Option<&str>) -> Result<(Occurs, Vec<Node>), SearchError> {
        let mut occurs = Occurs::Should;
        loop {
            self.blanks();
            if self.word("NOT") || self.eat('-') || self.eat('!') {
                occurs = if occurs == Occurs::MustNot { Occurs::Must } else { Occurs::MustNot };
            } else if self.eat('+') {
                occurs = if occurs == Occurs::MustNot { Occurs::MustNot } else { Occurs::Must };
            } else {
                break;
            }
        }
        Ok((occurs, vec![self.primary(field)?]))
    }

    fn primary(&mut self, field: Option<&str>) -> Result<Node, SearchError> {
        if self.eat('(') {
            return self.group(field);
        }
        if field.is_none()
            && let Some(name) = self.field_name()
        {
            if name == "_exists_" {
                self.count()?;
                let (start, pieces) = (self.at, self.bare()?);
                return match pieces.as_slice() {
                    [Piece::Text(wanted)] => Ok(Node::Term(Some(wanted.clone()), Test::Exists)),
                    _ => Err(SearchError::Syntax(start)),
                };
            }
            if self.eat('(') {
                return self.group(Some(&name));
            }
            let test = self.test()?;
            return Ok(Node::Term(Some(name), test));
        }
        let test = self.test()?;
        Ok(Node::Term(field.map(str::to_owned), test))
    }

    fn group(&mut self, field: Option<&str>) -> Result<Node, SearchError> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(SearchError::TooComplex);
        }
        let node = self.clauses(field)?;
        self.blanks();
        if !self.eat(')') {
            return Err(self.wrong());
        }
        self.depth -= 1;
        Ok(node)
    }

    /// `name:`, if that is what comes next.
    fn field_name(&mut self) -> Option<String> {
        let length = self.text[self.at..]
            .iter()
            .position(|c| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')))?;
        let end = self.at + length;
        if length == 0 || self.text[end] != ':' {
            return None;
        }
        let name = self.text[self.at..end].iter().collect();
        self.at = end + 1;
        Some(name)
    }

    fn count(&mut self) -> Result<(), SearchError> {
        self.terms += 1;
        if self.terms > MOST_TERMS { Err(SearchError::TooComplex) } else { Ok(()) }
    }

    fn test(&mut self) -> Result<Test, SearchError> {
        self.count()?;
        let test = match self.peek() {
            Some('"') => Test::Equals(self.phrase()?),
            Some('[' | '{') => self.range()?,
            Some('/') => return Err(SearchError::Unsupported("a regular expression")),
            Some('>' | '<') => self.comparison()?,
            _ => match self.bare()? {
                pieces if pieces == [Piece::Any] => Test::Exists,
                mut pieces => match pieces.as_mut_slice() {
                    [Piece::Text(text)] if matches!(text.as_str(), "AND" | "OR" | "NOT") => {
                        return Err(self.wrong());
                    }
                    [Piece::Text(text)] => Test::Equals(std::mem::take(text)),
                    _ => Test::Like(pieces),
                },
            },
        };
        match self.peek() {
            Some('~' | '^') => Err(SearchError::Unsupported("a fuzzy or boosted term")),
            Some(c) if !c.is_whitespace() && c != ')' => Err(self.wrong()),
            _ => Ok(test),
        }
    }

    fn phrase(&mut self) -> Result<String, SearchError> {
        self.at += 1;
        let mut phrase = String::new();
        loop {
            match self.peek().ok_or_else(|| self.wrong())? {
                '"' => break,
                '\\' => {
                    self.at += 1;
                    phrase.push(self.peek().ok_or_else(|| self.wrong())?);
                }
                c => phrase.push(c),
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(phrase)
    }

    /// A term without quotes, up to a blank or a parenthesis.
    fn bare(&mut self) -> Result<Vec<Piece>, SearchError> {
        let mut pieces: Vec<Piece> = Vec::new();
        while let Some(c) = self.peek() {
            let piece = match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => {
                    self.at += 1;
                    Piece::Text(self.peek().ok_or_else(|| self.wrong())?.to_string())
                }
                c if c.is_whitespace() => break,
                '(' | ')' | '"' | '[' | ']' | '{' | '}' | '~' | '^' | ':' => break,
                c => Piece::Text(c.to_string()),
            };
            self.at += 1;
            match (pieces.last_mut(), piece) {
                (Some(Piece::Text(text)), Piece::Text(more)) => text.push_str(&more),
                (Some(Piece::Any), Piece::Any) => {}
                (_, piece) => pieces.push(piece),
            }
        }
        // A date's time has colons: `2025-12-01T10:00:00Z`.
        if self.peek() == Some(':')
            && let Some(Piece::Text(text)) = pieces.last_mut()
            && text.contains('T')
            && text.starts_with(|c: char| c.is_ascii_digit())
        {
            while let Some(c) =
                self.peek().filter(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '+' | '-'))
            {
                text.push(c);
                self.at += 1;
            }
        }
        if pieces.is_empty() { Err(self.wrong()) } else { Ok(pieces) }
    }

    fn range(&mut self) -> Result<Test, SearchError> {
        let inclusive_start = self.peek() == Some('[');
        self.at += 1;
        let from = self.range_end(inclusive_start)?;
        self.blanks();
        if !self.word("TO") {
            return Err(self.wrong());
        }
        let mut to = self.range_end(true)?;
        self.blanks();
        if self.eat('}') {
            if let Bound::Inclusive(value) = to {
                to = Bound::Exclusive(value);
            }
        } else if !self.eat(']') {
            return Err(self.wrong());
        }
        Ok(Test::Range(from, to))
    }

    fn range_end(&mut self, inclusive: bool) -> Result<Bound, SearchError> {
        self.blanks();
        let value = if self.peek() == Some('"') {
            self.phrase()?
        } else {
            let (start, mut value) = (self.at, String::new());
            while let Some(c) =
                self.peek().filter(|c| !c.is_whitespace() && !matches!(c, ']' | '}' | '"' | '(' | ')'))
            {
                value.push(c);
                self.at += 1;
            }
            if value.is_empty() {
                return Err(SearchError::Syntax(start));
            }
            if value == "*" {
                return Ok(Bound::Open);
            }
            value
        };
        Ok(if inclusive { Bound::Inclusive(value) } else { Bound::Exclusive(value) })
    }

    fn comparison(&mut self) -> Result<Test, SearchError> {
        let greater = self.peek() == Some('>');
        self.at += 1;
        let inclusive = self.eat('=');
        let bound = self.range_end(inclusive)?;
        Ok(if greater { Test::Range(bound, Bound::Open) } else { Test::Range(Bound::Open, bound) })
    }
}

fn negated(node: Node) -> Node {
    Node::Not(Box::new(node))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equals(field: &str, value: &str) -> Node {
        Node::Term(Some(field.into()), Test::Equals(value.into()))
    }

    fn not(node: Node) -> Node {
        negated(node)
    }

    #[test]
    fn terms_phrases_and_escapes() {
        assert_eq!(parse("email:\"a@b.c\"").unwrap(), equals("email", "a@b.c"));
        assert_eq!(parse("email:a@b.c").unwrap(), equals("email", "a@b.c"));
        assert_eq!(parse("user_id:auth0|5f").unwrap(), equals("user_id", "auth0|5f"));
        assert_eq!(parse(r#"name:"a \"b\" \\""#).unwrap(), equals("name", r#"a "b" \"#));
        assert_eq!(parse(r"name:a\ b\*").unwrap(), equals("name", "a b*"));
        assert_eq!(parse("jane").unwrap(), Node::Term(None, Test::Equals("jane".into())));
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let expected = Node::Or(vec![equals("a", "1"), Node::And(vec![equals("b", "2"), equals("c", "3")])]);
        assert_eq!(parse("a:1 OR b:2 AND c:3").unwrap(), expected);
        assert_eq!(parse("a:1 b:2 AND c:3").unwrap(), expected);
        assert_eq!(
            parse("(a:1 OR b:2) AND NOT c:3").unwrap(),
            Node::And(vec![Node::Or(vec![equals("a", "1"), equals("b", "2")]), not(equals("c", "3"))])
        );
    }

    #[test]
    fn marks_require_and_forbid() {
        assert_eq!(parse("+a:1 b:2 -c:3").unwrap(), Node::And(vec![equals("a", "1"), not(equals("c", "3"))]));
        assert_eq!(parse("a:1 NOT c:3").unwrap(), Node::And(vec![equals("a", "1"), not(equals("c", "3"))]));
        assert_eq!(parse("a:1 OR NOT c:3").unwrap(), Node::Or(vec![equals("a", "1"), not(equals("c", "3"))]));
        assert_eq!(
            parse("NOT a:1 AND b:2").unwrap(),
            Node::And(vec![not(equals("a", "1")), equals("b", "2")])
        );
        assert_eq!(parse("-a:1").unwrap(), not(equals("a", "1")));
    }

    #[test]
    fn a_field_applies_to_a_group() {
        assert_eq!(parse(r#"a:("1" OR 2)"#).unwrap(), Node::Or(vec![equals("a", "1"), equals("a", "2")]));
    }

    #[test]
    fn wildcards_ranges_and_existence() {
        let term = |test| Node::Term(Some("a".into()), test);
        assert_eq!(
            parse("a:b*c?").unwrap(),
            term(Test::Like(vec![Piece::Text("b".into()), Piece::Any, Piece::Text("c".into()), Piece::One,]))
        );
        assert_eq!(parse("a:*").unwrap(), term(Test::Exists));
        assert_eq!(parse("_exists_:a").unwrap(), term(Test::Exists));
        assert_eq!(
            parse("a:[1 TO 2}").unwrap(),
            term(Test::Range(Bound::Inclusive("1".into()), Bound::Exclusive("2".into())))
        );
        assert_eq!(
            parse("a:{1 TO *]").unwrap(),
            term(Test::Range(Bound::Exclusive("1".into()), Bound::Open))
        );
        assert_eq!(parse("a:>=5").unwrap(), term(Test::Range(Bound::Inclusive("5".into()), Bound::Open)));
        assert_eq!(
            parse("a:[2025-12-01T10:00:00.000Z TO *]").unwrap(),
            term(Test::Range(Bound::Inclusive("2025-12-01T10:00:00.000Z".into()), Bound::Open))
        );
        assert_eq!(parse("a:2025-12-01T10:00:00Z").unwrap(), equals("a", "2025-12-01T10:00:00Z"));
    }

    #[test]
    fn nonsense_is_refused() {
        for query in [
            "", "  ", "a:", "a:\"b", "(a:1", "a:1)", "AND", "a:1 AND", "a:1 OR", "a:[1 TO", "a:[1 2]", "NOT",
            "()", "a:b:c", "a:\\", "a:1 \0",
        ] {
            assert!(matches!(parse(query), Err(SearchError::Syntax(_))), "{query:?} {:?}", parse(query));
        }
        assert!(matches!(parse("/(a+)+$/"), Err(SearchError::Unsupported(_))));
        assert!(matches!(parse("name:jane~2"), Err(SearchError::Unsupported(_))));
    }

    #[test]
    fn depth_length_and_number_are_bounded() {
        let nested = |depth| format!("{}a:1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(parse(&nested(MOST_DEPTH)).unwrap(), equals("a", "1"));
        assert_eq!(parse(&nested(MOST_DEPTH + 1)), Err(SearchError::TooComplex));
        assert_eq!(parse(&nested(10_000)), Err(SearchError::TooComplex));
        assert_eq!(parse(&vec!["a:1"; MOST_TERMS + 1].join(" ")), Err(SearchError::TooComplex));
        assert_eq!(parse(&"a".repeat(MOST_BYTES + 1)), Err(SearchError::TooComplex));
    }
}
