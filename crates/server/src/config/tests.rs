//! What a configuration is refused for, and what it means.

use super::*;

const GOOD: &str = r#"
    database = "postgres://doorward:hunter2@db/doorward"
    listen = "0.0.0.0:443"
    master_key_file = "master.key"
    [tls]
    certificate = "chain.pem"
    key = "/etc/key.pem"
"#;

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Config::parse(Path::new("/etc/doorward/doorward.toml"), text, environment)
}

fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
    parse(text, environment).err().expect("must be refused").to_string()
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = parse(GOOD, &[]).expect("is good");
    assert_eq!(
        config.transport,
        Transport::Tls { certificate: "/etc/doorward/chain.pem".into(), key: "/etc/key.pem".into() }
    );
    assert_eq!(config.master_key, MasterKeySource::File("/etc/doorward/master.key".into()));
    assert!(config.trusted_proxies.is_empty() && config.breached_passwords.is_none());
    let leaked = GOOD.replace("[tls]", "breached_passwords_file = \"pwned.txt\"\n[tls]");
    let config = parse(&leaked, &[]).expect("is good");
    assert_eq!(config.breached_passwords, Some("/etc/doorward/pwned.txt".into()));
    let moved = parse(&leaked, &[("DOORWARD_BREACHED_PASSWORDS_FILE", "x.txt")]).expect("is good");
    assert_eq!(moved.breached_passwords, Some("x.txt".into()));
    let here = GOOD.replace("postgres://doorward:hunter2@db/doorward", "sqlite:doorward.db");
    let config = Config::parse(Path::new("src/doorward.toml"), &here, std::iter::empty()).expect("is good");
    assert_eq!(config.database, "sqlite:src/doorward.db");
    let moved = [("DOORWARD_DATABASE".to_owned(), "sqlite:src/x.db".to_owned())].into_iter();
    let config = Config::parse(Path::new("src/doorward.toml"), &here, moved).expect("is good");
    assert_eq!(config.database, "sqlite:src/x.db");
}

