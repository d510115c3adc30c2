//! The language of mail templates: the part of Liquid that Auth0's documentation uses, bounded in every direction.
//!
//! There are `if`, `unless`, `case`, `for`, `assign`, `capture`, `comment`, `raw`, and the filters of [`filters`]. An unknown
//! variable is empty. A template reaches nothing but the variables it is given. In HTML every value is escaped on its way
//! out, unless the template says `raw`: a name that somebody chose at sign-up is no markup. `escape` does not escape twice.

mod filters;
mod parse;
mod render;

use serde_json::{Map, Value};

use parse::Node;

/// The longest source, in bytes.
pub const LONGEST_SOURCE: usize = 512 * 1024;
/// The longest text that a template may make, in bytes.
pub const LONGEST_OUTPUT: usize = 1024 * 1024;

/// A template that was read.
#[derive(Clone, Debug)]
pub struct Template(Vec<Node>);

/// What a template's text becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A value's `<`, `>`, `&`, `"` and `'` are written as references.
    Html,
    /// Values are written as they are.
    Text,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The source does not follow the language; what, and where.
    #[error("{what} in line {line}")]
    Syntax {
        /// What is wrong.
        what: String,
        /// Where, from 1.
        line: usize,
    },
    /// It would take too long, or grow too large.
    #[error("the template does too much")]
    TooMuch,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// `Syntax`; `TooMuch` for a source that is too long, or nested too deep.
    pub fn parse(source: &str) -> Result<Self, Error> {
        if source.len() > LONGEST_SOURCE {
            return Err(Error::TooMuch);
        }
        parse::template(source).map(Self)
    }

    /// The text that the template makes of `variables`.
    ///
    /// # Errors
    /// `TooMuch`.
    pub fn render(&self, form: Form, variables: &Map<String, Value>) -> Result<String, Error> {
        render::render(&self.0, form, variables)
    }
}

