//! A disk that is full, and has room again.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::running::Program;
use crate::running::http::{Connection, request};

const MIB: u64 = 24;

/// A small volume of its own, in a namespace of its own: nobody else sees it, no rights are needed, and it ends with the value.
struct Volume {
    holder: Child,
    directory: PathBuf,
}

impl Volume {
    /// `None` where the kernel lets nobody make such a volume.
    fn new(directory: &Path) -> Option<Self> {
        let volume = directory.join("volume");
        std::fs::create_dir_all(&volume).expect("the directory can be made");
        let script =
            format!("mount -t tmpfs -o size={MIB}m tmpfs '{}' && echo mounted && cat", volume.display());
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is part of util-linux");
        let mut said = String::new();
        let output = holder.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("it is text");
        let volume = Self { holder, directory: volume };
        (said == "mounted\n").then_some(volume)
    }

    fn entered(&self) -> [String; 5] {
        let holder = format!("--target={}", self.holder.id());
        ["nsenter".into(), holder, "--user".into(), "--mount".into(), "--preserve-credentials".into()]
    }

    /// A program that runs `binary` where the volume is.
    fn binary(&self, binary: &Path) -> PathBuf {
        let script = self.directory.with_file_name("doorward-in-the-volume");
        let text = format!("#!/bin/sh\nexec {} '{}' \"$@\"\n", self.entered().join(" "), binary.display());
        std::fs::write(&script, text).expect("the script can be written");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("it can be run");
        script
    }

    /// Runs a line of shell where the volume is. Whether it ended well.
    fn shell(&self, line: &str) -> bool {
        let words = self.entered();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["sh", "-c", line]).current_dir("/").stderr(Stdio::null());
        command.status().expect("nsenter is part of util-linux").success()
    }

    fn fill(&self) {
        // It ends with an error, once there is no room.
        let filled = self.shell(&format!("cat /dev/zero >'{}/filler'", self.directory.display()));
        assert!(!filled, "the volume has an end");
    }

    fn free(&self) {
        assert!(self.shell(&format!("rm '{}/filler'", self.directory.display())));
    }

    /// A copy of the database, outside.
    fn copied(&self, to: &Path) -> String {
        let from = self.directory.join("doorward.db");
        assert!(self.shell(&format!("cp '{}' '{}'", from.display(), to.display())));
        format!("sqlite:{}", to.display())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Creates users with a page of metadata each; the ids of those that were acknowledged, until one is refused, and the refusal.
async fn write(
    program: &Program,
    admin: &str,
    name: &str,
    most: usize,
) -> (Vec<String>, Option<(u16, String, Value)>) {
    let authorization = format!("Bearer {admin}");
    let headers = [("content-type", "application/json"), ("authorization", &*authorization)];
    let mut connection = Connection::open(program.address).await.expect("it accepts");
    let mut made = Vec::new();
    for count in 0..most {
        let body = json!({ "identifier": format!("https://{name}-{count}.test"), "name": "x".repeat(200),
            "scopes": (0..200).map(|scope| json!({ "value": format!("{scope}:things"), "description": "y".repeat(200) })).collect::<Vec<_>>() });
        let bytes = request("POST", "/api/v2/resource-servers", &headers, &body.to_string());
        let (status, head, body) = connection.call(&bytes).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status != 201 {
            return (made, Some((status, head.to_lowercase(), answer)));
        }
        made.push(answer["id"].as_str().expect("an id").to_owned());
    }
    (made, None)
}

/// ST-03: a full disk is told, and nothing else ends; with room again everything goes on by itself, and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread")]
async fn st_03_a_full_disk_is_told_and_ends_by_itself() {
    let directory = std::env::temp_dir().join(format!("doorward-disk-{}", std::process::id()));
    let Some(volume) = Volume::new(&directory) else {
        println!("ST-03 is skipped: this kernel allows no user namespaces");
        return;
    };
    let binary = volume.binary(Path::new(env!("CARGO_BIN_EXE_doorward")));
    let database = format!("sqlite:{}/doorward.db", volume.directory.display());
    let mut program = Program::start(&binary, directory.clone(), Some(&database)).await;
    let admin = program.admin_token().await;
    let code = program.code("openid offline_access read:things").await;
    let (_, bought) = program.json("POST", "/oauth/token", None, &program.code_exchange(&code)).await;
    let refresh = json!({ "grant_type": "refresh_token", "client_id": program.spa, "refresh_token": bought["refresh_token"] });
    let (mut made, refused) = write(&program, &admin, "before", 20).await;
    assert!(refused.is_none(), "{refused:?}");

    volume.fill();
    // What the log has room for already is still written.
    let (late, refused) = write(&program, &admin, "during", 2000).await;
    let late_count = late.len();
    made.extend(late);
    let (status, headers, answer) = refused.expect("the disk is full");
    assert_eq!((status, &answer["statusCode"]), (503, &json!(503)), "{answer}");
    assert!(headers.contains("retry-after: ") && headers.contains("application/json"), "{headers}");
    for _ in 0..20 {
        let path = program.people[0].path();
        assert_eq!(
            program.json("GET", &path, Some(&program.people[0].token), &Value::Null).await.0,
            200,
            "reads go on"
        );
        assert_eq!(program.json("GET", "/.well-known/jwks.json", None, &Value::Null).await.0, 200);
        program.admin_token().await;
        let (_, refused) = write(&program, &admin, "again", 1).await;
        assert_eq!(refused.map(|refused| refused.0), Some(503));
    }
    // Either it fits, or it is told to come back, and then it was not spent.
    let (status, answer) = program.json("POST", "/oauth/token", None, &refresh).await;
    assert!([200, 503].contains(&status), "{status}: {answer}");
    let kept = if status == 200 { answer["refresh_token"].clone() } else { bought["refresh_token"].clone() };

    volume.free();
    let back = Instant::now();
    while write(&program, &admin, &format!("back-{}", back.elapsed().as_millis()), 1).await.1.is_some() {
        assert!(back.elapsed() < Duration::from_secs(10), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let recovered = back.elapsed();
    let refresh = json!({ "grant_type": "refresh_token", "client_id": program.spa, "refresh_token": kept });
    let (status, answer) = program.json("POST", "/oauth/token", None, &refresh).await;
    assert_eq!(status, 200, "{answer}");
    let mut found = 0;
    for id in &made {
        let path = format!("/api/v2/resource-servers/{id}");
        found += u64::from(program.json("GET", &path, Some(&admin), &Value::Null).await.0 == 200);
    }
    assert!(program.terminate(), "the same process stops when asked");
    assert_eq!(db::testing::integrity(&volume.copied(&directory.join("copy.db"))), "ok");
    super::ledger("a full disk", made.len() as u64, found, 0);
    println!("{late_count} writes fitted into a full disk; after it had room again it took {recovered:?}");
    assert_eq!(found, made.len() as u64, "an acknowledged write is lost");
}
