//! Colours as WCAG 2.2 sees them: enough to take any tenant's colour and still have readable pages.

use std::fmt;

/// An opaque sRGB colour. It can only be written as `#rrggbb`, so it is safe inside a style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// The least contrast of text (WCAG 1.4.3).
pub const TEXT: f64 = 4.5;
/// The least contrast of borders, icons and focus rings (WCAG 1.4.11).
pub const EDGE: f64 = 3.0;

impl Colour {
    /// White.
    pub const WHITE: Self = Self([0xff; 3]);
    /// Black.
    pub const BLACK: Self = Self([0; 3]);

    /// A colour from its red, green and blue.
    pub const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// Reads `#rgb` or `#rrggbb`; anything else is no colour.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?.as_bytes();
        let digit =
            |at: usize| char::from(digits[at]).to_digit(16).and_then(|value| u8::try_from(value).ok());
        match digits.len() {
            3 => Some(Self([digit(0)? * 17, digit(1)? * 17, digit(2)? * 17])),
            6 => Some(Self([
                digit(0)? * 16 + digit(1)?,
                digit(2)? * 16 + digit(3)?,
                digit(4)? * 16 + digit(5)?,
            ])),
            _ => None,
        }
    }

    /// Relative luminance, 0 for black to 1 for white (WCAG 2.2, "relative luminance").
    pub fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Contrast ratio, 1 to 21 (WCAG 2.2, "contrast ratio").
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This colour with `share` (0 to 1) of `other` in it.
    pub fn mix(self, other: Self, share: f64) -> Self {
        let mut mixed = self.0;
        for (channel, towards) in mixed.iter_mut().zip(other.0) {
            let value = f64::from(*channel) * (1.0 - share) + f64::from(towards) * share;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between two bytes
            let value = value.round() as u8;
            *channel = value;
        }
        Self(mixed)
    }

    /// The text colour for this background: white where it reads well, else black, which then does.
    pub fn text(self) -> Self {
        if self.contrast(Self::WHITE) >= TEXT { Self::WHITE } else { Self::BLACK }
    }

    /// The nearest colour, towards black or white, that has at least this `contrast` with each of `grounds`.
    pub fn readable(self, contrast: f64, grounds: &[Self]) -> Self {
        let light =
            grounds.iter().map(|ground| ground.luminance()).sum::<f64>() > 0.18 * grounds.len() as f64;
        let towards = if light { Self::BLACK } else { Self::WHITE };
        (0..=50)
            .map(|step| self.mix(towards, f64::from(step) / 50.0))
            .find(|colour| grounds.iter().all(|ground| colour.contrast(*ground) >= contrast))
            .unwrap_or(towards)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hexadecimal_colours_are_read() {
        assert_eq!(Colour::parse("#0059D6").unwrap().to_string(), "#0059d6");
        assert_eq!(Colour::parse("#fa0").unwrap().to_string(), "#ffaa00");
        for text in ["", "#", "red", "0059d6", "#0059d", "#0059d6ff", "#00:;}{", "#é00", "#+1+1+1", "url(x)"]
        {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        assert!((Colour::BLACK.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        let grey = Colour::parse("#767676").unwrap();
        assert!((grey.contrast(Colour::WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn every_background_gets_readable_text_and_every_colour_becomes_readable() {
        for code in 0..512_u32 {
            #[allow(clippy::cast_possible_truncation)]
            let level = |shift: u32| ((code >> shift & 7) * 36) as u8;
            let colour = Colour::rgb(level(0), level(3), level(6));
            assert!(colour.contrast(colour.text()) >= TEXT, "{colour}");
            for ground in [Colour::WHITE, Colour::rgb(0x17, 0x19, 0x1e)] {
                assert!(colour.readable(TEXT, &[ground]).contrast(ground) >= TEXT, "{colour} on {ground}");
            }
        }
    }

    #[test]
    fn a_readable_colour_is_left_alone() {
        let blue = Colour::parse("#0059d6").unwrap();
        assert_eq!(blue.readable(TEXT, &[Colour::WHITE]), blue);
    }
}
