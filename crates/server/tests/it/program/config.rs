//! UP-04: a configuration that is bad, missing, unreadable, contradictory or unsafe stops the start with a message that
//! names the key; secrets are never printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::binary::{bounded, complaint, run};

/// A secret that no message may quote.
const SECRET: &str = "hunter2";

/// Runs `serve` with this text as its configuration and these variables; returns what it said. It must refuse.
fn refusal(directory: &Path, text: &str, variables: &[(&str, &str)]) -> String {
    let config = directory.join("doorward.toml");
    fs::write(&config, text).expect("writes");
    let output =
        bounded(&["serve", "--config"]).arg(&config).envs(variables.iter().copied()).output().expect("runs");
    let said = complaint(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("doorward: "), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said.trim_start_matches("doorward: ").trim_end().replace(&format!("{}/", directory.display()), "")
}

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let own = rcgen::generate_simple_self_signed(["id.test".to_owned()]).expect("a certificate");
        let other = rcgen::KeyPair::generate().expect("a key");
        let files = Self { directory };
        files.write("chain.pem", &own.cert.pem());
        files.write("key.pem", &own.signing_key.serialize_pem());
        files.write("other.pem", &other.serialize_pem());
        let key = files.directory.path().join("master.key");
        assert!(run(&["keys", "new-master", &key.to_string_lossy()]).status.success());
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).expect("writes");
    }

    fn refusal(&self, text: &str, variables: &[(&str, &str)]) -> String {
        refusal(self.directory.path(), text, variables)
    }
}

const GOOD: &str = "database = \"sqlite:doorward.db\"\nlisten = \"127.0.0.1:0\"\nmaster_key_file = \"master.key\"\n\
    [tls]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n";

#[test]
fn up_04_a_configuration_that_is_not_there_or_not_readable() {
    let said = complaint(&run(&["serve", "--config", "/no/such/doorward.toml"]));
    assert_eq!(
        said,
        "doorward: cannot read the configuration /no/such/doorward.toml: No such file or directory (os error 2)\n"
    );
    let files = Files::new();
    assert!(files.refusal("listen = ", &[]).starts_with("doorward.toml:1: "));
    assert!(
        files
            .refusal(&format!("database = \"postgres://u:{SECRET}@db/x\" oops"), &[])
            .starts_with("doorward.toml:1: ")
    );
    assert!(
        files
            .refusal(&format!("{GOOD}passphrase = \"{SECRET}\""), &[])
            .contains("unknown field `passphrase`")
    );
}

#[test]
fn up_04_settings_that_contradict_each_other_or_are_unsafe() {
    let files = Files::new();
    let without =
        |line: &str| GOOD.lines().filter(|other| !other.starts_with(line)).collect::<Vec<_>>().join("\n");
    let plain = GOOD.split("[tls]").next().expect("has a first part");
    for (text, variables, said) in [
        (without("database"), &[][..], "`database` is missing: "),
        (without("listen"), &[], "`listen` is missing: "),
        (without("master_key_file"), &[], "`master_key_file` is missing: "),
        (without("key ="), &[], "`tls.key` is missing: "),
        (plain.to_owned(), &[], "plain HTTP to anybody is refused: "),
        (
            plain.to_owned(),
            &[("DOORWARD_TRUSTED_PROXIES", "0.0.0.0/0")],
            "`trusted_proxies` holds \"0.0.0.0/0\", which trusts",
        ),
        (GOOD.to_owned(), &[("DOORWARD_MASTER_KEY", SECRET)], "the master key is given twice: "),
        (GOOD.to_owned(), &[("DOORWARD_ISSUER", "http://id.test/")], "`issuer` must begin with https://"),
        (GOOD.to_owned(), &[("DOORWARD_ISSUER", "https://id.test/auth")], "`issuer` must be a bare origin"),
        (GOOD.to_owned(), &[("DOORWARD_LISTN", "x")], "unknown environment variable DOORWARD_LISTN; "),
        (
            GOOD.to_owned(),
            &[("DOORWARD_DATABASE", "mysql://u:hunter2@db/x")],
            "`database` must begin with sqlite: or postgres://",
        ),
        (
            GOOD.to_owned(),
            &[("DOORWARD_DATABASE", "sqlite:/no/such/x.db")],
            "`database` lies in /no/such, which is not a directory",
        ),
        (GOOD.to_owned(), &[("DOORWARD_LISTEN", "443")], "`listen` is not an address and port: "),
        (GOOD.to_owned(), &[("DOORWARD_LOG", "info,[")], "`log` is no filter: "),
        #[cfg(not(feature = "otel"))]
        (
            format!("{GOOD}[traces]\ncollector = \"http://127.0.0.1:4318/v1/traces\"\n"),
            &[],
            "`[traces]` needs a program that is built with the feature `otel`",
        ),
    ] {
        let refused = files.refusal(&text, variables);
        assert!(refused.starts_with(said), "{refused}, not {said}");
    }
}

