//! What a value can be put through.

use serde_json::{Number, Value};

use super::render::{Made, escaped, number_of, text_of};
use super::{Error, Form, LONGEST_OUTPUT};

macro_rules! filters {
    ($($name:ident = $code:literal,)*) => {
        /// A filter, by its name in Liquid.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Filter { $($name,)* }

        impl Filter {
            pub(super) fn from_name(name: &str) -> Option<Self> {
                match name { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

filters! {
    Append = "append",
    Capitalize = "capitalize",
    Date = "date",
    Default = "default",
    DividedBy = "divided_by",
    Downcase = "downcase",
    Escape = "escape",
    EscapeOnce = "escape_once",
    First = "first",
    Join = "join",
    Last = "last",
    Lstrip = "lstrip",
    Minus = "minus",
    NewlineToBr = "newline_to_br",
    Plus = "plus",
    Prepend = "prepend",
    Raw = "raw",
    Remove = "remove",
    Replace = "replace",
    ReplaceFirst = "replace_first",
    Rstrip = "rstrip",
    Size = "size",
    Slice = "slice",
    Split = "split",
    Strip = "strip",
    StripHtml = "strip_html",
    StripNewlines = "strip_newlines",
    Times = "times",
    Truncate = "truncate",
    Upcase = "upcase",
    UrlDecode = "url_decode",
    UrlEncode = "url_encode",
}

/// The most parts that a text is split into.
const MOST_PARTS: usize = 10_000;

impl Filter {
    /// The value after the filter. Nothing that it makes is longer than a text may be.
    pub(super) fn apply(self, made: Made, arguments: &[Value], form: Form) -> Result<Made, Error> {
        let argument = |place: usize| arguments.get(place).map(text_of).unwrap_or_default();
        let Made { value, safe } = made;
        let value: Value = match self {
            Self::Raw => return Ok(Made { value, safe: true }),
            Self::Escape | Self::EscapeOnce if safe => return Ok(Made { value, safe }),
            Self::Escape | Self::EscapeOnce => {
                let text = text_of(&value);
                // A text that is no markup has nothing to escape.
                let text = if form == Form::Html { escaped(&text) } else { text };
                return Ok(Made { value: text.into(), safe: true });
            }
            Self::NewlineToBr if form == Form::Html => {
                let text = if safe { text_of(&value) } else { escaped(&text_of(&value)) };
                let text = replaced(&text, "\n", "<br>\n", usize::MAX)?;
                return Ok(Made { value: text.into(), safe: true });
            }
            Self::Default => {
                let absent = match &value {
                    Value::Null | Value::Bool(false) => true,
                    Value::String(text) => text.is_empty(),
                    Value::Array(items) => items.is_empty(),
                    _ => false,
                };
                if !absent {
                    return Ok(Made { value, safe });
                }
                arguments.first().cloned().unwrap_or_default()
            }
            Self::Size => match &value {
                Value::Array(items) => items.len().into(),
                Value::Object(object) => object.len().into(),
                other => text_of(other).chars().count().into(),
            },
            Self::First | Self::Last => match value {
                Value::Array(mut items) if !items.is_empty() => {
                    let place = if self == Self::First { 0 } else { items.len() - 1 };
                    items.swap_remove(place)
                }
                _ => Value::Null,
            },
            Self::Join => match &value {
                Value::Array(items) => {
                    let between = if arguments.is_empty() { " ".to_owned() } else { argument(0) };
                    bounded(between.len().saturating_mul(items.len()))?;
                    items.iter().map(text_of).collect::<Vec<_>>().join(&between).into()
                }
                other => text_of(other).into(),
            },
            Self::Split => {
                let (text, between) = (text_of(&value), argument(0));
                if text.is_empty() {
                    Value::Array(Vec::new())
                } else if between.is_empty() {
                    text.chars().take(MOST_PARTS).map(|char| Value::from(char.to_string())).collect()
                } else {
                    text.split(&between).take(MOST_PARTS).map(Value::from).collect()
                }
            }
            Self::Plus | Self::Minus | Self::Times | Self::DividedBy => {
                let (left, right) = (number_of(&value), arguments.first().and_then(number_of));
                let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
                let number = match self {
                    Self::Plus => left + right,
                    Self::Minus => left - right,
                    Self::Times => left * right,
                    // Of whole numbers it is the whole part.
                    _ if left.fract() == 0.0 && right.fract() == 0.0 => (left / right).floor(),
                    _ => left / right,
                };
                let whole = number.fract() == 0.0 && number.abs() < 9e15;
                if whole {
                    (number as i64).into()
                } else {
                    Number::from_f64(number).map_or(Value::Null, Value::from)
                }
            }
            _ => self.text(&text_of(&value), &argument, arguments)?.into(),
        };
        Ok(Made { value, safe: false })
    }

    /// The filters of a text.
    fn text(
        self,
        text: &str,
        argument: &dyn Fn(usize) -> String,
        arguments: &[Value],
    ) -> Result<String, Error> {
        let number = |place: usize| arguments.get(place).and_then(number_of);
        Ok(match self {
            Self::Append => [text, &argument(0)].concat(),
            Self::Prepend => [&argument(0), text].concat(),
            Self::Upcase => text.to_uppercase(),
            Self::Downcase => text.to_lowercase(),
            Self::Capitalize => {
                let mut chars = text.chars();
                let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
                first + chars.as_str()
            }
            Self::Strip => text.trim().to_owned(),
            Self::Lstrip => text.trim_start().to_owned(),
            Self::Rstrip => text.trim_end().to_owned(),
            Self::StripNewlines => text.replace(['\n', '\r'], ""),
            Self::StripHtml => without_tags(text),
            Self::NewlineToBr => text.to_owned(),
            Self::Remove => replaced(text, &argument(0), "", usize::MAX)?,
            Self::Replace => replaced(text, &argument(0), &argument(1), usize::MAX)?,
            Self::ReplaceFirst => replaced(text, &argument(0), &argument(1), 1)?,
            Self::Truncate => {
                let most = number(0).map_or(50, |most| most.max(0.0) as usize);
                let mark = if arguments.len() > 1 { argument(1) } else { "...".into() };
                if text.chars().count() <= most {
                    text.to_owned()
                } else {
                    let kept = most.saturating_sub(mark.chars().count());
                    text.chars().take(kept).chain(mark.chars()).collect()
                }
            }
            Self::Slice => {
                let count = text.chars().count();
                let start = number(0).unwrap_or_default();
                let start = if start < 0.0 { count as f64 + start } else { start }.max(0.0) as usize;
                text.chars()
                    .skip(start)
                    .take(number(1).map_or(1, |length| length.max(0.0) as usize))
                    .collect()
            }
            Self::UrlEncode => url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
            Self::UrlDecode => {
                let spaced = text.replace('+', " ");
                percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
            }
            Self::Date => date(text, &argument(0)),
            _ => text.to_owned(),
        })
    }
}

fn bounded(length: usize) -> Result<(), Error> {
    if length > LONGEST_OUTPUT { Err(Error::TooMuch) } else { Ok(()) }
}

fn replaced(text: &str, from: &str, to: &str, most: usize) -> Result<String, Error> {
    if from.is_empty() {
        return Ok(text.to_owned());
    }
    let times = text.matches(from).take(most).count();
    bounded(times.saturating_mul(to.len()).saturating_add(text.len()))?;
    Ok(text.replacen(from, to, times))
}

fn without_tags(text: &str) -> String {
    let mut inside = false;
    let kept = text.chars().filter(|char| match char {
        '<' => {
            inside = true;
            false
        }
        '>' if inside => {
            inside = false;
            false
        }
        _ => !inside,
    });
    kept.collect()
}

/// A moment in ISO 8601, by a pattern as of `strftime`. What is no moment, or no pattern, stays as it is.
fn date(text: &str, pattern: &str) -> String {
    let Ok(moment) = text.parse::<jiff::Timestamp>() else { return text.to_owned() };
    let zoned = moment.to_zoned(jiff::tz::TimeZone::UTC);
    jiff::fmt::strtime::format(pattern, &zoned).unwrap_or_else(|_| text.to_owned())
}
