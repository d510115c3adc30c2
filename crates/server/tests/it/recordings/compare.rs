//! Comparing an answer with the recorded one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::exchange::{Exchange, list};
use super::names::Names;
use super::rules::{Accept, RULES, When};

/// A difference that no rule explains.
#[derive(Debug)]
pub struct Difference {
    /// The path inside the object, or `status`, `content-type`, `list.…`.
    pub field: String,
    pub what: What,
    pub recorded: Value,
    pub ours: Value,
}

/// How two answers differ at a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Missing,
    Extra,
    Type,
    Order,
    Value,
}

/// What is known of the object that is being compared.
#[derive(Clone, Copy, Default)]
pub struct Object {
    /// Whether it is a connection to an upstream.
    federated: bool,
    /// Whether it is the client that stands for all applications.
    global: bool,
    /// Whether it is older than the recording.
    restored: bool,
}

/// One comparison under way.
pub struct Comparison<'a> {
    pub exchange: &'a Exchange,
    pub family: String,
    pub names: &'a mut Names,
    /// The texts of our request: what they name is not the service's to make.
    pub sent: Vec<String>,
    /// Whether copies of a write were left out of the recording.
    pub write_repeated: bool,
    /// What the object in hand is.
    pub object: Object,
    /// Ids that our tenant held before the recording's first request.
    pub held: &'a BTreeSet<String>,
    /// Ids of what was put there as it was recorded.
    pub restored: &'a BTreeSet<String>,
    /// How many differences each rule has explained, by its position.
    pub used: &'a mut BTreeMap<usize, usize>,
    pub differences: Vec<Difference>,
}

