//! How a tenant's pages look: name, logo and colours, made readable in light and dark.

use model::branding::Branding;
use model::tenants::Settings;
use serde_json::Value as Json;
use url::Url;

use super::colour::{Colour, EDGE, TEXT};
use super::texts::Texts;

/// The primary colour of a tenant that has chosen none.
pub const DEFAULT_PRIMARY: &str = "#3451d1";

const LIGHT_PAGE: Colour = Colour::rgb(0xf4, 0xf5, 0xf8);
const LIGHT_CARD: Colour = Colour::WHITE;
const DARK_PAGE: Colour = Colour::rgb(0x0d, 0x0e, 0x12);
const DARK_CARD: Colour = Colour::rgb(0x17, 0x19, 0x1f);

/// What a tenant's pages share. Colours and URLs are checked when it is made, and the style that carries them.
#[derive(Clone, Debug)]
pub struct Look {
    /// The tenant as people know it (`friendly_name`).
    pub tenant_name: String,
    /// The tenant's logo: an `https` or `data:image/` URL. Without one the pages show a monogram.
    pub logo_url: Option<String>,
    /// The tenant's icon: an `https` URL.
    pub favicon_url: Option<String>,
    /// The tenant's colour as `#rrggbb`.
    pub primary: String,
    /// The colour of text on `primary`.
    pub on_primary: String,
    /// The page's background in the light theme as `#rrggbb`, if the tenant has chosen one.
    pub background: Option<String>,
    /// The language tag for `<html lang>`.
    pub lang: String,
    /// Links under the card.
    pub footer: Footer,
    style: String,
}

/// Links under the card: `https`, `http` or `mailto` URLs.
#[derive(Clone, Debug, Default)]
pub struct Footer {
    /// Where to get help.
    pub help: Option<String>,
    /// The privacy notice.
    pub privacy: Option<String>,
    /// The terms of use.
    pub terms: Option<String>,
}

impl Look {
    /// A tenant's look from its settings and branding, with the texts for `lang`.
    pub fn new(settings: &Settings, branding: &Branding, lang: &str) -> Self {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let older = |name: &str| settings.universal_login.as_ref()?.get("colors")?.get(name);
        let colors = branding.colors.as_ref();
        let primary = colors.and_then(|colors| colors.primary.as_deref());
        let background = colors.and_then(|colors| colors.page_background.as_ref());
        let name = given(&settings.friendly_name);
        let mut look = Self::plain(
            name.as_deref().unwrap_or(Texts::of(lang).get("common/common/companyName")),
            given(&branding.logo_url).or_else(|| given(&settings.picture_url)).as_deref(),
            branding.favicon_url.as_deref(),
            primary.or_else(|| older("primary")?.as_str()),
            background.or_else(|| older("page_background")).and_then(solid),
            lang,
        );
        let mail = given(&settings.support_email).map(|address| format!("mailto:{address}"));
        look.footer = Footer { help: given(&settings.support_url).or(mail), ..Footer::default() }.checked();
        look
    }

    /// A tenant's look from its settings. What is not a colour or a URL that may be shown counts as unset.
    pub fn plain(
        tenant_name: &str,
        logo_url: Option<&str>,
        favicon_url: Option<&str>,
        primary: Option<&str>,
        background: Option<&str>,
        lang: &str,
    ) -> Self {
        let primary = primary.and_then(Colour::parse).or_else(|| Colour::parse(DEFAULT_PRIMARY));
        let primary = primary.expect("the default is a colour");
        let background = background.and_then(Colour::parse);
        Self {
            tenant_name: tenant_name.to_owned(),
            logo_url: image(logo_url),
            favicon_url: image(favicon_url),
            primary: primary.to_string(),
            on_primary: primary.text().to_string(),
            background: background.map(|colour| colour.to_string()),
            lang: Texts::language(lang).to_owned(),
            footer: Footer::default(),
            style: style(primary, background),
        }
    }

    /// The style sheet that carries the colours: nothing in it is the tenant's but `#rrggbb` values.
    pub fn style(&self) -> &str {
        &self.style
    }

    /// The letter that stands for the tenant: the first one of its name.
    pub fn monogram(&self) -> String {
        monogram(&self.tenant_name)
    }
}

impl Footer {
    /// Links that are none of `https`, `http` and `mailto` are dropped.
    pub fn checked(self) -> Self {
        let check = |url: Option<String>| url.filter(|url| has_scheme(url, &["https", "http", "mailto"]));
        Self { help: check(self.help), privacy: check(self.privacy), terms: check(self.terms) }
    }
}

/// The colour of a background; of a gradient, the one it starts with.
fn solid(background: &Json) -> Option<&str> {
    background.as_str().or_else(|| background.get("start")?.as_str())
}

/// The first letter or digit of a name, in upper case.
pub(super) fn monogram(name: &str) -> String {
    let first = name.chars().find(|c| c.is_alphanumeric());
    first.map_or_else(|| "·".to_owned(), |c| c.to_uppercase().collect())
}

/// An image URL that the policy of the pages lets load.
pub(super) fn image(url: Option<&str>) -> Option<String> {
    url.filter(|url| has_scheme(url, &["https"]) || url.starts_with("data:image/")).map(str::to_owned)
}

/// A link that leads to a web page over TLS.
pub(super) fn https(url: Option<&str>) -> Option<String> {
    url.filter(|url| has_scheme(url, &["https"])).map(str::to_owned)
}

