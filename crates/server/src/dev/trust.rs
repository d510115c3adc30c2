//! `doorward dev --trust`: puts the development CA into the trust stores of this machine, or says how to.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::authority::NAME;

/// One trust store, and the commands that add the CA to it.
#[derive(Debug, PartialEq, Eq)]
struct Store {
    name: String,
    commands: Vec<Vec<String>>,
    /// Whether a person without root's rights needs `sudo`.
    privileged: bool,
}

/// Where Linux distributions keep certificates that were added, and what makes them count.
const SYSTEM: [(&str, &str, &[&str]); 3] = [
    ("/usr/local/share/ca-certificates", "crt", &["update-ca-certificates"]),
    ("/etc/pki/ca-trust/source/anchors", "pem", &["update-ca-trust"]),
    ("/etc/ca-certificates/trust-source/anchors", "crt", &["trust", "extract-compat"]),
];

/// Installs the CA in every store found, and tells what happened, a line for each.
pub fn install(certificate: &Path, home: Option<&Path>) -> Vec<String> {
    let certificate = std::path::absolute(certificate).unwrap_or_else(|_| certificate.to_owned());
    stores(&certificate, home, &|path| path.exists()).iter().map(add).collect()
}

fn add(store: &Store) -> String {
    let added = store.commands.iter().all(|command| run(command));
    if added {
        return format!("trusted by {}", store.name);
    }
    let sudo = if store.privileged { "sudo " } else { "" };
    let by_hand: Vec<String> =
        store.commands.iter().map(|command| format!("{sudo}{}", shell(command))).collect();
    format!("not yet trusted by {}; run:\n    {}", store.name, by_hand.join("\n    "))
}

fn run(command: &[String]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    let quiet = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// A command as one types it.
fn shell(command: &[String]) -> String {
    let plain =
        |word: &String| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:,=".contains(&byte));
    let quote =
        |word: &String| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) };
    command.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// The stores of this machine. Browsers on Linux have their own: NSS databases.
fn stores(certificate: &Path, home: Option<&Path>, exists: &dyn Fn(&Path) -> bool) -> Vec<Store> {
    let file = certificate.display().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if cfg!(target_os = "macos") {
        let command = words(&["security", "add-trusted-cert", "-r", "trustRoot", &file]);
        return vec![Store { name: "the login keychain".into(), commands: vec![command], privileged: false }];
    }
    let mut stores = Vec::new();
    if let Some((directory, ending, update)) =
        SYSTEM.iter().find(|(directory, ..)| exists(Path::new(directory)))
    {
        let copy = words(&["cp", &file, &format!("{directory}/doorward-development.{ending}")]);
        stores.push(Store {
            name: "the system".into(),
            commands: vec![copy, words(update)],
            privileged: true,
        });
    }
    for (name, database) in browsers(home, exists) {
        let database = format!("sql:{}", database.display());
        let add = words(&["certutil", "-d", &database, "-A", "-t", "C,,", "-n", NAME, "-i", &file]);
        stores.push(Store { name, commands: vec![add], privileged: false });
    }
    stores
}

/// The NSS databases of Chromium and of Firefox's profiles.
fn browsers(home: Option<&Path>, exists: &dyn Fn(&Path) -> bool) -> Vec<(String, PathBuf)> {
    let Some(home) = home else { return Vec::new() };
    let mut found = Vec::new();
    let chromium = home.join(".pki/nssdb");
    if exists(&chromium) {
        found.push(("Chromium and Chrome".into(), chromium));
    }
    for profiles in [".mozilla/firefox", "snap/firefox/common/.mozilla/firefox"] {
        let entries = std::fs::read_dir(home.join(profiles)).into_iter().flatten().flatten();
        let profiles = entries.map(|entry| entry.path()).filter(|profile| exists(&profile.join("cert9.db")));
        found.extend(profiles.map(|profile| ("Firefox".into(), profile)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn each_store_has_its_commands() {
        let here = ["/usr/local/share/ca-certificates", "/home/ada/.pki/nssdb"];
        let stores = stores(Path::new("/my data/ca.pem"), Some(Path::new("/home/ada")), &|path| {
            here.iter().any(|known| Path::new(known) == path)
        });
        let commands: Vec<String> =
            stores.iter().flat_map(|store| &store.commands).map(|command| shell(command)).collect();
        assert_eq!(
            commands,
            [
                "cp '/my data/ca.pem' /usr/local/share/ca-certificates/doorward-development.crt",
                "update-ca-certificates",
                "certutil -d sql:/home/ada/.pki/nssdb -A -t C,, -n 'Doorward development CA' -i '/my data/ca.pem'",
            ]
        );
    }

    #[test]
    fn a_store_that_refuses_is_explained() {
        let store =
            Store { name: "the system".into(), commands: vec![vec!["false".into()]], privileged: true };
        assert_eq!(add(&store), "not yet trusted by the system; run:\n    sudo false");
        let store =
            Store { name: "the system".into(), commands: vec![vec!["true".into()]], privileged: true };
        assert_eq!(add(&store), "trusted by the system");
    }
}
