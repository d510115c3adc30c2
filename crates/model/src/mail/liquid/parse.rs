//! Source to tree.

use serde_json::Value;

use super::{Error, filters};

/// Blocks and brackets within each other.
const DEEPEST: usize = 64;
/// The most conditions that one tag may join.
const MOST_JOINED: usize = 64;

/// A piece of a template.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Output(Expression),
    /// Branches in their order; what comes last has no condition.
    If(Vec<(Option<Condition>, Vec<Node>)>),
    Case(Expression, Vec<(Vec<Operand>, Vec<Node>)>, Vec<Node>),
    For(Box<Loop>),
    Assign(String, Expression),
    Capture(String, Vec<Node>),
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub item: String,
    pub list: Operand,
    pub reversed: bool,
    pub limit: Option<Operand>,
    pub offset: Option<Operand>,
    pub body: Vec<Node>,
    pub otherwise: Vec<Node>,
}

/// A value and what is done to it.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub value: Operand,
    pub filters: Vec<(filters::Filter, Vec<Operand>)>,
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Literal(Value),
    /// `empty` or `blank`.
    Nothing,
    Range(Box<Operand>, Box<Operand>),
    Path(String, Vec<Step>),
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Name(String),
    Index(Box<Operand>),
}

/// Joined conditions are decided from the right, as Liquid does.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Holds(Operand),
    Compare(Operand, Comparison, Operand),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
}

/// What the source is cut into first.
enum Piece<'a> {
    Text(&'a str),
    Output(&'a str, usize),
    Tag(&'a str, usize),
}

pub(super) fn template(source: &str) -> Result<Vec<Node>, Error> {
    let mut parser = Parser { pieces: pieces(source)?.into_iter() };
    let (nodes, end) = parser.nodes(0)?;
    match end {
        None => Ok(nodes),
        Some((word, _, line)) => Err(syntax(format!("`{word}` without its beginning"), line)),
    }
}

fn syntax(what: impl Into<String>, line: usize) -> Error {
    Error::Syntax { what: what.into(), line }
}

/// Cuts at `{{ }}` and `{% %}`, takes blanks away where a dash says so, and drops comments.
fn pieces(source: &str) -> Result<Vec<Piece<'_>>, Error> {
    let (mut pieces, mut rest, mut line, mut trim) = (Vec::new(), source, 1, false);
    loop {
        let start = [rest.find("{{"), rest.find("{%")].into_iter().flatten().min();
        let (text, tagged) = rest.split_at(start.unwrap_or(rest.len()));
        let dashed = tagged[2.min(tagged.len())..].starts_with('-');
        line += text.matches('\n').count();
        let text = if trim { text.trim_start() } else { text };
        let text = if dashed { text.trim_end() } else { text };
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        if tagged.is_empty() {
            return Ok(pieces);
        }
        let (open, close) = if tagged.starts_with("{{") { ("{{", "}}") } else { ("{%", "%}") };
        // `{%}` opens, and does not close.
        let length =
            tagged[2..].find(close).ok_or_else(|| syntax(format!("`{open}` without `{close}`"), line))?;
        let (inner, end) = (&tagged[2..2 + length], 2 + length);
        trim = inner.ends_with('-');
        let inner = inner.strip_prefix('-').unwrap_or(inner);
        let content = inner.strip_suffix('-').unwrap_or(inner).trim();
        rest = &tagged[end + 2..];
        let after = line + tagged[..end].matches('\n').count();
        match (open, content) {
            ("{%", "raw" | "comment") => {
                let (verbatim, left, dash) = until(rest, content)
                    .ok_or_else(|| syntax(format!("`{content}` without `end{content}`"), line))?;
                if content == "raw" {
                    pieces.push(Piece::Text(verbatim));
                }
                line = after + rest[..rest.len() - left.len()].matches('\n').count();
                (rest, trim) = (left, dash);
                continue;
            }
            ("{%", inline) if inline.starts_with('#') => {}
            ("{%", _) => pieces.push(Piece::Tag(content, line)),
            _ => pieces.push(Piece::Output(content, line)),
        }
        line = after;
    }
}

/// What stands before `{% end… %}`, what stands after it, and whether that is to be trimmed.
fn until<'a>(rest: &'a str, word: &str) -> Option<(&'a str, &'a str, bool)> {
    let mut from = 0;
    while let Some(start) = rest[from..].find("{%").map(|start| from + start) {
        let end = start + 2 + rest[start + 2..].find("%}")?;
        let inner = &rest[start + 2..end];
        let trimmed = inner.trim_matches('-').trim();
        if trimmed.strip_prefix("end") == Some(word) {
            return Some((&rest[..start], &rest[end + 2..], inner.ends_with('-')));
        }
        from = start + 2;
    }
    None
}

