//! Tells the code whether the account page has been built, and fails where a stand-in would not do.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(account_page)");
    println!("cargo::rerun-if-env-changed=DOORWARD_REQUIRE_ACCOUNT");
    println!("cargo::rerun-if-changed=build.rs");
    let dist = Path::new("../../apps/account/dist");
    // A path that does not exist makes cargo run this again each time, so that a later build of the page is seen.
    println!("cargo::rerun-if-changed={}", dist.display());
    if dist.join("index.html").is_file() {
        println!("cargo::rustc-cfg=account_page");
    } else if std::env::var_os("DOORWARD_REQUIRE_ACCOUNT")
        .is_some_and(|value| value != "0" && !value.is_empty())
    {
        panic!("the account page is not built: run `npm ci && npm run build` in apps/account, or `make run`");
    }
}