fn has_scheme(url: &str, schemes: &[&str]) -> bool {
    Url::parse(url).is_ok_and(|url| schemes.contains(&url.scheme()))
}

/// The custom properties that depend on the tenant; `page.css` has all others.
fn style(primary: Colour, background: Option<Colour>) -> String {
    let light = background.unwrap_or(LIGHT_PAGE);
    // A tenant's dark page serves both themes; a bright one would glare at night.
    let dark = background.filter(|colour| colour.luminance() < 0.05).unwrap_or(DARK_PAGE);
    format!(
        ":root{{{}}}@media (prefers-color-scheme:dark){{:root{{{}}}}}",
        properties(primary, light, LIGHT_CARD, Colour::BLACK),
        properties(primary.readable(EDGE, &[DARK_CARD]), dark, DARK_CARD, Colour::WHITE),
    )
}

fn properties(primary: Colour, page: Colour, card: Colour, ink: Colour) -> String {
    let on_primary = primary.text();
    // Hovering moves away from the text's colour, so that its contrast only grows.
    let away = if on_primary == Colour::WHITE { Colour::BLACK } else { Colour::WHITE };
    let on_page = page.text().mix(page, 0.3).readable(TEXT, &[page]);
    format!(
        "--primary:{primary};--on-primary:{on_primary};--primary-hover:{};--primary-edge:{};--link:{};--focus:{};\
         --tint:{};--bg:{page};--on-bg:{on_page}",
        primary.mix(away, 0.12),
        primary.readable(EDGE, &[card]),
        primary.readable(TEXT, &[card, card.mix(ink, 0.04)]),
        primary.readable(EDGE, &[card]),
        card.mix(primary, 0.1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(style: &str, name: &str, dark: bool) -> Colour {
        let part = style.split("@media").nth(usize::from(dark)).unwrap();
        let value = part.split(&format!("--{name}:")).nth(1).unwrap();
        Colour::parse(&value[..7]).unwrap()
    }

    #[test]
    fn any_primary_colour_stays_readable_in_both_themes() {
        let backgrounds = [None, Some("#222221"), Some("#ff0000"), Some("#ffffff"), Some("#777777")];
        for primary in
            ["#f8f8f2", "#000000", "#ffff00", "#ff4f40", "#0059d6", "#777777", "#101216", "#00ff00"]
        {
            for background in backgrounds {
                let look = Look::plain("Acme", None, None, Some(primary), background, "en");
                for (dark, card) in [(false, LIGHT_CARD), (true, DARK_CARD)] {
                    let get = |name| property(look.style(), name, dark);
                    for (front, ground, least) in [
                        (get("on-primary"), get("primary"), TEXT),
                        (get("on-primary"), get("primary-hover"), TEXT),
                        (get("primary-edge"), card, EDGE),
                        (get("focus"), card, EDGE),
                        (get("link"), card, TEXT),
                        (get("on-bg"), get("bg"), TEXT),
                    ] {
                        let contrast = front.contrast(ground);
                        assert!(
                            contrast >= least,
                            "{primary} {background:?} dark {dark}: {front} on {ground}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_look_comes_from_settings_and_branding() {
        let mut settings = Settings::new("Acme");
        settings.support_email = Some("help@acme.test".into());
        settings.picture_url = Some("https://acme.test/old.png".into());
        let branding: Branding = serde_json::from_value(serde_json::json!({
            "colors": { "primary": "#FF4F40", "page_background": { "type": "linear-gradient", "start": "#222221", "end": "#000000" } },
            "favicon_url": "https://acme.test/icon.png",
        }))
        .unwrap();
        let look = Look::new(&settings, &branding, "de");
        assert_eq!(look.tenant_name, "Acme");
        assert_eq!(look.logo_url.as_deref(), Some("https://acme.test/old.png"));
        assert_eq!(look.favicon_url.as_deref(), Some("https://acme.test/icon.png"));
        assert_eq!((&*look.primary, look.background.as_deref()), ("#ff4f40", Some("#222221")));
        assert_eq!(look.footer.help.as_deref(), Some("mailto:help@acme.test"));
        assert_eq!(look.lang, "en");

        settings.friendly_name = None;
        assert_eq!(Look::new(&settings, &Branding::default(), "en").tenant_name, "this site");
    }

    #[test]
    fn what_is_no_colour_never_reaches_the_style() {
        let look = Look::plain("Acme", None, None, Some("red;}body{display:none"), Some("</style>"), "en");
        assert_eq!(look.primary, DEFAULT_PRIMARY);
        assert_eq!(look.background, None);
        assert_eq!(look.style(), Look::plain("Acme", None, None, None, None, "en").style());
    }

    #[test]
    fn only_images_that_may_load_are_kept() {
        for (url, kept) in [
            ("https://cdn.test/logo.png", true),
            ("data:image/png;base64,AA==", true),
            ("http://cdn.test/logo.png", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("logo.png", false),
        ] {
            assert_eq!(image(Some(url)).is_some(), kept, "{url}");
        }
    }

    #[test]
    fn a_monogram_is_the_first_letter() {
        for (name, letter) in [("acme", "A"), ("  (élan)", "É"), ("42 Ltd", "4"), ("", "·"), ("<b>", "B")]
        {
            assert_eq!(monogram(name), letter);
        }
    }
}
