//! The three shapes of a list's answer: a plain array, an offset page with totals, a checkpoint page (management contract §2.5).

use model::paging::{Page, Paging};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::errors::Error;

/// Offset paging reaches only so many records, where the contract says so.
const FARTHEST: u64 = 1000;

/// The paging parameters; flattened into the query of every list. SDKs send all five together, so that every list
/// tolerates them all.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Pages {
    /// Page index of the results to return. First page is 0.
    #[schemars(range(min = 0))]
    pub page: Option<u32>,
    /// Number of results per page.
    #[schemars(range(min = 0, max = 100))]
    pub per_page: Option<u32>,
    /// Return results inside an object that contains the total result count (true) or as a direct array of results (false, default).
    pub include_totals: Option<bool>,
    /// Number of results per page. Defaults to 50.
    #[schemars(range(min = 1, max = 1000))]
    pub take: Option<u32>,
    /// Optional Id from which to start selection.
    #[schemars(length(max = 1000))]
    pub from: Option<String>,
}

/// What a list does with the paging parameters.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The key of the items in a wrapper.
    pub key: &'static str,
    /// The least that `per_page` may be: 1, and 0 on some lists.
    pub least_per_page: u32,
    /// The most that `take` may be; 0 where the list has no checkpoints, and `take` and `from` mean nothing.
    pub most_taken: u32,
    /// Whether an offset page says how many items it holds.
    pub length: bool,
    /// Whether offset pages end after the first 1000 records.
    pub first_thousand: bool,
}

impl Style {
    /// Offsets with a `per_page` of at least 1, and no checkpoints.
    pub const fn offsets(key: &'static str) -> Self {
        Self { key, least_per_page: 1, most_taken: 0, length: false, first_thousand: false }
    }

    /// Offsets, and checkpoints of at most 100.
    pub const fn checkpoints(key: &'static str) -> Self {
        Self { most_taken: 100, ..Self::offsets(key) }
    }

    /// The same with a `per_page` that may be 0.
    pub const fn from_zero(self) -> Self {
        Self { least_per_page: 0, ..self }
    }

    /// Checkpoints of at most so many.
    pub const fn up_to(self, most_taken: u32) -> Self {
        Self { most_taken, ..self }
    }

    /// Which part of a list is asked for that knows nothing but checkpoints.
    ///
    /// # Errors
    /// 400 `invalid_query_string`.
    pub fn always_checkpoints(&self, pages: &Pages) -> Result<Paging, Error> {
        self.paging(&Pages { take: Some(pages.take.unwrap_or(50)), ..pages.clone() })
    }

    /// Which part of the list is asked for.
    ///
    /// # Errors
    /// 400 `invalid_query_string` or `invalid_paging`.
    pub fn paging(&self, pages: &Pages) -> Result<Paging, Error> {
        let per_page = pages.per_page.unwrap_or(50);
        if per_page < self.least_per_page {
            return Err(out_of_range(format!("Value {per_page} is less than minimum 1"), "per_page"));
        }
        if self.most_taken > 0 && (pages.take.is_some() || pages.from.is_some()) {
            let take = pages.take.unwrap_or(50);
            if take > self.most_taken {
                return Err(out_of_range(
                    format!("Value {take} is greater than maximum {}", self.most_taken),
                    "take",
                ));
            }
            return Ok(Paging::Checkpoint { after: pages.from.clone(), take });
        }
        let page = pages.page.unwrap_or(0);
        if self.first_thousand && u64::from(page) * u64::from(per_page) >= FARTHEST {
            return Err(Error::InvalidPaging);
        }
        Ok(Paging::Offset { page, per_page, totals: pages.include_totals.unwrap_or(false) })
    }

    /// The answer: an array without totals, else a wrapper.
    pub fn answer(&self, paging: &Paging, page: Page<Map<String, Value>>) -> Value {
        let length = page.items.len();
        let items = Value::Array(page.items.into_iter().map(Value::Object).collect());
        match paging {
            Paging::Offset { totals: false, .. } => items,
            Paging::Offset { page: number, per_page, totals: true } => {
                let mut wrapper = Map::new();
                wrapper.insert("total".into(), json!(page.total.unwrap_or_default()));
                wrapper.insert("start".into(), json!(u64::from(*number) * u64::from(*per_page)));
                wrapper.insert("limit".into(), json!(per_page));
                if self.length {
                    wrapper.insert("length".into(), json!(length));
                }
                wrapper.insert(self.key.into(), items);
                Value::Object(wrapper)
            }
            Paging::Checkpoint { .. } => {
                let mut wrapper = Map::from_iter([(self.key.to_owned(), items)]);
                if let Some(next) = page.next {
                    wrapper.insert("next".into(), json!(next));
                }
                Value::Object(wrapper)
            }
        }
    }
}

fn out_of_range(problem: String, property: &str) -> Error {
    Error::InvalidQuery(format!("Query validation error: '{problem}' on property {property}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(value: Value) -> Pages {
        serde_json::from_value(value).unwrap()
    }

    fn answer(style: Style, asked: Value) -> Value {
        let paging = style.paging(&pages(asked)).unwrap();
        let item = Map::from_iter([("id".to_owned(), json!(1))]);
        style.answer(&paging, Page { items: vec![item], total: Some(7), next: Some("t".into()) })
    }

    #[test]
    fn a_list_has_three_shapes() {
        let style = Style::checkpoints("client_grants");
        assert_eq!(answer(style, json!({})), json!([{ "id": 1 }]));
        assert_eq!(answer(style, json!({ "page": 2, "per_page": 3 })), json!([{ "id": 1 }]));
        assert_eq!(
            answer(style, json!({ "page": 2, "per_page": 3, "include_totals": true })),
            json!({ "start": 6, "limit": 3, "total": 7, "client_grants": [{ "id": 1 }] })
        );
        let all_five = json!({ "page": 0, "per_page": 50, "include_totals": true, "take": 50 });
        assert_eq!(answer(style, all_five.clone()), json!({ "client_grants": [{ "id": 1 }], "next": "t" }));
        assert_eq!(
            answer(Style::offsets("grants"), all_five),
            json!({ "start": 0, "limit": 50, "total": 7, "grants": [{ "id": 1 }] })
        );
    }

    #[test]
    fn users_and_logs_tell_their_length() {
        let style = Style { length: true, ..Style::offsets("users") };
        assert_eq!(answer(style, json!({ "include_totals": true }))["length"], 1);
    }

    #[test]
    fn windows_are_bounded() {
        let style = Style { first_thousand: true, ..Style::checkpoints("users") };
        let refused = |asked: Value| style.paging(&pages(asked)).unwrap_err().to_string();
        assert_eq!(
            refused(json!({ "per_page": 0 })),
            "Query validation error: 'Value 0 is less than minimum 1' on property per_page."
        );
        assert_eq!(
            refused(json!({ "take": 101 })),
            "Query validation error: 'Value 101 is greater than maximum 100' on property take."
        );
        assert!(
            refused(json!({ "page": 10, "per_page": 100 }))
                .starts_with("You can only page through the first 1000")
        );
        assert!(style.paging(&pages(json!({ "page": 9, "per_page": 100 }))).is_ok());
        assert!(style.from_zero().paging(&pages(json!({ "per_page": 0 }))).is_ok());
    }
}