impl Comparison<'_> {
    /// Compares two bodies.
    pub fn bodies(&mut self, recorded: &Value, ours: &Value) {
        match (list(recorded), list(ours)) {
            (Some(recorded_items), Some(our_items)) if self.exchange.method == "GET" => {
                if let (Value::Object(recorded), Value::Object(ours)) = (recorded, ours) {
                    self.wrappers(recorded, ours);
                } else if recorded.is_array() != ours.is_array() {
                    self.note("list.style", What::Type, recorded, ours);
                }
                self.items(recorded_items, our_items);
            }
            _ => self.values("", recorded, ours),
        }
    }

    /// Notes a difference unless a rule explains it.
    pub fn note(&mut self, field: &str, what: What, recorded: &Value, ours: &Value) {
        let explained = match what {
            // What was sent must come back, where the service sent it back.
            What::Missing if self.sent(field).is_some() => false,
            What::Type | What::Order | What::Value if self.sent(field) == Some(recorded) => false,
            What::Missing => self.accepted(field, |accept| accept == Accept::Missing),
            What::Extra => self.accepted(field, |accept| accept == Accept::Extra),
            What::Type => self.accepted(field, |accept| accept == Accept::Type),
            What::Order => self.accepted(field, |accept| matches!(accept, Accept::Order | Accept::Value)),
            What::Value => self.accepted(field, |accept| match accept {
                Accept::Instead(one, other) => *recorded == one && *ours == other,
                accept => accept == Accept::Value,
            }),
        };
        if !explained {
            let (recorded, ours) = (recorded.clone(), ours.clone());
            self.differences.push(Difference { field: field.to_owned(), what, recorded, ours });
        }
    }

    /// What the recorded request set this field to.
    fn sent(&self, field: &str) -> Option<&Value> {
        let pointer = format!("/{}", field.replace('.', "/"));
        self.exchange.request_body.pointer(&pointer).filter(|sent| !sent.is_null())
    }

    fn accepted(&mut self, field: &str, accepts: impl Fn(Accept) -> bool) -> bool {
        let found = RULES.iter().position(|rule| {
            let holds = match rule.when {
                When::Always => true,
                When::Reencoded => self.exchange.reencoded,
                When::Federated => self.object.federated,
                When::Global => self.object.global,
                When::Restored => self.object.restored,
                When::WriteRepeated => self.write_repeated,
            };
            accepts(rule.accepts) && holds && rule.covers(&self.family, field)
        });
        if let Some(position) = found {
            *self.used.entry(position).or_default() += 1;
        }
        found.is_some()
    }

    fn wrappers(&mut self, recorded: &Map<String, Value>, ours: &Map<String, Value>) {
        for (key, recorded) in recorded {
            let field = format!("list.{key}");
            match ours.get(key) {
                None => self.note(&field, What::Missing, recorded, &Value::Null),
                Some(_) if recorded.is_array() => {}
                Some(ours) => self.values(&field, recorded, ours),
            }
        }
        for (key, ours) in ours.iter().filter(|(key, _)| !recorded.contains_key(*key)) {
            self.note(&format!("list.{key}"), What::Extra, &Value::Null, ours);
        }
    }

    /// Items are paired by id, else by name, else in their order.
    fn items(&mut self, recorded: &[Value], ours: &[Value]) {
        let mut left: Vec<_> = ours.iter().collect();
        let mut unpaired = Vec::new();
        for item in recorded {
            let position = left.iter().position(|candidate| self.same_id(item, candidate));
            match position {
                Some(position) => self.values("", item, left.remove(position)),
                None => unpaired.push(item),
            }
        }
        let mut unnamed = Vec::new();
        for item in unpaired {
            match left.iter().position(|candidate| same_name(item, candidate)) {
                Some(position) => self.values("", item, left.remove(position)),
                None => unnamed.push(item),
            }
        }
        let ids: Vec<_> = left.iter().map(|item| id(item).unwrap_or_default().to_owned()).collect();
        if unnamed.len() == left.len() {
            for (item, candidate) in unnamed.into_iter().zip(left) {
                self.values("", item, candidate);
            }
            return;
        }
        for item in unnamed {
            let known =
                id(item).is_some_and(|id| self.names.known(id).is_some() || self.restored.contains(id));
            let field = if known { "list.item" } else { "list.stranger" };
            self.note(field, What::Missing, item, &Value::Null);
        }
        for (item, id) in left.into_iter().zip(ids) {
            if !self.held.contains(&id) {
                self.note("list.item", What::Extra, &Value::Null, item);
            }
        }
    }

    fn same_id(&self, recorded: &Value, ours: &Value) -> bool {
        id(recorded).is_some_and(|recorded| id(ours) == Some(&self.names.text(recorded)))
    }

    fn values(&mut self, field: &str, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Object(recorded), Value::Object(ours)) => self.objects(field, recorded, ours),
            (Value::Array(recorded), Value::Array(ours)) => self.arrays(field, recorded, ours),
            (Value::String(recorded), Value::String(ours)) => self.texts(field, recorded, ours),
            (recorded, ours) if recorded == ours => {}
            (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
            (Value::Bool(_), Value::Bool(_)) | (Value::Number(_), Value::Number(_)) => {
                self.note(field, What::Value, recorded, ours);
            }
            _ => self.note(field, What::Type, recorded, ours),
        }
    }

    fn objects(&mut self, field: &str, recorded: &Map<String, Value>, ours: &Map<String, Value>) {
        if field.is_empty() {
            let text = |key: &str| recorded.get(key).and_then(Value::as_str);
            let id = ["id", "client_id"].iter().find_map(|key| ours.get(*key)?.as_str());
            self.object = Object {
                federated: text("strategy").is_some_and(|strategy| strategy != "auth0"),
                global: text("name") == Some("All Applications"),
                restored: id.is_some_and(|id| self.restored.contains(id)),
            };
        }
        let inside = |key: &str| if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") };
        for (key, recorded) in recorded {
            match ours.get(key) {
                None => self.note(&inside(key), What::Missing, recorded, &Value::Null),
                Some(ours) => self.values(&inside(key), recorded, ours),
            }
        }
        for (key, ours) in ours.iter().filter(|(key, _)| !recorded.contains_key(*key)) {
            self.note(&inside(key), What::Extra, &Value::Null, ours);
        }
    }

    fn arrays(&mut self, field: &str, recorded: &[Value], ours: &[Value]) {
        let here: Vec<_> = recorded.iter().map(|item| self.names.value(item)).collect();
        if here != ours && sorted(&here) == sorted(ours) {
            self.note(field, What::Order, &here.into(), &ours.to_vec().into());
        } else if recorded.len() == ours.len() {
            for (recorded, ours) in recorded.iter().zip(ours) {
                self.values(&format!("{field}[]"), recorded, ours);
            }
        } else {
            self.note(field, What::Value, &here.into(), &ours.to_vec().into());
        }
    }

    fn texts(&mut self, field: &str, recorded: &str, ours: &str) {
        if self.names.text(recorded) == ours || is_placeholder(recorded) {
            return;
        }
        let named_by_us = self.sent.iter().any(|sent| sent.len() > 2 && recorded.ends_with(sent.as_str()));
        if !named_by_us
            && self.names.known(recorded).is_none()
            && form(recorded) == form(ours)
            && self.accepted(field, |accept| accept == Accept::Made)
        {
            return self.names.bind(recorded, ours);
        }
        if is_moment(recorded, self.exchange.reencoded)
            && is_moment(ours, false)
            && self.accepted(field, |accept| accept == Accept::Moment)
        {
            return;
        }
        self.note(field, What::Value, &self.names.text(recorded).into(), &ours.into());
    }
}