struct Parser<'a> {
    pieces: std::vec::IntoIter<Piece<'a>>,
}

/// A tag that ends a block or a part of one: its word, the rest of it, and its line.
type End<'a> = Option<(&'a str, &'a str, usize)>;

impl<'a> Parser<'a> {
    fn nodes(&mut self, depth: usize) -> Result<(Vec<Node>, End<'a>), Error> {
        if depth > DEEPEST {
            return Err(Error::TooMuch);
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (content, line) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text.to_owned()));
                    continue;
                }
                Piece::Output(content, line) => {
                    if !content.is_empty() {
                        nodes.push(Node::Output(Tokens::new(content, line)?.whole_expression()?));
                    }
                    continue;
                }
                Piece::Tag(content, line) => (content, line),
            };
            let (word, rest) = content.split_once(|c: char| c.is_whitespace()).unwrap_or((content, ""));
            let rest = rest.trim();
            let block = |word: &str| syntax(format!("`{word}` without `end{word}`"), line);
            nodes.push(match word {
                "else" | "elsif" | "when" => return Ok((nodes, Some((word, rest, line)))),
                _ if word.starts_with("end") => return Ok((nodes, Some((word, rest, line)))),
                "if" | "unless" => self.branches(word, rest, line, depth)?,
                "case" => self.case(rest, line, depth)?,
                "for" => self.repeat(rest, line, depth)?,
                "assign" => {
                    let (name, value) = rest
                        .split_once('=')
                        .ok_or_else(|| syntax("an `assign` reads `assign name = value`", line))?;
                    Node::Assign(name.trim().to_owned(), Tokens::new(value, line)?.whole_expression()?)
                }
                "capture" => {
                    let (body, end) = self.nodes(depth + 1)?;
                    if !matches!(end, Some(("endcapture", ..))) {
                        return Err(block(word));
                    }
                    Node::Capture(rest.trim_matches(['"', '\'']).to_owned(), body)
                }
                "break" => Node::Break,
                "continue" => Node::Continue,
                _ => return Err(syntax(format!("`{word}` is no tag"), line)),
            });
        }
        Ok((nodes, None))
    }

    fn branches(&mut self, word: &str, rest: &str, line: usize, depth: usize) -> Result<Node, Error> {
        let mut branches = Vec::new();
        let mut condition = Some(Tokens::new(rest, line)?.whole_condition()?);
        // `unless` is an `if` whose first branch is taken by nobody else: it comes last.
        let mut first = None;
        loop {
            let (body, end) = self.nodes(depth + 1)?;
            if word == "unless" && first.is_none() {
                first = Some((condition.take(), body));
            } else {
                branches.push((condition.take(), body));
            }
            match end {
                Some(("elsif", rest, line)) => condition = Some(Tokens::new(rest, line)?.whole_condition()?),
                Some(("else", ..)) => {}
                Some((end, ..)) if end.strip_prefix("end") == Some(word) => break,
                _ => return Err(syntax(format!("`{word}` without `end{word}`"), line)),
            }
        }
        if let Some((condition, body)) = first {
            let otherwise = vec![Node::If(branches)];
            return Ok(Node::If(vec![(condition, otherwise), (None, body)]));
        }
        Ok(Node::If(branches))
    }

    fn case(&mut self, rest: &str, line: usize, depth: usize) -> Result<Node, Error> {
        let value = Tokens::new(rest, line)?.whole_expression()?;
        let (mut whens, mut otherwise) = (Vec::new(), Vec::new());
        let (_, mut end) = self.nodes(depth + 1)?;
        loop {
            match end {
                Some(("when", rest, line)) => {
                    let values = Tokens::new(rest, line)?.alternatives()?;
                    let (body, next) = self.nodes(depth + 1)?;
                    whens.push((values, body));
                    end = next;
                }
                Some(("else", ..)) => (otherwise, end) = self.nodes(depth + 1)?,
                Some(("endcase", ..)) => return Ok(Node::Case(value, whens, otherwise)),
                _ => return Err(syntax("`case` without `endcase`", line)),
            }
        }
    }

    fn repeat(&mut self, rest: &str, line: usize, depth: usize) -> Result<Node, Error> {
        let mut tokens = Tokens::new(rest, line)?;
        let wrong = || syntax("a `for` reads `for item in list`", line);
        let Some(Token::Word(item)) = tokens.next() else { return Err(wrong()) };
        if tokens.next() != Some(Token::Word("in".into())) {
            return Err(wrong());
        }
        let list = tokens.operand(0)?;
        let (mut reversed, mut limit, mut offset) = (false, None, None);
        while let Some(token) = tokens.next() {
            let place = match token {
                Token::Word(word) if word == "reversed" => {
                    reversed = true;
                    continue;
                }
                Token::Word(word) if word == "limit" => &mut limit,
                Token::Word(word) if word == "offset" => &mut offset,
                _ => return Err(wrong()),
            };
            if tokens.next() != Some(Token::Sign(":")) {
                return Err(wrong());
            }
            *place = Some(tokens.operand(0)?);
        }
        let (body, mut end) = self.nodes(depth + 1)?;
        let mut otherwise = Vec::new();
        if matches!(end, Some(("else", ..))) {
            (otherwise, end) = self.nodes(depth + 1)?;
        }
        if !matches!(end, Some(("endfor", ..))) {
            return Err(syntax("`for` without `endfor`", line));
        }
        Ok(Node::For(Box::new(Loop { item, list, reversed, limit, offset, body, otherwise })))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(serde_json::Number),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) | Self::Text(word) => f.write_str(word),
            Self::Number(number) => write!(f, "{number}"),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

