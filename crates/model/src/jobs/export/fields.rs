//! Which attributes of a user are exported, and under which names.

use serde_json::Value;

use crate::jobs::Job;

/// An attribute that is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    path: Vec<Step>,
    /// The name in the file.
    pub export_as: String,
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// The name cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an attribute")]
pub struct UnknownField;

/// What is exported where nothing was asked for: the normalized profile, under the names that Auth0's files have.
const DEFAULT: [(&str, &str); 11] = [
    ("user_id", "Id"),
    ("given_name", "Given Name"),
    ("family_name", "Family Name"),
    ("nickname", "Nickname"),
    ("name", "Name"),
    ("email", "Email"),
    ("email_verified", "Email Verified"),
    ("picture", "Picture"),
    ("identities[0].connection", "Connection"),
    ("created_at", "Created At"),
    ("updated_at", "Updated At"),
];

/// The attributes that hold moments which we wrote ourselves.
const MOMENTS: [&str; 4] = ["created_at", "updated_at", "last_login", "last_password_reset"];

impl Field {
    /// Reads `identities[0].connection`, `user_metadata.theme`, `email`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(name: &str, export_as: Option<&str>) -> Result<Self, UnknownField> {
        let mut path = Vec::new();
        for part in name.split('.') {
            let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            if key.is_empty() {
                return Err(UnknownField);
            }
            path.push(Step::Key(key.to_owned()));
            while !rest.is_empty() {
                let (number, after) =
                    rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or(UnknownField)?;
                path.push(Step::Item(number.parse().map_err(|_| UnknownField)?));
                rest = after;
            }
        }
        Ok(Self { path, export_as: export_as.unwrap_or(name).to_owned() })
    }

    /// Whether it is `user_metadata` or `app_metadata` as a whole, which has no place in a CSV file.
    pub fn is_whole_metadata(&self) -> bool {
        matches!(self.path.as_slice(), [Step::Key(key)] if key == "user_metadata" || key == "app_metadata")
    }

    pub(super) fn is_moment(&self) -> bool {
        matches!(self.path.as_slice(), [Step::Key(key)] if MOMENTS.contains(&key.as_str()))
    }

    /// Its value of a user as the API answers them.
    pub(super) fn of<'a>(&self, user: &'a Value) -> Option<&'a Value> {
        self.path.iter().try_fold(user, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Item(place) => value.get(place),
        })
    }
}

/// The fields of a job.
pub(super) fn of(job: &Job) -> Vec<Field> {
    let asked = job.doc.get("fields").and_then(Value::as_array).filter(|fields| !fields.is_empty());
    let read = |name: &str, export_as: Option<&str>| Field::parse(name, export_as).ok();
    match asked {
        Some(fields) => {
            let field = |field: &Value| {
                read(field.get("name")?.as_str()?, field.get("export_as").and_then(Value::as_str))
            };
            fields.iter().filter_map(field).collect()
        }
        None => DEFAULT.iter().filter_map(|(name, export_as)| read(name, Some(export_as))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path() {
        for good in ["email", "identities[0].connection", "user_metadata.a.b", "user_metadata.list[1][2].x"] {
            assert!(Field::parse(good, None).is_ok(), "{good}");
        }
        for bad in ["", ".", "a.", "[0]", "a[", "a[x]", "a[0", "a[0]b", "a[-1]", "a[99999999999999999999]"] {
            assert_eq!(Field::parse(bad, None), Err(UnknownField), "{bad}");
        }
    }
}