/// [`Template::parse`] and [`Template::render`] in one.
///
/// # Errors
/// Those of the two.
pub fn render(source: &str, form: Form, variables: &Map<String, Value>) -> Result<String, Error> {
    Template::parse(source)?.render(form, variables)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn html(source: &str, variables: Value) -> Result<String, Error> {
        render(source, Form::Html, variables.as_object().unwrap())
    }

    /// Expectations from liquidjs 10 with `outputEscape: "escape"`, where it has that.
    #[test]
    fn it_reads_what_auth0_templates_are_made_of() {
        let variables = || {
            json!({
                "application": { "name": "Acme <b>" }, "url": "https://a.test/?a=1&b=2", "code": "123456", "n": 3,
                "user": { "name": "Ann", "email": "ann@example.com", "user_metadata": { "lang": "de", "tags": ["x", "y"] } },
                "vacant": "", "no": false
            })
        };
        for (source, expected) in [
            ("Hi {{ user.name }}!", "Hi Ann!"),
            ("{{ application.name }}", "Acme &lt;b&gt;"),
            ("{{ application.name | escape }}", "Acme &lt;b&gt;"),
            ("{{ application.name | raw }}", "Acme <b>"),
            ("{{ url }}", "https://a.test/?a=1&amp;b=2"),
            ("{{ nothing.at.all }}|{{ user.nothing }}|", "||"),
            (
                "{{ user['name'] }} {{ user.user_metadata.tags[1] }} {{ user.user_metadata.tags[-1] }}",
                "Ann y y",
            ),
            ("{% if user.user_metadata.lang == 'de' %}Hallo{% else %}Hello{% endif %}", "Hallo"),
            ("{% if nothing %}a{% elsif n > 2 %}b{% else %}c{% endif %}", "b"),
            ("{% if vacant %}truthy{% endif %}{% if no or n >= 3 and code %}both{% endif %}", "truthyboth"),
            ("{% unless user.email contains '@' %}a{% else %}b{% endunless %}", "b"),
            ("{% if user.user_metadata.tags contains 'x' %}has{% endif %}", "has"),
            ("{% if vacant == blank and nothing == nil %}blank{% endif %}", "blank"),
            (
                "{% case user.user_metadata.lang %}{% when 'en', 'fr' %}1{% when 'de' %}2{% else %}3{% endcase %}",
                "2",
            ),
            (
                "{% for tag in user.user_metadata.tags %}{{ forloop.index }}{{ tag }}{% unless forloop.last %},{% endunless %}{% endfor %}",
                "1x,2y",
            ),
            (
                "{% for i in (1..n) %}{{ i }}{% endfor %}{% for x in nothing %}a{% else %}none{% endfor %}",
                "123none",
            ),
            ("{% for i in (1..9) reversed limit:2 %}{{ i }}{% endfor %}", "21"),
            (
                "{% for i in (1..9) %}{% if i == 3 %}{% break %}{% endif %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
                "2",
            ),
            ("{% assign who = user.name | upcase %}{{ who }}", "ANN"),
            (
                "{% capture link %}<a href=\"{{ url }}\">{% endcapture %}{{ link }}",
                "<a href=\"https://a.test/?a=1&amp;b=2\">",
            ),
            ("a  {%- comment -%} {{ x }} {% if %} {%- endcomment -%}  b", "ab"),
            ("{% raw %}{{ url }}{% endraw %}", "{{ url }}"),
            ("{{ user.name | append: ' & ' | append: n }}", "Ann &amp; 3"),
            ("{{ nothing | default: 'there' }} {{ user.email | split: '@' | first }}", "there ann"),
            ("{{ 'a-b' | replace: '-', '+' | url_encode }} {{ \"x\" | prepend: 'y' | size }}", "a%2Bb 2"),
            ("{{ user.user_metadata.tags | join: '/' }} {{ n | plus: 4 | times: 2 | minus: 1 }}", "x/y 13"),
            ("{{ 'one two three' | truncate: 9 }} {{ 'q' | capitalize }}", "one tw... Q"),
            ("no tags { here } %} }}", "no tags { here } %} }}"),
        ] {
            assert_eq!(html(source, variables()).as_deref(), Ok(expected), "{source}");
        }
        let text = render("{{ application.name }} {{ url }}", Form::Text, variables().as_object().unwrap());
        assert_eq!(text.as_deref(), Ok("Acme <b> https://a.test/?a=1&b=2"));
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_line() {
        for (source, what) in [
            ("\n{{ a", "`{{` without `}}` in line 2"),
            ("{% if a %}", "`if` without `endif` in line 1"),
            ("a\n\n{% endif %}", "`endif` without its beginning in line 3"),
            ("{% include 'x' %}", "`include` is no tag in line 1"),
            ("{{ a | shell }}", "`shell` is no filter in line 1"),
            ("{% for a on b %}{% endfor %}", "a `for` reads `for item in list` in line 1"),
            ("{{ a b }}", "`b` is one too many in line 1"),
            ("a {%} b", "`{%` without `%}` in line 1"),
            ("{%", "`{%` without `%}` in line 1"),
            ("{{}", "`{{` without `}}` in line 1"),
            ("{% raw %}{%}", "`raw` without `endraw` in line 1"),
        ] {
            assert_eq!(Template::parse(source).unwrap_err().to_string(), what, "{source}");
        }
    }

    #[test]
    fn it_is_bounded_in_every_direction() {
        let deep = format!("{}{}", "{% if a %}".repeat(200), "{% endif %}".repeat(200));
        assert_eq!(Template::parse(&deep).unwrap_err(), Error::TooMuch);
        assert_eq!(Template::parse(&"x".repeat(LONGEST_SOURCE + 1)).unwrap_err(), Error::TooMuch);
        let brackets = format!("{{{{ a{}0{} }}}}", "[a".repeat(5_000), "]".repeat(5_000));
        assert!(Template::parse(&brackets).is_err());
        let and = format!("{{% if a{} %}}{{% endif %}}", " and a".repeat(50_000));
        assert_eq!(Template::parse(&and).unwrap_err(), Error::TooMuch);
        for source in [
            "{% for i in (1..1000000000) %}x{% endfor %}",
            "{% for i in (1..1000) %}{% for j in (1..1000) %}{% for k in (1..1000) %}x{% endfor %}{% endfor %}{% endfor %}",
            "{% assign a = 'xxxxxxxxxxxxxxxx' %}{% for i in (1..64) %}{% assign a = a | append: a %}{% endfor %}",
            "{% assign a = 'xxxxxxxx' %}{% for i in (1..64) %}{% assign a = a | replace: 'x', 'xxxxxxxx' %}{% endfor %}",
            "{% capture a %}x{% endcapture %}{% for i in (1..64) %}{% capture a %}{{ a }}{{ a }}{% endcapture %}{% endfor %}",
            "{% for i in (1..900) %}{{ big }}{% endfor %}",
        ] {
            let big = json!({ "big": "y".repeat(10_000) });
            assert_eq!(html(source, big), Err(Error::TooMuch), "{source}");
        }
    }
}
