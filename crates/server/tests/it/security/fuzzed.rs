//! The fuzz targets over their seeds: what `make fuzz` begins with keeps the rules, and still reaches what it was written to reach.

#[path = "../../../../../fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A target: whether anything of its input was accepted.
type Target = fn(&[u8]) -> bool;

const TARGETS: &[(&str, Target)] = &[
    ("assertion", fuzz::assertion),
    ("authorize", fuzz::authorize),
    ("basic", fuzz::basic),
    ("cookies", fuzz::cookies),
    ("dpop", fuzz::dpop),
    ("jwt", fuzz::jwt),
    ("redirect", fuzz::redirect),
    ("search", fuzz::search),
];

fn files(directory: &str) -> BTreeSet<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(directory);
    std::fs::read_dir(directory).expect("is there").map(|entry| entry.expect("reads").path()).collect()
}

#[test]
fn every_seed_keeps_the_rules_and_the_good_ones_are_accepted() {
    for (name, target) in TARGETS {
        let seeds = files(&format!("seeds/{name}"));
        let is_good =
            |seed: &Path| seed.file_name().is_some_and(|name| name.to_string_lossy().starts_with("good"));
        assert!(seeds.iter().any(|seed| is_good(seed)) && !seeds.iter().all(|seed| is_good(seed)), "{name}");
        for seed in seeds {
            let accepted = target(&std::fs::read(&seed).expect("reads"));
            assert_eq!(accepted, is_good(&seed), "{}", seed.display());
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_seeds() {
    let names = |directory: &str| -> BTreeSet<_> {
        files(directory)
            .iter()
            .filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned()))
            .collect()
    };
    let known: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!((names("targets"), names("seeds")), (known.clone(), known));
}
