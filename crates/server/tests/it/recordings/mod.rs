//! The recorded exchanges of the Management API, sent again and compared: status, key set, types, and the whole body where it
//! is deterministic. What may differ is in [`rules::RULES`], by field and with a reason.
//!
//! Each recorded test runs on a new tenant that holds what the recorded one held. `PRINT=1` shows every difference, and what
//! each rule let pass.

mod before;
mod compare;
mod exchange;
mod names;
mod replay;
mod rules;

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};

use self::replay::{Count, Tally};
use self::rules::{FAMILIES, RULES};
use crate::support::{Engine, TestApp};

/// On PostgreSQL every so manieth recorded test runs.
const PART: usize = 4;

both_databases! {
    /// Under 3 % of the exchanges may be excluded.
    async fn answers_are_as_recorded(app: TestApp) {
        let folder = exchange::folder();
        if !folder.is_dir() {
            say(&format!("The recordings are not replayed: there is no {}.", folder.display()));
            return;
        }
        let part = if app.engine == Engine::Postgres { PART } else { 1 };
        let mut tally = Tally::default();
        for (number, exchanges) in exchange::read(&folder).values().enumerate().step_by(part) {
            replay::replay(&app, number, exchanges, &mut tally).await;
        }
        say(&report(&tally));
        let sum = |part: fn(&Count) -> usize| tally.families.values().map(part).sum::<usize>();
        assert!(sum(|count| count.replayed) > 0, "no exchange ran");
        let (excluded, all) = (sum(|count| count.excluded), sum(|count| count.recorded - count.later));
        assert!(excluded * 100 < all * 3, "{excluded} of {all} exchanges are excluded");
        assert!(tally.findings.is_empty(), "{} exchanges are answered otherwise than recorded", tally.findings.len());
        let idle = RULES.iter().enumerate().filter(|(position, _)| !tally.used.contains_key(position));
        let idle: Vec<_> = idle.map(|(_, rule)| rule).collect();
        assert!(part > 1 || idle.is_empty(), "rules that explain nothing: {idle:#?}");
    }
}

/// Prints though the test passes.
fn say(text: &str) {
    writeln!(io::stderr(), "{text}").expect("there is a terminal or a file");
}

/// The table, the exclusions, and the differences: each with `PRINT`, else summed up by field.
fn report(tally: &Tally) -> String {
    let mut report = String::new();
    let mut line = |text: String| {
        report.push_str(&text);
        report.push('\n');
    };
    line(format!(
        "{:<18} {:>8} {:>9} {:>8} {:>8} {:>9}",
        "family", "recorded", "not there", "excluded", "replayed", "differing"
    ));
    for family in FAMILIES.iter().copied() {
        let none = Count::default();
        let count = tally.families.get(family).unwrap_or(&none);
        line(format!(
            "{family:<18} {:>8} {:>9} {:>8} {:>8} {:>9}",
            count.recorded, count.later, count.excluded, count.replayed, count.differing
        ));
    }
    for (because, times) in &tally.excluded {
        line(format!("{times} excluded: {because}"));
    }
    if env::var_os("PRINT").is_some() {
        for (position, times) in &tally.used {
            let rule = &RULES[*position];
            line(format!(
                "accepted {times} × {:?} at {}: {}",
                rule.accepts,
                rule.fields.join(", "),
                rule.because
            ));
        }
        for finding in &tally.findings {
            line(format!("\n{}\n  {}", finding.exchange, finding.request));
            for difference in &finding.differences {
                line(format!(
                    "  {:?} {}: {} | {}",
                    difference.what, difference.field, difference.recorded, difference.ours
                ));
            }
        }
    }
    let mut sums: BTreeMap<_, (usize, &str)> = BTreeMap::new();
    for finding in &tally.findings {
        for difference in &finding.differences {
            let key = (&finding.family, &difference.field, difference.what);
            sums.entry(key).or_insert((0, &finding.exchange)).0 += 1;
        }
    }
    for ((family, field, what), (times, exchange)) in sums {
        line(format!("{times:>4} × {family} {field} {what:?}, first in {exchange}"));
    }
    report
}
