//! Hashes of other systems: published vectors, and what is refused.

use serde_json::json;

use super::*;

fn stored(custom: Value) -> Result<String> {
    custom_hash(custom.as_object().unwrap())
}

fn code(custom: Value) -> &'static str {
    stored(custom.clone()).map(|_| "").unwrap_or_else(|unfit| {
        assert!(unfit.path.starts_with("custom_password_hash"), "{custom}: {unfit:?}");
        unfit.code
    })
}

fn hash(algorithm: &str, value: &str, encoding: &str) -> Value {
    json!({ "algorithm": algorithm, "hash": { "value": value, "encoding": encoding } })
}

#[track_caller]
fn fits(password: &str, custom: Value) {
    let text = stored(custom.clone()).unwrap_or_else(|unfit| panic!("{custom}: {unfit:?}"));
    let imported = Imported::read(&text).unwrap_or_else(|| panic!("{text}"));
    assert!(imported.matches(password), "{custom}");
    for other in ["", "other", &format!("{password} "), &password.to_uppercase()] {
        assert!(other == password || !imported.matches(other), "{custom} with {other}");
    }
}

/// RFC 1320 §A.5, RFC 1321 §A.5, RFC 3174 §7.3, FIPS 180-4's examples of `abc`.
#[test]
fn published_digests_are_matched_in_every_encoding() {
    for (algorithm, digest) in [
        ("md4", "a448017aaf21d8525fc10ae87aa6729d"),
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ] {
        fits("abc", hash(algorithm, digest, "hex"));
        fits("abc", hash(algorithm, &digest.to_uppercase(), "hex"));
        let bytes = decode(digest, "hex", "").unwrap();
        for text in [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)] {
            fits("abc", hash(algorithm, &text, "base64"));
            fits("abc", hash(algorithm, text.trim_end_matches('='), "base64"));
        }
    }
}

/// The schema's own example: MD5 of `salt` and `password`.
#[test]
fn a_salt_stands_before_or_behind() {
    let mut custom = hash("md5", "67A1E09BB1F83F5007DC119C14D663AA", "hex");
    custom["salt"] = json!({ "value": "salt" });
    fits("password", custom.clone());
    custom["salt"] = json!({ "value": "73616c74", "encoding": "hex", "position": "prefix" });
    fits("password", custom.clone());
    custom["salt"] = json!({ "value": "password", "position": "suffix" });
    fits("salt", custom.clone());
    custom["salt"] = json!({ "value": "c2FsdA==", "encoding": "base64" });
    fits("password", custom);
}

