//! `/api/v2/log-streams`, and what arrives at the other end.

use model::log_streams::{self, SETTLED};
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::hook::Hook;

async fn stream(app: &TestApp, hook: &Hook, more: Value) -> String {
    let mut body = json!({ "name": "logs", "type": "http",
        "sink": { "httpEndpoint": hook.url, "httpContentFormat": "JSONARRAY", "httpAuthorization": "Bearer s3cret" } });
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    let made = app.admin().post("/api/v2/log-streams", body).await;
    assert_eq!(made.status, 200, "{}", made.text);
    made.body["id"].as_str().expect("an id").to_owned()
}

/// Lets what was written settle, and the job take its steps. The types that arrived, batch by batch.
async fn arrived(app: &TestApp, hook: &Hook) -> Vec<Vec<String>> {
    app.app.audit.flush().await;
    app.app.clock.advance(SETTLED + 1);
    while log_streams::deliver(&app.app).await.expect("the job runs") > 0 {}
    let events = |(_, body): (String, String)| {
        let body: Value = serde_json::from_str(&body).expect("is JSON");
        let types = body.as_array().expect("a list").iter().map(|event| {
            assert_eq!(event["log_id"], event["data"]["log_id"]);
            event["data"]["type"].as_str().expect("a type").to_owned()
        });
        types.collect()
    };
    hook.posts().into_iter().map(events).collect()
}

/// Something that is in the log: a client is made.
async fn something(app: &TestApp) {
    assert_eq!(app.admin().post("/api/v2/clients", json!({ "name": "c" })).await.status, 201);
}