const SIGNS: [&str; 16] =
    ["==", "!=", "<>", "<=", ">=", "..", "<", ">", "|", ":", ",", ".", "[", "]", "(", ")"];

/// The tokens of one tag.
struct Tokens {
    list: std::iter::Peekable<std::vec::IntoIter<Token>>,
    line: usize,
}

impl Tokens {
    fn new(text: &str, line: usize) -> Result<Self, Error> {
        let (mut list, mut rest) = (Vec::new(), text.trim_start());
        while let Some(first) = rest.chars().next() {
            let length = if first == '"' || first == '\'' {
                let end = rest[1..].find(first).ok_or_else(|| syntax("a text without its end", line))?;
                list.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            } else if first.is_ascii_digit()
                || first == '-' && rest[1..].starts_with(|c: char| c.is_ascii_digit())
            {
                let mut end = 1 + rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1);
                let fraction = &rest[end..];
                if fraction.starts_with('.') && fraction[1..].starts_with(|c: char| c.is_ascii_digit()) {
                    end +=
                        1 + fraction[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len() - 1);
                }
                let number = rest[..end].parse().map_err(|_| syntax("a number that is none", line))?;
                list.push(Token::Number(number));
                end
            } else if first.is_alphabetic() || first == '_' {
                let end =
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
                list.push(Token::Word(rest[..end].to_owned()));
                end
            } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                list.push(Token::Sign(sign));
                sign.len()
            } else {
                return Err(syntax(format!("`{first}` where it has no meaning"), line));
            };
            rest = rest[length..].trim_start();
        }
        Ok(Self { list: list.into_iter().peekable(), line })
    }

    fn next(&mut self) -> Option<Token> {
        self.list.next()
    }

    /// Takes the next token if it is this sign.
    fn sign(&mut self, sign: &str) -> bool {
        self.list.next_if(|token| matches!(token, Token::Sign(found) if *found == sign)).is_some()
    }

    fn end(&mut self) -> Result<(), Error> {
        match self.next() {
            None => Ok(()),
            Some(token) => Err(syntax(format!("`{token}` is one too many"), self.line)),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Operand, Error> {
        if depth > DEEPEST {
            return Err(Error::TooMuch);
        }
        let missing = syntax("a value is missing", self.line);
        let word = match self.next().ok_or(missing.clone())? {
            Token::Text(text) => return Ok(Operand::Literal(text.into())),
            Token::Number(number) => return Ok(Operand::Literal(number.into())),
            Token::Sign("(") => {
                let first = self.operand(depth + 1)?;
                let dots = self.sign("..");
                let last = self.operand(depth + 1)?;
                if !dots || !self.sign(")") {
                    return Err(syntax("a range reads `(first..last)`", self.line));
                }
                return Ok(Operand::Range(Box::new(first), Box::new(last)));
            }
            Token::Sign(_) => return Err(missing),
            Token::Word(word) => word,
        };
        match word.as_str() {
            "true" => return Ok(Operand::Literal(true.into())),
            "false" => return Ok(Operand::Literal(false.into())),
            "nil" | "null" => return Ok(Operand::Literal(Value::Null)),
            "empty" | "blank" => return Ok(Operand::Nothing),
            _ => {}
        }
        let mut steps = Vec::new();
        loop {
            if self.sign(".") {
                match self.next() {
                    Some(Token::Word(name)) => steps.push(Step::Name(name)),
                    _ => return Err(syntax("a name is missing after `.`", self.line)),
                }
            } else if self.sign("[") {
                steps.push(Step::Index(Box::new(self.operand(depth + 1)?)));
                if !self.sign("]") {
                    return Err(syntax("`[` without `]`", self.line));
                }
            } else {
                return Ok(Operand::Path(word, steps));
            }
        }
    }

    fn whole_expression(&mut self) -> Result<Expression, Error> {
        let value = self.operand(0)?;
        let mut filters = Vec::new();
        while self.sign("|") {
            let Some(Token::Word(name)) = self.next() else {
                return Err(syntax("a filter is missing after `|`", self.line));
            };
            let filter = filters::Filter::from_name(&name)
                .ok_or_else(|| syntax(format!("`{name}` is no filter"), self.line))?;
            let mut arguments = Vec::new();
            if self.sign(":") {
                arguments.push(self.operand(0)?);
                while self.sign(",") {
                    arguments.push(self.operand(0)?);
                }
            }
            filters.push((filter, arguments));
        }
        self.end()?;
        Ok(Expression { value, filters })
    }

    /// `a, b or c`: the values of a `when`.
    fn alternatives(&mut self) -> Result<Vec<Operand>, Error> {
        let mut values = vec![self.operand(0)?];
        while self.sign(",") || self.word("or") {
            values.push(self.operand(0)?);
        }
        self.end()?;
        Ok(values)
    }

    fn whole_condition(&mut self) -> Result<Condition, Error> {
        let condition = self.condition(0)?;
        self.end()?;
        Ok(condition)
    }

    fn condition(&mut self, joined: usize) -> Result<Condition, Error> {
        if joined > MOST_JOINED {
            return Err(Error::TooMuch);
        }
        let left = self.operand(0)?;
        let first = match self.comparison() {
            Some(comparison) => Condition::Compare(left, comparison, self.operand(0)?),
            None => Condition::Holds(left),
        };
        if self.word("and") {
            Ok(Condition::And(Box::new(first), Box::new(self.condition(joined + 1)?)))
        } else if self.word("or") {
            Ok(Condition::Or(Box::new(first), Box::new(self.condition(joined + 1)?)))
        } else {
            Ok(first)
        }
    }

    /// Takes the next token if it is this word.
    fn word(&mut self, word: &str) -> bool {
        self.list.next_if(|token| matches!(token, Token::Word(found) if found == word)).is_some()
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let found = match self.list.peek()? {
            Token::Sign("==") => Comparison::Equal,
            Token::Sign("!=" | "<>") => Comparison::Unequal,
            Token::Sign("<") => Comparison::Less,
            Token::Sign("<=") => Comparison::LessOrEqual,
            Token::Sign(">") => Comparison::Greater,
            Token::Sign(">=") => Comparison::GreaterOrEqual,
            Token::Word(word) if word == "contains" => Comparison::Contains,
            _ => return None,
        };
        self.next();
        Some(found)
    }
}