/// RFC 2202 §2 and §3, RFC 4231 §4.3: the key `Jefe`. RIPEMD-160: RFC 2286 §2.
#[test]
fn published_macs_are_matched() {
    for (digest, mac) in [
        ("md5", "750c783e6ab0b503eaa86e310a5db738"),
        ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("ripemd160", "dda6c0213a485a9e24f4742064a7f033b43c4069"),
        ("sha224", "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha384",
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            "sha512",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        let mut custom = hash("hmac", mac, "hex");
        custom["hash"]["digest"] = digest.into();
        custom["hash"]["key"] = json!({ "value": "Jefe" });
        fits("what do ya want for nothing?", custom.clone());
        custom["hash"]["key"] = json!({ "value": "4a656665", "encoding": "hex" });
        fits("what do ya want for nothing?", custom);
    }
    for digest in ["md4", "whirlpool"] {
        let digest = Digest::parse(digest).unwrap();
        // RFC 2104 §2, written out.
        let (inner, outer) = (vec![0x36 ^ b'k'], vec![0x5c ^ b'k']);
        let pad = |first: Vec<u8>, rest: u8| [first, vec![rest; 63]].concat();
        let inner = digest.of(&[pad(inner, 0x36), b"text".to_vec()].concat());
        let expected = digest.of(&[pad(outer, 0x5c), inner].concat());
        assert_eq!(digest.hmac(b"k", b"text"), expected, "{digest:?}");
    }
}

/// ISO/IEC 10118-3 and the RIPEMD-160 paper: the digests of `abc`.
#[test]
fn the_rarer_digests_are_the_published_ones() {
    let of = |digest: Digest| digest.of(b"abc").iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(of(Digest::Ripemd160), "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc");
    assert_eq!(
        of(Digest::Whirlpool),
        "4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c7181eebdb6c57e277d0e34957114cbd6c797fc9d95d8b582d225292076d4eef5"
    );
    for digest in ["md4", "md5", "ripemd160", "sha1", "sha224", "sha256", "sha384", "sha512", "whirlpool"] {
        let digest = Digest::parse(digest).unwrap();
        assert_eq!(digest.of(b"x").len(), digest.length(), "{digest:?}");
    }
}

/// RFC 6070 §2 and RFC 7914 §11, in PHC strings.
#[test]
fn published_pbkdf2_hashes_are_matched() {
    let phc = |id: &str, rounds: u32, salt: &str, hash: &str| {
        let hash = decode(hash, "hex", "").unwrap();
        let b64 = |bytes: &[u8]| STANDARD.encode(bytes).trim_end_matches('=').to_owned();
        let text =
            format!("$pbkdf2-{id}$i={rounds},l={}${}${}", hash.len(), b64(salt.as_bytes()), b64(&hash));
        json!({ "algorithm": "pbkdf2", "hash": { "value": text, "encoding": "utf8" } })
    };
    fits("password", phc("sha1", 1, "salt", "0c60c80f961f0e71f3a9b524af6012062fe037a6"));
    fits("password", phc("RSA-SHA1", 4096, "salt", "4b007901b765489abead49d926f721d065a429c1"));
    fits(
        "passwordPASSWORDpassword",
        phc(
            "sha1WithRSA",
            4096,
            "saltSALTsaltSALTsaltSALTsaltSALTsalt",
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
        ),
    );
    fits(
        "passwd",
        phc(
            "sha256",
            1,
            "salt",
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
        ),
    );
    assert_eq!(code(phc("mdc2", 1, "salt", "00")), "ENUM_MISMATCH");
    assert_eq!(code(phc("sha256", 4_000_000, "salt", &"00".repeat(32))), "MAXIMUM");
    for text in [
        "",
        "$pbkdf2-sha1",
        "$pbkdf2-sha1$i=0,l=1$AA$AA",
        "$pbkdf2-sha1$i=1,l=2$AA$AA",
        "$pbkdf2-sha1$x=1$AA$AA",
    ] {
        assert_eq!(code(hash("pbkdf2", text, "utf8")), "FORMAT", "{text}");
    }
}

/// PBKDF2 of the digests that AWS-LC lacks: the blocks of RFC 8018 §5.2, written out.
#[test]
fn pbkdf2_of_the_rarer_digests_is_built_on_their_hmac() {
    for name in ["md4", "md5", "ripemd160", "sha224", "whirlpool"] {
        let digest = Digest::parse(name).unwrap();
        let mut round = digest.hmac(b"password", b"salt\0\0\0\x01");
        let mut block = round.clone();
        for _ in 1..3 {
            round = digest.hmac(b"password", &round);
            block.iter_mut().zip(&round).for_each(|(sum, byte)| *sum ^= byte);
        }
        let made = digest.pbkdf2(b"password", b"salt", NonZeroU32::new(3).unwrap(), digest.length());
        assert_eq!(made, block, "{name}");
    }
}

/// RFC 7914 §12.
#[test]
fn published_scrypt_hashes_are_matched() {
    let scrypt = |hash: &str, salt: &str, cost: u32, block_size: u32, parallelization: u32| {
        json!({
            "algorithm": "scrypt",
            "hash": { "value": hash, "encoding": "hex" },
            "salt": { "value": salt },
            "keylen": 64,
            "cost": cost,
            "blockSize": block_size,
            "parallelization": parallelization
        })
    };
    let first = "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906";
    fits("", scrypt(first, "", 16, 1, 1));
    let second = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640";
    fits("password", scrypt(second, "NaCl", 1024, 8, 16));
    for (cost, block_size, expected) in [
        (1 << 20, 8, "MAXIMUM"),
        (1000, 8, "NOT_PASSED"),
        (1, 8, "NOT_PASSED"),
        (16, 0, "MINIMUM"),
        (16, u32::MAX, "MAXIMUM"),
    ] {
        assert_eq!(code(scrypt(first, "", cost, block_size, 1)), expected, "{cost} {block_size}");
    }
    let mut without = scrypt(first, "", 16, 1, 1);
    without.as_object_mut().unwrap().shift_remove("keylen");
    assert_eq!(code(without), "OBJECT_REQUIRED");
}

/// Made by a directory server's rules: SHA-1 of `secret`, and of `secret` and a salt.
#[test]
fn directory_passwords_are_matched() {
    let sha = STANDARD.encode(Digest::Sha1.of(b"secret"));
    fits("secret", hash("ldap", &format!("{{SHA}}{sha}"), "utf8"));
    fits("secret", hash("ldap", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "utf8"));
    fits("secret", hash("ldap", "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==", "utf8"));
    for (scheme, digest) in [
        ("SMD5", Digest::Md5),
        ("ssha", Digest::Sha1),
        ("SSHA256", Digest::Sha256),
        ("SSHA384", Digest::Sha384),
        ("SSHA512", Digest::Sha512),
    ] {
        let salted = [digest.of(b"secretsalt"), b"salt".to_vec()].concat();
        fits("secret", hash("ldap", &format!("{{{scheme}}}{}", STANDARD.encode(salted)), "utf8"));
    }
    for bad in
        ["", "secret", "{CRYPT}x", "{SHA}", "{SHA}AAAA", "{MD4}AAAA", "{SHA512}5en6G6MezRroT3XKqkdPOmY/BfQ="]
    {
        assert_eq!(code(hash("ldap", bad, "utf8")), "FORMAT", "{bad}");
    }
}

#[test]
fn a_password_is_written_as_it_was_when_it_was_hashed() {
    let of =
        |bytes: &[u8]| Digest::Sha256.of(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (encoding, bytes) in [
        ("utf8", &b"\xc3\xa9"[..]),
        ("utf16le", b"\xe9\0"),
        ("ucs2", b"\xe9\0"),
        ("latin1", b"\xe9"),
        ("binary", b"\xe9"),
    ] {
        let mut custom = hash("sha256", &of(bytes), "hex");
        custom["password"] = json!({ "encoding": encoding });
        let imported = Imported::read(&stored(custom).unwrap()).unwrap();
        assert!(imported.matches("é") && !imported.matches("è"), "{encoding}");
    }
    let mut custom = hash("sha256", &of(b"x"), "hex");
    custom["password"] = json!({ "encoding": "latin1" });
    assert!(
        !Imported::read(&stored(custom).unwrap()).unwrap().matches("\u{178}"),
        "it has no place in Latin-1"
    );
}

/// crypt_blowfish's `U*U`, and the same with a salt before it.
#[test]
fn bcrypt_and_argon2_are_stored_as_they_are() {
    let bcrypt = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    assert_eq!(stored(json!({ "algorithm": "bcrypt", "hash": { "value": bcrypt } })).unwrap(), bcrypt);
    assert_eq!(bcrypt_hash(bcrypt).unwrap(), bcrypt);
    let salted = json!({ "algorithm": "bcrypt", "hash": { "value": bcrypt }, "salt": { "value": "U*" } });
    fits("U", salted);
    let argon2 =
        "$argon2id$v=19$m=65536,t=2,p=1$J6Q/82PCyaNpYKRELJyTZg$m04qUAB8rexWDR4+/0f+SFB+4XMFxt7YAvAq2UycYos";
    assert_eq!(stored(json!({ "algorithm": "argon2", "hash": { "value": argon2 } })).unwrap(), argon2);
}

#[test]
fn a_hash_that_asks_for_too_much_is_refused() {
    let argon2 = |m: u32, t: u32| {
        let value =
            format!("$argon2id$v=19$m={m},t={t},p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4");
        json!({ "algorithm": "argon2", "hash": { "value": value } })
    };
    assert_eq!(code(argon2(65_536, 3)), "");
    assert_eq!(code(argon2(4 * 1024 * 1024, 1)), "MAXIMUM");
    assert_eq!(code(argon2(65_536, u32::MAX)), "MAXIMUM");
    let bcrypt = |cost: &str| format!("$2b${cost}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    for (cost, expected) in
        [("15", ""), ("16", "MAXIMUM"), ("31", "MAXIMUM"), ("03", "MAXIMUM"), ("xx", "PATTERN")]
    {
        assert_eq!(
            bcrypt_hash(&bcrypt(cost)).map(|_| "").unwrap_or_else(|unfit| unfit.code),
            expected,
            "{cost}"
        );
    }
}

#[test]
fn what_is_no_hash_is_refused_with_its_place() {
    let mut hmac = hash("hmac", "750c783e6ab0b503eaa86e310a5db738", "hex");
    assert_eq!(code(hmac.clone()), "OBJECT_REQUIRED");
    hmac["hash"]["digest"] = "crc32".into();
    assert_eq!(code(hmac), "ENUM_MISMATCH");
    for (custom, expected) in [
        (json!({}), "OBJECT_REQUIRED"),
        (json!({ "algorithm": "md5" }), "OBJECT_REQUIRED"),
        (json!({ "algorithm": "md5", "hash": {} }), "OBJECT_REQUIRED"),
        (json!({ "algorithm": "md5", "hash": { "value": "00" } }), "OBJECT_REQUIRED"),
        (json!({ "algorithm": 5, "hash": {} }), "INVALID_TYPE"),
        (json!({ "algorithm": "rot13", "hash": { "value": "x" } }), "ENUM_MISMATCH"),
        (hash("md5", "900150983cd24fb0d6963f7d28e17f7", "hex"), "FORMAT"),
        (hash("md5", "900150983cd24fb0d6963f7d28e17f72aa", "hex"), "FORMAT"),
        (hash("md5", "zz0150983cd24fb0d6963f7d28e17f72", "hex"), "FORMAT"),
        (hash("md5", "é", "base64"), "FORMAT"),
        (hash("md5", "900150983cd24fb0d6963f7d28e17f72", "utf8"), "ENUM_MISMATCH"),
        (hash("bcrypt", "$2b$05$é", "utf8"), "PATTERN"),
        (hash("bcrypt", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "utf8"), "PATTERN"),
        (hash("argon2", "$argon2id$", "utf8"), "FORMAT"),
        (json!({ "algorithm": "argon2", "hash": { "value": "x" }, "salt": { "value": "x" } }), "NOT_PASSED"),
        (json!({ "algorithm": "md5", "hash": { "value": "x" }, "made_up": 1 }), "NOT_PASSED"),
    ] {
        assert_eq!(code(custom.clone()), expected, "{custom}");
    }
    assert_eq!(bcrypt_hash(&"é".repeat(30)).unwrap_err().code, "PATTERN");
}