both_databases! {
    async fn a_stream_is_made_changed_and_removed(app: TestApp) {
        let admin = app.admin();
        let body = json!({ "name": "dd", "type": "datadog", "sink": { "datadogApiKey": "key", "datadogRegion": "eu" } });
        let made = admin.post("/api/v2/log-streams", body.clone()).await;
        let id = made.body["id"].as_str().expect("an id").to_owned();
        assert!(id.len() == 20 && id.starts_with("lst_"), "{id}");
        let whole = json!({ "id": id, "name": "dd", "type": "datadog", "status": "active",
            "sink": { "datadogApiKey": "key", "datadogRegion": "eu" }, "isPriority": false });
        assert_eq!((made.status, &made.body), (200, &whole));
        let path = format!("/api/v2/log-streams/{id}");
        assert_eq!(admin.get(&path).await.body, whole);
        assert_eq!(admin.get("/api/v2/log-streams").await.body, json!([whole]));
        let paused = admin.patch(&path, json!({ "status": "paused", "filters": [{ "type": "category", "name": "auth.login.fail" }] })).await;
        assert_eq!((paused.status, &paused.body["status"]), (200, &json!("paused")));
        assert_eq!(paused.body["filters"], json!([{ "type": "category", "name": "auth.login.fail" }]));
        let other = admin.patch(&path, json!({ "type": "http" })).await;
        assert_eq!((other.status, &other.body["errorCode"]), (400, &json!("invalid_body")));
        assert_eq!(admin.delete(&path).await.status, 204);
        assert_eq!(admin.delete(&path).await.status, 204);
        let gone = admin.get(&path).await;
        assert_eq!((gone.status, gone.body), (404, json!({ "statusCode": 404, "error": "Not Found", "message": "The log stream does not exist." })));
        assert_eq!(app.machine("read:log_streams").at(&app.other).get(&path).await.status, 401, "another tenant has its own");
    }

    async fn a_sink_is_one_of_its_kind(app: TestApp) {
        let admin = app.admin();
        let create = async |body: Value| {
            let answer = admin.post("/api/v2/log-streams", body).await;
            assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("invalid_body")), "{}", answer.text);
            answer.body["message"].as_str().expect("a text").to_owned()
        };
        let missing = create(json!({ "type": "http", "sink": {} })).await;
        assert_eq!(missing, "Payload validation error: 'Missing required property: httpEndpoint' on property sink.");
        let plain = json!({ "type": "http", "sink": { "httpEndpoint": "http://example.com/" } });
        assert!(create(plain).await.contains("httpEndpoint"));
        for header in ["Host", "Transfer-Encoding", "x y", "", "x\r\ny"] {
            let sink = json!({ "httpEndpoint": "https://example.com/", "httpCustomHeaders": [{ "header": header, "value": "v" }] });
            create(json!({ "type": "http", "sink": sink })).await;
        }
        let sink = json!({ "httpEndpoint": "https://example.com/", "httpAuthorization": "a\r\nb: c" });
        create(json!({ "type": "http", "sink": sink })).await;
        create(json!({ "type": "http", "sink": { "httpEndpoint": "https://example.com/" }, "startFrom": "yesterday" })).await;
    }

    async fn a_password_of_a_sink_is_masked_and_stays(app: TestApp) {
        let admin = app.admin();
        let sink = json!({ "mixpanelRegion": "us", "mixpanelProjectId": "1", "mixpanelServiceAccountUsername": "u",
            "mixpanelServiceAccountPassword": "s3cret" });
        let made = admin.post("/api/v2/log-streams", json!({ "type": "mixpanel", "sink": sink })).await;
        assert_eq!(made.body["sink"]["mixpanelServiceAccountPassword"], "********", "{}", made.text);
        let id: model::TenantId = app.tenant.id.clone();
        let path = format!("/api/v2/log-streams/{}", made.body["id"].as_str().expect("an id"));
        assert_eq!(admin.patch(&path, json!({ "sink": made.body["sink"] })).await.status, 200);
        let kept = log_streams::load(&app.app, &id, made.body["id"].as_str().expect("an id")).await.expect("reads").expect("is there");
        assert_eq!(kept.of_sink("mixpanelServiceAccountPassword"), Some("s3cret"));
        app.app.audit.flush().await;
        let logs = admin.get("/api/v2/logs?per_page=100").await;
        assert!(!logs.text.contains("s3cret"), "{}", logs.text);
    }

    /// Everything that is written arrives, in its order, with the headers that were asked for.
    async fn what_is_written_arrives_in_order(app: TestApp) {
        let hook = Hook::open().await;
        something(&app).await;
        app.app.clock.advance(1);
        let sink = json!({ "httpEndpoint": hook.url, "httpContentFormat": "JSONLINES", "httpContentType": "application/x-ndjson",
            "httpAuthorization": "Bearer s3cret", "httpCustomHeaders": [{ "header": "X-Team", "value": "blue" }] });
        let id = stream(&app, &hook, json!({ "sink": sink })).await;
        something(&app).await;
        app.app.audit.flush().await;
        assert_eq!(log_streams::deliver(&app.app).await.expect("runs"), 0, "nothing has settled");
        app.app.clock.advance(SETTLED + 1);
        assert_eq!(log_streams::deliver(&app.app).await.expect("runs"), 1);
        let posts = hook.posts();
        let [(head, body)] = &posts[..] else { panic!("{posts:?}") };
        for line in ["post /logs?x=1 http/1.1", "authorization: bearer s3cret", "x-team: blue", "content-type: application/x-ndjson", "user-agent: doorward/"] {
            assert!(head.contains(line), "{line}\n{head}");
        }
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("is JSON")).collect();
        let what: Vec<_> = lines.iter().map(|event| event["data"]["description"].as_str().unwrap_or_default()).collect();
        assert_eq!(what, ["Create a log stream", "Create a client"], "nothing from before the stream");
        assert!(!body.contains("s3cret"), "{body}");
        assert_eq!(log_streams::deliver(&app.app).await.expect("runs"), 0);
        let path = format!("/api/v2/log-streams/{id}");
        assert_eq!(app.admin().patch(&path, json!({ "status": "paused" })).await.status, 200);
        something(&app).await;
        assert_eq!(arrived(&app, &hook).await, Vec::<Vec<String>>::new());
        assert_eq!(app.admin().patch(&path, json!({ "status": "active" })).await.status, 200);
        app.app.clock.advance(SETTLED + 1);
        assert_eq!(log_streams::deliver(&app.app).await.expect("runs"), 1, "what was written meanwhile comes too");
    }

    /// Streams that have nothing to tell, and one that cannot be read, keep no other.
    async fn a_stream_waits_for_no_other(app: TestApp) {
        let hook = Hook::open().await;
        for _ in 0..20 {
            stream(&app, &hook, json!({ "startFrom": "2999-01-01T00:00:00.000Z" })).await;
        }
        let broken = stream(&app, &hook, json!({})).await;
        app.app.clock.advance(1);
        stream(&app, &hook, json!({})).await;
        let mut batch = db::Batch::new();
        let sql = "UPDATE log_streams SET sink = $1 WHERE tenant = $2 AND id = $3";
        batch.execute(sql, db::params![b"no seal".to_vec(), &app.tenant.id, &broken]).expect(1);
        app.app.db.commit(batch).await.expect("writes");
        for _ in 0..2 {
            something(&app).await;
            assert!(!arrived(&app, &hook).await.is_empty());
        }
    }

    async fn a_filter_lets_its_categories_through(app: TestApp) {
        let hook = Hook::open().await;
        stream(&app, &hook, json!({ "filters": [{ "type": "category", "name": "auth.token_exchange.fail" }] })).await;
        something(&app).await;
        assert_eq!(arrived(&app, &hook).await, Vec::<Vec<String>>::new());
        let form = [("grant_type", "client_credentials"), ("client_id", "m2m"), ("client_secret", "m2m-secret"), ("audience", "https://id.test/api/v2/")];
        assert_eq!(app.caller().form("/oauth/token", &form).await.status, 403);
        assert_eq!(arrived(&app, &hook).await, [["feccft"]]);
    }

    /// What was not taken comes again, later and later, and nothing is left out; two nodes do not both send it.
    async fn an_endpoint_that_is_down_gets_it_all_in_the_end(app: TestApp) {
        let hook = Hook::open().await;
        let id = stream(&app, &hook, json!({})).await;
        hook.answers(500);
        something(&app).await;
        assert_eq!(arrived(&app, &hook).await.len(), 1);
        assert_eq!(log_streams::deliver(&app.app).await.expect("runs"), 0, "not at once");
        assert!(hook.posts().is_empty());
        something(&app).await;
        for pause in [1, 5, 15] {
            app.app.clock.advance(pause);
            log_streams::deliver(&app.app).await.expect("runs");
            assert_eq!(hook.posts().len(), 1, "after {pause} s");
        }
        hook.answers(204);
        app.app.clock.advance(60);
        let both = tokio::join!(log_streams::deliver(&app.app), log_streams::deliver(&app.app));
        assert_eq!(both.0.expect("runs") + both.1.expect("runs"), 1);
        let posts = hook.posts();
        let types: Value = serde_json::from_str(&posts[0].1).expect("is JSON");
        assert_eq!((posts.len(), types.as_array().expect("a list").len()), (1, 3), "{posts:?}");
        // A week without success suspends it; whoever changes it has it tried again.
        hook.answers(410);
        something(&app).await;
        for _ in 0..200 {
            app.app.clock.advance(3_601);
            log_streams::deliver(&app.app).await.expect("runs");
        }
        let path = format!("/api/v2/log-streams/{id}");
        assert_eq!(app.admin().get(&path).await.body["status"], "suspended");
        hook.answers(200);
        hook.posts();
        assert_eq!(app.admin().patch(&path, json!({ "status": "active" })).await.status, 200);
        assert!(log_streams::deliver(&app.app).await.expect("runs") > 0);
        assert_eq!(hook.posts().len(), 1);
    }

    async fn a_node_that_died_with_a_batch_leaves_it_to_another(app: TestApp) {
        let hook = Hook::open().await;
        stream(&app, &hook, json!({})).await;
        something(&app).await;
        app.app.audit.flush().await;
        app.app.clock.advance(SETTLED + 1);
        hook.answers(200);
        // As it is when the program ends between the lease and the note.
        let mut batch = db::Batch::new();
        batch.execute("UPDATE log_streams SET next_at = $1", db::params![app.app.clock.now().plus_seconds(60)]);
        app.app.db.commit(batch).await.expect("writes");
        assert_eq!(log_streams::deliver(&app.app).await.expect("runs"), 0);
        app.app.clock.advance(60);
        assert_eq!(log_streams::deliver(&app.app).await.expect("runs"), 1);
        assert_eq!(hook.posts().len(), 1);
    }

    /// MG-08: neither by an address that is written out, nor by a name that leads there, nor by a redirect.
    async fn mg_08_a_stream_goes_to_no_address_that_only_the_server_reaches(app: TestApp) {
        let admin = app.admin();
        for host in ["127.0.0.2", "10.0.0.1", "169.254.169.254", "192.168.1.1", "[::1]", "[::ffff:10.0.0.1]", "0x7f000002", "2130706434", "0177.0.0.2", "[fd00::1]", "0"] {
            let body = json!({ "type": "http", "sink": { "httpEndpoint": format!("https://{host}/latest/meta-data") } });
            let answer = admin.post("/api/v2/log-streams", body).await;
            assert_eq!((answer.status, &answer.body["errorCode"]), (400, &json!("invalid_body")), "{host}");
        }
        assert_eq!(admin.get("/api/v2/log-streams").await.body, json!([]));
        // A name is looked at when it is connected to; here it leads to this machine's other address.
        let hook = Hook::open().await;
        let port = hook.url.rsplit(':').next().expect("a port").to_owned();
        let mut model = model::Model {
            db: app.app.db.clone(), clock: app.app.clock.clone(), random: model::Random::seeded(9),
            seal: model::seal::Sealer::new(&model::seal::MasterKey::generate(&model::Random::seeded(2)), &[]),
            breaches: model::attack_protection::Breaches::none(), hasher: model::passwords::Hasher::for_tests(),
            keys: model::keys::Keys::for_tests(), audit: app.app.audit.clone(),
            net: model::Net::new([]).resolving(|_| vec!["127.0.0.1".parse().expect("is one")]),
        };
        let body = json!({ "type": "http", "sink": { "httpEndpoint": format!("https://inside.example.com:{port}") } });
        assert_eq!(admin.post("/api/v2/log-streams", body).await.status, 200);
        something(&app).await;
        app.app.audit.flush().await;
        app.app.clock.advance(SETTLED + 1);
        assert_eq!(log_streams::deliver(&model).await.expect("runs"), 0);
        assert!(hook.posts().is_empty(), "nobody connected");
        // Where it is allowed it arrives, and where it is then sent is not gone to.
        model.net = app.app.net.clone().resolving(|_| vec!["127.0.0.1".parse().expect("is one")]);
        let streams = admin.get("/api/v2/log-streams").await.body;
        let path = format!("/api/v2/log-streams/{}", streams[0]["id"].as_str().expect("an id"));
        let here = json!({ "sink": { "httpEndpoint": hook.url } });
        assert_eq!(admin.patch(&path, here).await.status, 200);
        hook.answers(302);
        assert_eq!(log_streams::deliver(&model).await.expect("runs"), 0);
        assert_eq!(hook.posts().len(), 1, "a redirect is a refusal");
    }
}
