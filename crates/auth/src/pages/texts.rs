//! Every word on the pages, keyed `prompt/screen/text` as in Auth0's custom-text API, with `${placeholders}`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The texts of one language.
pub struct Texts(BTreeMap<String, String>);

static EN: LazyLock<Texts> = LazyLock::new(|| {
    Texts::parse(include_str!("../../texts/en.json")).expect("the catalogue is read by a test")
});

impl Texts {
    /// The texts for a language tag. English stands in for every language that has no catalogue yet.
    pub fn of(_lang: &str) -> &'static Self {
        &EN
    }

    /// The language tag of the catalogue that [`Texts::of`] chooses: what belongs into `<html lang>`.
    pub fn language(_lang: &str) -> &'static str {
        "en"
    }

    /// The text for a key; a key that is missing shows as itself.
    pub fn get<'a>(&'a self, key: &'a str) -> &'a str {
        self.0.get(key).map_or(key, String::as_str)
    }

    /// The text for a key with its `${placeholders}` filled in. Values are taken as they are: a
    /// `${…}` inside a value stays. A placeholder without a value stays, too.
    pub fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut rest = self.get(key);
        let mut filled = String::with_capacity(rest.len() + 32);
        while let Some((before, after)) = rest.split_once("${") {
            filled.push_str(before);
            let value = after.split_once('}').and_then(|(name, behind)| {
                let (_, value) = values.iter().find(|(known, _)| *known == name)?;
                Some((*value, behind))
            });
            rest = match value {
                Some((value, behind)) => {
                    filled.push_str(value);
                    behind
                }
                None => {
                    filled.push_str("${");
                    after
                }
            };
        }
        filled.push_str(rest);
        filled
    }

    fn parse(json: &str) -> Result<Self, serde_json::Error> {
        type Screens = BTreeMap<String, BTreeMap<String, String>>;
        let prompts: BTreeMap<String, Screens> = serde_json::from_str(json)?;
        let mut texts = BTreeMap::new();
        for (prompt, screens) in prompts {
            for (screen, entries) in screens {
                for (name, text) in entries {
                    texts.insert(format!("{prompt}/{screen}/{name}"), text);
                }
            }
        }
        Ok(Self(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        Texts::parse(r#"{"login":{"login":{"title":"Hi ${name}, at ${place}","odd":"${name"}}}"#).unwrap()
    }

    #[test]
    fn placeholders_are_filled_once() {
        let values = [("name", "${place}"), ("place", "Acme")];
        assert_eq!(texts().fill("login/login/title", &values), "Hi ${place}, at Acme");
    }

    #[test]
    fn what_is_unknown_stays() {
        assert_eq!(texts().fill("login/login/title", &[("place", "Acme")]), "Hi ${name}, at Acme");
        assert_eq!(texts().fill("login/login/odd", &[("name", "x")]), "${name");
        assert_eq!(texts().fill("login/login/none", &[]), "login/login/none");
    }

    /// Every literal key in the templates and in this folder exists, and every text has a user.
    #[test]
    fn every_key_exists_and_none_is_unused() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = String::new();
        for folder in ["templates", "src/pages"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.ends_with("texts.rs") || path.ends_with("tests.rs") || path.is_dir() {
                    continue;
                }
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
        let prompts: Vec<&str> = EN.0.keys().filter_map(|key| key.split('/').next()).collect();
        let used: std::collections::BTreeSet<&str> = sources
            .split('"')
            .filter(|text| {
                let parts: Vec<&str> = text.split('/').collect();
                parts.len() == 3 && prompts.contains(&parts[0]) && !text.contains(char::is_whitespace)
            })
            .collect();
        let known: std::collections::BTreeSet<&str> = EN.0.keys().map(String::as_str).collect();
        let missing: Vec<_> = used.difference(&known).collect();
        let unused: Vec<_> = known.difference(&used).collect();
        assert!(missing.is_empty() && unused.is_empty(), "missing: {missing:#?}, unused: {unused:#?}");
    }
}