#[test]
fn the_environment_wins_key_by_key() {
    let config = parse(
        GOOD,
        &[
            ("DOORWARD_LISTEN", "127.0.0.1:8443"),
            ("DOORWARD_TRUSTED_PROXIES", "10.0.0.7, fd00::/8"),
            ("DOORWARD_ISSUER", "https://ID.example.com:443"),
            ("DOORWARD_REQUIRE_ACCOUNT", "1"),
            ("HOME", "/root"),
        ],
    )
    .expect("is good");
    assert_eq!(config.listen, "127.0.0.1:8443".parse().unwrap());
    assert_eq!(config.trusted_proxies, ["10.0.0.7/32".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    assert_eq!(config.issuer, Some(Issuer { host: "id.example.com".into() }));
}

#[test]
fn unknown_keys_and_variables_are_refused() {
    assert_eq!(
        refusal("databse = \"sqlite:x\"", &[]),
        "/etc/doorward/doorward.toml:1: unknown field `databse`, expected one of `database`, \
         `database_replica`, `listen`, `issuer`, `tls`, `acme`, `trusted_proxies`, `master_key_file`, \
         `breached_passwords_file`, `self_service`, `imports`, `monitoring`, `stopping`, `limits`, `outbound`, `log`, `traces`"
    );
    assert!(
        refusal(GOOD, &[("DOORWARD_LISTN", "x")]).starts_with("unknown environment variable DOORWARD_LISTN;")
    );
}

#[test]
fn a_syntax_error_names_the_line_and_quotes_nothing() {
    let message = refusal("listen = \"0.0.0.0:1\"\ndatabase = \"postgres://u:hunter2@db\" x", &[]);
    assert!(message.starts_with("/etc/doorward/doorward.toml:2: "), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    for (text, rest) in [
        ("[traces]\nheaders = \"x-api-key=hunter2\"", "2: invalid type: a text, expected a map"),
        ("listen = \"0.0.0.0:1\"\n\"postgres://u:hunter2@db\" = 1", "2: a key that is none"),
    ] {
        assert_eq!(refusal(text, &[]), format!("/etc/doorward/doorward.toml:{rest}"));
    }
}

/// Whoever sets one has it heeded: `check` holds that each that is known is taken, and no other.
#[test]
fn each_variable_is_taken() {
    let values = [
        ("DATABASE", "postgres://d@db/d"),
        ("DATABASE_REPLICA", "postgres://d@replica/d"),
        ("LISTEN", "0.0.0.0:443"),
        ("ISSUER", "https://id.test/"),
        ("TLS_CERTIFICATE", "chain.pem"),
        ("TLS_KEY", "key.pem"),
        ("TLS_CLIENT_CERTIFICATES", "true"),
        ("TLS_CLIENT_AUTHORITIES", "ca.pem"),
        ("TRUSTED_PROXIES", "10.0.0.7"),
        ("MASTER_KEY_FILE", "master.key"),
        ("BREACHED_PASSWORDS_FILE", "pwned.txt"),
        ("SELF_SERVICE_CALLS_PER_SECOND", "1"),
        ("SELF_SERVICE_BURST", "2"),
        ("IMPORTS_LARGEST_FILE", "1000"),
        ("MONITORING_LISTEN", "127.0.0.1:9464"),
        ("STOPPING_ANNOUNCE_SECONDS", "3"),
        ("STOPPING_DRAIN_SECONDS", "4"),
        ("OUTBOUND_ALLOW", "10.0.0.0/8"),
        ("LIMITS_PLAN", "free"),
        ("LIMITS_CONNECTIONS", "5"),
        ("LIMITS_HEADERS_SECONDS", "6"),
        ("LIMITS_REQUEST_SECONDS", "7"),
        ("LOG", "warn"),
        ("TRACES_COLLECTOR", "http://127.0.0.1:4318/v1/traces"),
        ("TRACES_FROM_PROXIES", "true"),
        ("TRACES_HEADERS", "a=b"),
        ("TRACES_SHARE", "0.5"),
    ];
    // The key itself is in the place of its file.
    assert_eq!(values.len() + 1, VARIABLES.len());
    // A program without traces refuses a collector once it has taken it.
    let heeded = |(name, _): &(&str, &str)| cfg!(feature = "otel") || *name != "TRACES_COLLECTOR";
    let names = values.into_iter().filter(heeded).map(|(name, value)| (format!("DOORWARD_{name}"), value));
    let names: Vec<_> = names.collect();
    let set: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let config = parse("", &set).expect("is good");
    assert!(config.client_certificates);
    assert_eq!(config.client_authorities, Some("ca.pem".into()));
}

#[test]
fn a_request_keeps_its_time_when_its_connection_is_to_end() {
    let limits = format!("{GOOD}[limits]\nrequest_seconds = 300\n[stopping]\ndrain_seconds = 120");
    assert_eq!(parse(&limits, &[]).expect("is good").bounds.leave, Duration::from_secs(300));
    assert_eq!(parse(GOOD, &[]).expect("is good").bounds, Bounds::DEFAULT);
}

#[test]
fn a_database_that_is_none_is_refused_without_its_value() {
    assert_eq!(
        refusal(&GOOD.replace("postgres://", "mysql://"), &[]),
        "`database` must begin with sqlite: or postgres://"
    );
    assert_eq!(
        refusal(&GOOD.replace("postgres://doorward:hunter2@db/doorward", "sqlite:/no/such/place/x.db"), &[]),
        "`database` lies in /no/such/place, which is not a directory"
    );
    assert!(refusal("", &[]).starts_with("`database` is missing: "));
}

#[test]
fn plain_http_needs_a_named_proxy() {
    let plain = GOOD.split("[tls]").next().expect("has a first part");
    assert!(refusal(plain, &[]).starts_with("plain HTTP to anybody is refused: "));
    assert_eq!(
        parse(plain, &[("DOORWARD_TRUSTED_PROXIES", "127.0.0.1")]).expect("is good").transport,
        Transport::BehindProxy
    );
    for everybody in ["0.0.0.0/0", "::/0"] {
        assert!(
            refusal(plain, &[("DOORWARD_TRUSTED_PROXIES", everybody)]).contains("trusts the whole Internet")
        );
    }
    assert!(
        refusal(plain, &[("DOORWARD_TRUSTED_PROXIES", "proxy.internal")]).contains("which is no address")
    );
}

#[test]
fn half_a_tls_configuration_is_refused() {
    assert!(refusal(&GOOD.replace("key = \"/etc/key.pem\"", ""), &[]).starts_with("`tls.key` is missing: "));
    assert!(
        refusal(&GOOD.replace("certificate = \"chain.pem\"", ""), &[])
            .starts_with("`tls.certificate` is missing: ")
    );
}

#[test]
fn the_master_key_is_given_once() {
    let twice = refusal(GOOD, &[("DOORWARD_MASTER_KEY", "c2VjcmV0")]);
    assert!(twice.starts_with("the master key is given twice: "), "{twice}");
    assert!(!twice.contains("c2VjcmV0"), "{twice}");
    assert!(
        refusal(&GOOD.replace("master_key_file = \"master.key\"", ""), &[])
            .starts_with("`master_key_file` is missing: ")
    );
}

#[test]
fn the_self_service_limit_is_set_by_halves_or_switched_off() {
    let limit = |lines: &str, environment: &[(&str, &str)]| {
        let config = parse(&format!("{GOOD}\n{lines}"), environment).expect("is good");
        config.self_service.user.map(|rate| (rate.per_second.get(), rate.burst.get()))
    };
    assert_eq!(limit("", &[]), Some((10, 50)));
    assert_eq!(limit("[self_service]\ncalls_per_second = 20", &[]), Some((20, 50)));
    assert_eq!(limit("[self_service]\ncalls_per_second = 100\nburst = 5", &[]), Some((100, 100)));
    assert_eq!(limit("[self_service]\ncalls_per_second = 0", &[]), None);
    assert_eq!(limit("", &[("DOORWARD_SELF_SERVICE_BURST", "60")]), Some((10, 60)));
    assert_eq!(limit("", &[("DOORWARD_SELF_SERVICE_CALLS_PER_SECOND", "0")]), None);
    assert_eq!(
        refusal(GOOD, &[("DOORWARD_SELF_SERVICE_BURST", "many")]),
        "`DOORWARD_SELF_SERVICE_BURST` is not a whole number: \"many\""
    );
}

#[test]
fn an_issuer_is_a_bare_https_origin() {
    for (issuer, reason) in [
        ("http://id.example.com/", "must begin with https://"),
        ("id.example.com", "is not a URL"),
        ("https://id.example.com/auth", "must be a bare origin"),
        ("https://id.example.com/?x", "must be a bare origin"),
        ("https://u:p@id.example.com/", "must not hold a user name"),
    ] {
        let message = refusal(GOOD, &[("DOORWARD_ISSUER", issuer)]);
        assert!(message.starts_with(&format!("`issuer` {reason}")), "{message}");
    }
}

#[test]
fn monitoring_and_bounds_are_set_one_by_one() {
    let config = parse(GOOD, &[]).expect("is good");
    assert_eq!((config.monitoring, config.bounds), (None, Bounds::DEFAULT));
    let tables = format!(
        "{GOOD}\n[monitoring]\nlisten = \"10.0.0.1:9464\"\n[stopping]\nannounce_seconds = 5\n[limits]\nconnections = 7"
    );
    let config = parse(&tables, &[("DOORWARD_STOPPING_DRAIN_SECONDS", "60")]).expect("is good");
    assert_eq!(config.monitoring, Some("10.0.0.1:9464".parse().unwrap()));
    let [announce, drain] = [5, 60].map(Duration::from_secs);
    assert_eq!(config.bounds, Bounds { announce, drain, leave: drain, connections: 7, ..Bounds::DEFAULT });
    assert_eq!(
        refusal(GOOD, &[("DOORWARD_MONITORING_LISTEN", "9464")]),
        "`monitoring.listen` is not an address and port: \"9464\"; write \"127.0.0.1:9464\""
    );
    assert_eq!(
        refusal(&tables.replace("= 5", "= 3601"), &[]),
        "`stopping.announce_seconds` is not from 0 to 3600: 3601"
    );
    assert_eq!(
        refusal(GOOD, &[("DOORWARD_LIMITS_CONNECTIONS", "0")]),
        "`limits.connections` is not from 1 to 1000000: 0"
    );
}

#[test]
fn a_plan_is_named() {
    assert_eq!(parse(GOOD, &[]).expect("is good").self_service.plan, Plan::Off);
    for (name, plan) in Plan::NAMES {
        let config = parse(&format!("{GOOD}\n[limits]\nplan = \"{name}\""), &[]).expect("is good");
        assert_eq!(config.self_service.plan, plan);
    }
    assert_eq!(
        refusal(GOOD, &[("DOORWARD_LIMITS_PLAN", "gold")]),
        "`limits.plan` is \"gold\", which is none of off, free, essentials, enterprise"
    );
}

#[test]
fn networks_to_go_out_to_are_named() {
    assert!(parse(GOOD, &[]).expect("is good").outbound.is_empty());
    let config =
        parse(&format!("{GOOD}\n[outbound]\nallow = [\"10.0.0.7\", \"fd00::/8\"]"), &[]).expect("is good");
    assert_eq!(config.outbound, ["10.0.0.7/32".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    assert_eq!(
        refusal(GOOD, &[("DOORWARD_OUTBOUND_ALLOW", "mail.internal")]),
        "`outbound.allow` holds \"mail.internal\", which is no address: write \"10.0.0.7\" or \"10.0.0.0/24\""
    );
}

#[test]
fn a_replica_is_postgresqls() {
    let with =
        |url: &str| GOOD.replace("    listen", &format!("    database_replica = \"{url}\"\n    listen"));
    let replica = parse(&with("postgres://replica/doorward"), &[]).expect("is good").replica;
    assert_eq!(replica.as_deref(), Some("postgres://replica/doorward"));
    let moved = [("DOORWARD_DATABASE_REPLICA", "postgres://other/doorward")];
    assert_eq!(parse(GOOD, &moved).expect("is good").replica.as_deref(), Some("postgres://other/doorward"));
    assert_eq!(refusal(&with("sqlite:x.db"), &[]), "`database_replica` must begin with postgres://");
    let sqlite = with("postgres://replica/doorward")
        .replace("postgres://doorward:hunter2@db/doorward", "sqlite:/tmp/x.db");
    assert_eq!(
        refusal(&sqlite, &[]),
        "`database_replica` is for PostgreSQL: a SQLite `database` has no replicas"
    );
}

#[test]
fn certificates_are_ordered_from_an_authority_whose_terms_are_agreed_to() {
    let (before, _) = GOOD.split_once("    [tls]").expect("has one");
    let with =
        |lines: &str| format!("{before}\n    issuer = \"https://id.example.com:8443/\"\n    [acme]\n{lines}");
    let config = parse(&with("agree_to_terms = true\nstore = \"acme\""), &[]).expect("is good");
    assert_eq!(
        config.transport,
        Transport::Acme(crate::acme::Settings {
            directory: acme::LETS_ENCRYPT.into(),
            names: vec!["id.example.com".into()],
            contact: None,
            store: "/etc/doorward/acme".into(),
            root: None,
        })
    );
    for (lines, said) in [
        ("store = \"acme\"", "`acme.agree_to_terms` is missing"),
        ("agree_to_terms = false\nstore = \"acme\"", "`acme.agree_to_terms` is missing"),
        ("agree_to_terms = true", "`acme.store` is missing"),
        (
            "agree_to_terms = true\nstore = \"a\"\nnames = [\"*.example.com\"]",
            "`acme.names` holds \"*.example.com\"",
        ),
        ("agree_to_terms = true\nstore = \"a\"\nnames = [\"192.0.2.1\"]", "`acme.names` holds \"192.0.2.1\""),
        (
            "agree_to_terms = true\nstore = \"a\"\ndirectory = \"http://a/\"",
            "`acme.directory` must begin with https://",
        ),
        (
            "agree_to_terms = true\nstore = \"a\"\ncontact = \"a@example.com\"",
            "`acme.contact` must begin with mailto:",
        ),
        (
            "agree_to_terms = true\nstore = \"a\"\n[tls]\ncertificate = \"c\"\nkey = \"k\"",
            "`[tls]` and `[acme]` are both given",
        ),
    ] {
        let refused = refusal(&with(lines), &[]);
        assert!(refused.starts_with(said), "{refused}");
    }
    let nameless =
        with("agree_to_terms = true\nstore = \"a\"").replace("issuer = \"https://id.example.com:8443/\"", "");
    assert!(refusal(&nameless, &[]).starts_with("`acme.names` is missing"));
}