#[test]
fn up_04_files_that_do_not_serve() {
    let files = Files::new();
    files.write("empty.pem", "");
    let key = files.directory.path().join("master.key");
    for (from, to, said) in [
        ("chain.pem", "missing.pem", "`tls.certificate`: missing.pem: No such file or directory"),
        ("chain.pem", "empty.pem", "`tls.certificate`: empty.pem: holds no certificate in PEM form"),
        ("\"key.pem", "\"chain.pem", "`tls.key`: chain.pem: holds no private key in PEM form"),
        ("\"key.pem", "\"other.pem", "`tls.key` does not fit `tls.certificate`: "),
        ("master.key", "no.key", "the master key file no.key cannot be read: No such file or directory"),
        ("master.key", "chain.pem", "the master key file chain.pem has mode 0644: others may read it"),
    ] {
        let refused = files.refusal(&GOOD.replace(from, to), &[]);
        assert!(refused.starts_with(said), "{refused}, not {said}");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).expect("changes the mode");
    assert!(files.refusal(GOOD, &[]).starts_with("the master key file master.key has mode 0640: "));
}

#[test]
fn up_04_a_database_that_does_not_answer_or_is_none() {
    let files = Files::new();
    let nowhere = format!("postgres://doorward:{SECRET}@127.0.0.1:1/doorward");
    let refused = files.refusal(GOOD, &[("DOORWARD_DATABASE", &nowhere)]);
    assert!(refused.starts_with("cannot open the database: "), "{refused}");
    files.write("doorward.db", &"no database ".repeat(1000));
    let refused = files.refusal(GOOD, &[]);
    assert!(refused.starts_with("cannot open the database: "), "{refused}");
}

#[test]
fn up_04_an_address_that_is_taken() {
    let files = Files::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = taken.local_addr().expect("is bound").to_string();
    let refused = files.refusal(GOOD, &[("DOORWARD_LISTEN", &address)]);
    let refused = refused.lines().last().expect("says something");
    assert_eq!(refused, format!("cannot listen on {address}: Address already in use (os error 98)"));
}

#[test]
fn up_04_a_file_of_breached_passwords_that_cannot_be_searched() {
    let files = Files::new();
    let text = GOOD.replace("[tls]", "breached_passwords_file = \"pwned.txt\"\n[tls]");
    assert_eq!(
        files.refusal(&text, &[]),
        "cannot read the breached passwords pwned.txt: No such file or directory (os error 2)"
    );
    files.write("pwned.txt", "password\nletmein\n");
    let line = "not a line of 40 hexadecimal digits of SHA-1, alone or with `:` and a count behind";
    assert_eq!(files.refusal(&text, &[]), format!("pwned.txt, byte 0: {line}"));
    files.write("pwned.txt", &format!("{}:1\n{}:5\n", "F".repeat(40), "0".repeat(40)));
    let said = files.refusal(&text, &[]);
    assert!(
        said.starts_with("pwned.txt, byte 43: the lines are not in the order of their digests"),
        "{said}"
    );
}
