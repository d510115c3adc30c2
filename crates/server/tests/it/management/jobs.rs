//! Jobs (management contract §3.2).

use model::jobs::{self, Job, Kind, Status};
use model::retention;
use serde_json::{Map, Value, json};

use crate::security::refusals::refusal;
use crate::support::TestApp;

async fn add(app: &TestApp, status: Status) -> Job {
    let mut job = Job::new(&app.app, &app.tenant.id, Kind::VerificationEmail, Map::new());
    job.status = status;
    let mut batch = db::Batch::new();
    jobs::insert(&mut batch, &job);
    app.app.db.commit(batch).await.expect("a job");
    job
}

both_databases! {
    async fn a_job_tells_where_it_stands(app: TestApp) {
        let job = add(&app, Status::Completed).await;
        for scope in ["create:users", "read:users"] {
            let answer = app.machine(scope).get(&format!("/api/v2/jobs/{}", job.id)).await;
            assert_eq!((answer.status, &answer.body), (200, &json!({
                "type": "verification_email", "status": "completed", "created_at": "2026-01-01T12:00:00.000Z", "id": job.id
            })));
        }
    }

    async fn an_id_that_is_none_is_400_and_an_unknown_one_404(app: TestApp) {
        let admin = app.machine("create:users");
        let uploading = add(&app, Status::Uploading).await;
        for id in ["job_0000000000000000", &uploading.id] {
            let answer = admin.get(&format!("/api/v2/jobs/{id}")).await;
            assert_eq!((answer.status, answer.body), (404, refusal(404, "Not Found", "Job not found.", "inexistent_job")));
        }
        let answer = admin.get("/api/v2/jobs/job_1").await;
        let text = "Path validation error: 'String does not match pattern ^job_[A-Za-z0-9]{16}$: job_1' on property id (ID of the job).";
        assert_eq!((answer.status, answer.body), (400, refusal(400, "Bad Request", text, "invalid_uri")));
    }

    async fn a_job_is_kept_for_a_day(app: TestApp) {
        let job = add(&app, Status::Completed).await;
        let path = format!("/api/v2/jobs/{}", job.id);
        app.app.clock.advance(jobs::KEPT);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 0);
        assert_eq!(app.machine("read:users").get(&path).await.status, 200);
        app.app.clock.advance(1);
        assert_eq!(retention::sweep(&app.app).await.expect("sweeps"), 1);
        let answer = app.machine("read:users").get(&path).await;
        assert_eq!((answer.status, &answer.body["message"]), (404, &Value::from("Job not found.")));
    }
}
