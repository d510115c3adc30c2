//! `docs/security.md` names a test for each security case that is claimed: the test is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The cases that are owed: a family and its numbers.
const OWED: &[(&str, &[u8])] = &[
    ("az", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
    ("tk", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    ("cb", &[1, 2, 3, 4]),
    ("co", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("cu", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]),
    ("jw", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("ht", &[1, 2, 3, 4, 5, 6]),
    ("ld", &[1, 2, 3, 4, 5]),
    ("lk", &[1, 2, 3, 4]),
    ("ls", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),
    ("mf", &[1, 2, 3, 4, 5, 6]),
    ("mg", &[1, 2, 3, 6, 7, 8, 9, 10, 11]),
    ("rc", &[1, 2, 3, 4, 5]),
    ("st", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("up", &[1, 2, 3]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of the test functions whose names begin with a case's id, by that id in lower case.
fn tests(directory: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(directory).expect("the directory of the tests").flatten() {
        let path = entry.path();
        if path.is_dir() {
            tests(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines() {
            let Some(rest) = line.trim_start().strip_prefix("async fn ") else { continue };
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if is_case(&name) {
                found.entry(name[..5].to_owned()).or_default().insert(name);
            }
        }
    }
}

/// Two letters, `_`, two digits, `_`.
fn is_case(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 6
        && bytes[..2].iter().all(u8::is_ascii_lowercase)
        && bytes[3..5].iter().all(u8::is_ascii_digit)
        && bytes[2] == b'_'
        && bytes[5] == b'_'
}

#[test]
fn every_documented_case_has_its_test_and_every_test_is_documented() {
    let mut found = BTreeMap::new();
    tests(&root().join("crates/server/tests/it"), &mut found);
    let page = std::fs::read_to_string(root().join("docs/security.md")).expect("docs/security.md");
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in page.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let mut cells = row.split('|').map(str::trim).skip(1);
        let id = cells.next().unwrap_or_default().to_lowercase().replace('-', "_");
        let names =
            cells.next().unwrap_or_default().split(',').map(|name| name.trim().trim_matches('`').to_owned());
        documented.entry(id).or_default().extend(names);
    }
    assert_eq!(documented, found);
    for (family, numbers) in OWED.iter().copied() {
        for number in numbers {
            let id = format!("{family}_{number:02}");
            assert!(found.contains_key(&id), "no test is named {id}_…");
        }
    }
}
