//! Cutting a JSON array into its items while it comes in: nothing but the item at hand is held.

/// The longest item, in bytes. Of a longer one no more than that it is there is known.
pub(super) const LONGEST: usize = 1024 * 1024;

/// An item of the array.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Its text. Brackets and quotes are balanced; more is not known.
    Text(Vec<u8>),
    /// It is longer than [`LONGEST`].
    TooLong,
}

/// What came is no array, or ended before the array did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoArray;

/// Where in the array the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the bracket.
    Before,
    /// After the bracket: an item, or the end of an empty array.
    First,
    /// After a comma.
    Next,
    /// In an item, in so many brackets, maybe in quotes, maybe behind a backslash.
    Inside { depth: usize, quoted: bool, escaped: bool },
    /// After the closing bracket.
    After,
}

/// Cuts an array that comes in pieces.
#[derive(Debug)]
pub(super) struct Splitter {
    place: Place,
    item: Vec<u8>,
    too_long: bool,
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self { place: Place::Before, item: Vec::new(), too_long: false }
    }

    /// Takes the next piece, and gives away the items that end in it.
    pub(super) fn push(&mut self, piece: &[u8], mut found: impl FnMut(Item)) -> Result<(), NoArray> {
        for &byte in piece {
            self.place = match (self.place, byte) {
                (Place::Before, b'[') => Place::First,
                // A byte order mark.
                (Place::Before, 0xef | 0xbb | 0xbf) => Place::Before,
                (Place::First, b']') => Place::After,
                (Place::Before | Place::First | Place::Next | Place::After, b' ' | b'\t' | b'\r' | b'\n') => {
                    self.place
                }
                (Place::Before | Place::After, _) => return Err(NoArray),
                (Place::First | Place::Next, b',' | b']' | b'}') => return Err(NoArray),
                (Place::First | Place::Next, byte) => {
                    self.keep(byte);
                    inside(0, byte)
                }
                (Place::Inside { depth: 0, quoted: false, .. }, b',' | b']') => {
                    found(self.take());
                    if byte == b',' { Place::Next } else { Place::After }
                }
                (Place::Inside { depth: 0, quoted: false, .. }, b'}') => return Err(NoArray),
                (Place::Inside { depth, quoted: true, escaped }, byte) => {
                    self.keep(byte);
                    match byte {
                        _ if escaped => Place::Inside { depth, quoted: true, escaped: false },
                        b'\\' => Place::Inside { depth, quoted: true, escaped: true },
                        b'"' => Place::Inside { depth, quoted: false, escaped: false },
                        _ => Place::Inside { depth, quoted: true, escaped: false },
                    }
                }
                (Place::Inside { depth, .. }, byte) => {
                    self.keep(byte);
                    inside(depth, byte)
                }
            };
        }
        Ok(())
    }

    /// The end of what comes.
    pub(super) fn finish(self) -> Result<(), NoArray> {
        if self.place == Place::After { Ok(()) } else { Err(NoArray) }
    }

    fn keep(&mut self, byte: u8) {
        if self.item.len() < LONGEST {
            self.item.push(byte);
        } else {
            self.too_long = true;
        }
    }

    fn take(&mut self) -> Item {
        let item = std::mem::take(&mut self.item);
        if std::mem::take(&mut self.too_long) { Item::TooLong } else { Item::Text(item) }
    }
}

/// The place behind a byte that stands outside quotes in so many brackets.
fn inside(depth: usize, byte: u8) -> Place {
    match byte {
        b'{' | b'[' => Place::Inside { depth: depth + 1, quoted: false, escaped: false },
        b'}' | b']' => Place::Inside { depth: depth.saturating_sub(1), quoted: false, escaped: false },
        b'"' => Place::Inside { depth, quoted: true, escaped: false },
        _ => Place::Inside { depth, quoted: false, escaped: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The items of a text that comes in pieces of this size.
    fn split(text: &[u8], size: usize) -> Result<Vec<String>, NoArray> {
        let mut splitter = Splitter::new();
        let mut items = Vec::new();
        for piece in text.chunks(size) {
            splitter.push(piece, |item| match item {
                Item::Text(text) => items.push(String::from_utf8_lossy(&text).trim_end().to_owned()),
                Item::TooLong => items.push("too long".into()),
            })?;
        }
        splitter.finish().map(|()| items)
    }

    #[test]
    fn items_are_cut_wherever_the_pieces_end() {
        let text = r#" [ {"a":"]},[\"","b":[1,{"c":2}]} ,5, "x\\" , [], {"é":"}"} ] "#;
        let expected = [r#"{"a":"]},[\"","b":[1,{"c":2}]}"#, "5", r#""x\\""#, "[]", r#"{"é":"}"}"#];
        for size in 1..text.len() {
            assert_eq!(split(text.as_bytes(), size).unwrap(), expected, "in pieces of {size}");
        }
        assert_eq!(split(b"\xef\xbb\xbf[]", 2).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_item_that_is_broken_in_itself_is_one_item() {
        assert_eq!(
            split(b"[{'a':1},{\"b\":},nope,{\"c\":1}]", 3).unwrap(),
            ["{'a':1}", "{\"b\":}", "nope", "{\"c\":1}"]
        );
    }

    #[test]
    fn what_is_no_array_or_ends_early_is_told() {
        for text in [
            "",
            "{}",
            "null",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1}",
            "[1] 2",
            "[{\"a\":\"]",
            "\u{1f}\u{8b}",
        ] {
            assert_eq!(split(text.as_bytes(), 1), Err(NoArray), "{text}");
        }
    }

    #[test]
    fn an_item_has_a_longest_length() {
        let long = format!("[\"{}\",1,\"{}\"]", "x".repeat(LONGEST), "x".repeat(LONGEST - 2));
        let items = split(long.as_bytes(), 4096).unwrap();
        assert_eq!((items[0].as_str(), items[1].as_str(), items[2].len()), ("too long", "1", LONGEST));
    }
}
