//! Tree to text.

use std::ops::ControlFlow;

use serde_json::{Map, Value, json};

use super::filters::Filter;
use super::parse::{Comparison, Condition, Expression, Loop, Node, Operand, Step};
use super::{Error, Form, LONGEST_OUTPUT};

/// What a rendering may use up: about a byte that is looked at or made, or a step that is taken.
const FUEL: usize = 8 * 1024 * 1024;

/// A value on its way, and whether it is markup already.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub value: Value,
    pub safe: bool,
}

pub(super) fn render(nodes: &[Node], form: Form, variables: &Map<String, Value>) -> Result<String, Error> {
    let mut rendering = Rendering { form, variables, own: Vec::new(), fuel: FUEL, output: String::new() };
    // A `break` outside of a loop ends the text, as in Liquid.
    let _ = rendering.nodes(nodes)?;
    Ok(rendering.output)
}

struct Rendering<'a> {
    form: Form,
    variables: &'a Map<String, Value>,
    /// What the template named itself, the newest last.
    own: Vec<(String, Made)>,
    fuel: usize,
    output: String,
}

/// How a loop goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    Loop,
    Round,
}

type Flow = Result<ControlFlow<Leave>, Error>;

impl Rendering<'_> {
    fn burn(&mut self, units: usize) -> Result<(), Error> {
        self.fuel = self.fuel.checked_sub(units).ok_or(Error::TooMuch)?;
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        self.burn(text.len())?;
        if self.output.len() + text.len() > LONGEST_OUTPUT {
            return Err(Error::TooMuch);
        }
        self.output.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node]) -> Flow {
        for node in nodes {
            self.burn(8)?;
            let flow = match node {
                Node::Text(text) => {
                    self.write(text)?;
                    ControlFlow::Continue(())
                }
                Node::Output(expression) => {
                    let made = self.evaluate(expression)?;
                    let text = text_of(&made.value);
                    let escape = self.form == Form::Html && !made.safe;
                    self.write(&if escape { escaped(&text) } else { text })?;
                    ControlFlow::Continue(())
                }
                Node::If(branches) => self.first_branch(branches)?,
                Node::Case(value, whens, otherwise) => self.case(value, whens, otherwise)?,
                Node::For(repeat) => self.repeat(repeat)?,
                Node::Assign(name, expression) => {
                    let made = self.evaluate(expression)?;
                    self.name(name, made);
                    ControlFlow::Continue(())
                }
                Node::Capture(name, body) => {
                    let before = std::mem::take(&mut self.output);
                    let flow = self.nodes(body);
                    let captured = std::mem::replace(&mut self.output, before);
                    self.name(name, Made { value: captured.into(), safe: true });
                    flow?
                }
                Node::Break => ControlFlow::Break(Leave::Loop),
                Node::Continue => ControlFlow::Break(Leave::Round),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn name(&mut self, name: &str, made: Made) {
        match self.own.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = made,
            None => self.own.push((name.to_owned(), made)),
        }
    }

    fn first_branch(&mut self, branches: &[(Option<Condition>, Vec<Node>)]) -> Flow {
        for (condition, body) in branches {
            let taken = match condition {
                Some(condition) => self.holds(condition)?,
                None => true,
            };
            if taken {
                return self.nodes(body);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn case(&mut self, value: &Expression, whens: &[(Vec<Operand>, Vec<Node>)], otherwise: &[Node]) -> Flow {
        let value = self.evaluate(value)?.value;
        for (values, body) in whens {
            for one in values {
                let one = self.operand(one)?.value;
                if same(&value, &one) {
                    return self.nodes(body);
                }
            }
        }
        self.nodes(otherwise)
    }

    fn repeat(&mut self, repeat: &Loop) -> Flow {
        let mut list = self.list(&repeat.list)?;
        if let Some(offset) = &repeat.offset {
            let offset = self.count(offset)?.min(list.len());
            list.drain(..offset);
        }
        if let Some(limit) = &repeat.limit {
            let limit = self.count(limit)?;
            list.truncate(limit);
        }
        if repeat.reversed {
            list.reverse();
        }
        if list.is_empty() {
            return self.nodes(&repeat.otherwise);
        }
        let length = list.len();
        for (index, value) in list.into_iter().enumerate() {
            let forloop = json!({
                "index": index + 1, "index0": index, "rindex": length - index, "rindex0": length - index - 1,
                "first": index == 0, "last": index + 1 == length, "length": length
            });
            // Names are looked up from the end; what the body names itself stays behind these two.
            let place = self.own.len();
            self.own.push((repeat.item.clone(), Made { value, safe: false }));
            self.own.push(("forloop".into(), Made { value: forloop, safe: false }));
            let flow = self.nodes(&repeat.body)?;
            self.own.drain(place..place + 2);
            if flow == ControlFlow::Break(Leave::Loop) {
                break;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn count(&mut self, operand: &Operand) -> Result<usize, Error> {
        let value = self.operand(operand)?.value;
        Ok(number_of(&value).filter(|number| *number >= 0.0).map_or(0, |number| number as usize))
    }

    fn list(&mut self, operand: &Operand) -> Result<Vec<Value>, Error> {
        if let Operand::Range(first, last) = operand {
            let (first, last) = (self.operand(first)?.value, self.operand(last)?.value);
            let bound = |value: &Value| number_of(value).map(|number| number as i64);
            let (Some(first), Some(last)) = (bound(&first), bound(&last)) else { return Ok(Vec::new()) };
            let length = last.saturating_sub(first).saturating_add(1).max(0);
            self.burn(usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(64))?;
            return Ok((first..=last).map(Value::from).collect());
        }
        Ok(match self.operand(operand)?.value {
            Value::Array(items) => items,
            Value::Object(object) => object.into_iter().map(|(key, value)| json!([key, value])).collect(),
            Value::String(text) if !text.is_empty() => vec![text.into()],
            _ => Vec::new(),
        })
    }

    fn evaluate(&mut self, expression: &Expression) -> Result<Made, Error> {
        let mut made = self.operand(&expression.value)?;
        for (filter, arguments) in &expression.filters {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(self.operand(argument)?.value);
            }
            if *filter == Filter::Date && matches!(made.value.as_str(), Some("now" | "today")) {
                made.value = self.variables.get("now").cloned().unwrap_or_default();
            }
            made = filter.apply(made, &values, self.form)?;
            self.burn(weight(&made.value))?;
        }
        Ok(made)
    }

    fn operand(&mut self, operand: &Operand) -> Result<Made, Error> {
        let plain = |value| Made { value, safe: false };
        let (name, steps) = match operand {
            // What the template says itself is markup where it is written as text, but not where it is a value.
            Operand::Literal(value) => {
                self.burn(weight(value))?;
                return Ok(plain(value.clone()));
            }
            Operand::Nothing => return Ok(plain(Value::Null)),
            Operand::Range(..) => return Ok(plain(self.list(operand)?.into())),
            Operand::Path(name, steps) => (name, steps),
        };
        let mut keys = Vec::with_capacity(steps.len());
        for step in steps {
            keys.push(match step {
                Step::Name(name) => Value::from(name.as_str()),
                Step::Index(index) => self.operand(index)?.value,
            });
        }
        let own = self.own.iter().rev().find(|(known, _)| known == name).map(|(_, made)| made);
        let safe = own.is_some_and(|made| made.safe) && steps.is_empty();
        let mut found = own.map(|made| &made.value).or_else(|| self.variables.get(name));
        let mut computed = None;
        for key in &keys {
            let Some(inside) = found.take() else { break };
            match part(inside, key) {
                Part::Here(value) => found = Some(value),
                Part::Computed(value) => computed = Some(value),
                Part::None => {}
            }
        }
        let value = computed.or_else(|| found.cloned()).unwrap_or_default();
        self.burn(weight(&value))?;
        Ok(Made { value, safe })
    }

    fn holds(&mut self, condition: &Condition) -> Result<bool, Error> {
        self.burn(8)?;
        Ok(match condition {
            Condition::Holds(operand) => {
                !matches!(self.operand(operand)?.value, Value::Null | Value::Bool(false))
            }
            Condition::And(first, second) => self.holds(first)? & self.holds(second)?,
            Condition::Or(first, second) => self.holds(first)? | self.holds(second)?,
            Condition::Compare(left, comparison, right) => {
                let blank = [left, right].map(|operand| matches!(operand, Operand::Nothing));
                let (left, right) = (self.operand(left)?.value, self.operand(right)?.value);
                match (comparison, blank) {
                    (Comparison::Equal, [_, true]) => is_empty(&left),
                    (Comparison::Equal, [true, _]) => is_empty(&right),
                    (Comparison::Unequal, [_, true]) => !is_empty(&left),
                    (Comparison::Unequal, [true, _]) => !is_empty(&right),
                    _ => compare(&left, *comparison, &right),
                }
            }
        })
    }
}

enum Part<'a> {
    Here(&'a Value),
    Computed(Value),
    None,
}

fn part<'a>(inside: &'a Value, key: &Value) -> Part<'a> {
    match (inside, key) {
        (Value::Object(object), Value::String(name)) if object.contains_key(name) => {
            Part::Here(&object[name])
        }
        (Value::Array(items), Value::Number(index)) => {
            let index = index.as_i64().unwrap_or(i64::MAX);
            let place = if index < 0 { index.checked_add_unsigned(items.len() as u64) } else { Some(index) };
            let place = place.and_then(|place| usize::try_from(place).ok());
            place.and_then(|place| items.get(place)).map_or(Part::None, Part::Here)
        }
        (Value::Array(items), Value::String(name)) => match name.as_str() {
            "size" => Part::Computed(items.len().into()),
            "first" => items.first().map_or(Part::None, Part::Here),
            "last" => items.last().map_or(Part::None, Part::Here),
            _ => Part::None,
        },
        (Value::Object(object), Value::String(name)) if name == "size" => Part::Computed(object.len().into()),
        (Value::String(text), Value::String(name)) if name == "size" => {
            Part::Computed(text.chars().count().into())
        }
        _ => Part::None,
    }
}

fn compare(left: &Value, comparison: Comparison, right: &Value) -> bool {
    let order = || match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => number_of(left)?.partial_cmp(&number_of(right)?),
    };
    match comparison {
        Comparison::Equal => same(left, right),
        Comparison::Unequal => !same(left, right),
        Comparison::Less => order().is_some_and(|order| order.is_lt()),
        Comparison::LessOrEqual => order().is_some_and(|order| order.is_le()),
        Comparison::Greater => order().is_some_and(|order| order.is_gt()),
        Comparison::GreaterOrEqual => order().is_some_and(|order| order.is_ge()),
        Comparison::Contains => match left {
            Value::String(text) => !right.is_null() && text.contains(&text_of(right)),
            Value::Array(items) => items.iter().any(|item| same(item, right)),
            _ => false,
        },
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// A number, also where a text is one.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// A value as it is written.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect(),
        other => other.to_string(),
    }
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => 1 + text.len(),
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(object) => {
            1 + object.iter().map(|(key, value)| key.len() + weight(value)).sum::<usize>()
        }
        _ => 8,
    }
}

/// With references for what means something in HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