/// What tells an item of a list from the others.
pub fn id(item: &Value) -> Option<&str> {
    ["id", "log_id", "client_id", "user_id"].iter().find_map(|key| item.get(key)?.as_str())
}

fn same_name(recorded: &Value, ours: &Value) -> bool {
    ["name", "identifier"].iter().any(|key| recorded.get(key).is_some_and(|name| ours.get(key) == Some(name)))
}

fn sorted(values: &[Value]) -> Vec<String> {
    let mut texts: Vec<_> = values.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

/// Whether something stands here in place of what was recorded.
fn is_placeholder(recorded: &str) -> bool {
    recorded == "[REDACTED]"
        || recorded == "[ROTATED-REDACTED]"
        || (recorded.starts_with('<') && recorded.ends_with('>') && !recorded.contains('/'))
}

/// `2025-05-16T07:37:33.769Z`; a recorder's struct writes `.76Z` for `.760Z`.
fn is_moment(text: &str, reencoded: bool) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd.dddZ";
    let whole = match text.strip_suffix('Z').filter(|_| reencoded) {
        Some(start) => format!("{start:0<23}Z"),
        None => text.to_owned(),
    };
    whole.len() == pattern.len()
        && whole.bytes().zip(pattern.bytes()).all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// The form of an id: its prefix, and the length and the kind of the rest.
fn form(id: &str) -> (&str, usize, bool) {
    let (prefix, rest) = match id.find(['|', '_']) {
        Some(end) => id.split_at(end + 1),
        None => ("", id),
    };
    let hexadecimal = rest.len() == 24 && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (prefix, rest.len(), hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_form() {
        assert_eq!(form("con_dS4z0bPLm0DKxMHp"), ("con_", 16, false));
        assert_eq!(form("auth0|68998c2d684ac37fcd52bfbe"), ("auth0|", 24, true));
        assert_eq!(form("68998c2d684ac37fcd52bfbe"), ("", 24, true));
        assert_ne!(form("Isi93ibGHIGwmdYjsLwTOn7Gu7nwxU3V"), form("68998c2d684ac37fcd52bfbe"));
    }

    #[test]
    fn a_moment_is_written_in_one_way() {
        assert!(is_moment("2025-05-16T07:37:33.769Z", false) && is_moment("2025-05-16T07:37:33.7Z", true));
        for bad in ["2025-05-16T07:37:33Z", "2025-05-16T07:37:33.76Z", "2025-05-16 07:37:33.769Z"] {
            assert!(!is_moment(bad, false), "{bad}");
        }
    }
}
