//! The secret of bearers, the admin key and a key of staff are known to an attacker.

use std::time::Duration;

use onsale_testing::ADMIN_KEY;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Incident;
use crate::clients::{Clients, Issuer};
use crate::scene::{Scene, Stage};

/// The secret that leaks.
const LEAKED: &str = "a-secret-of-32-bytes-or-more-that-is-in-a-log";

/// The user in whose name the attacker acts.
const VICTIM: &str = "victim";

/// The user to whom the finder of a lost key gives points.
const THIEF: &str = "thief";

/// Both secrets are in a log that many persons can read, and a member of staff has lost a phone.
pub(super) struct LeakedSecret {
    folder: TempDir,
    issuer: Issuer,
    /// The key of a member of staff.
    lost: String,
    repairs: u32,
}

impl LeakedSecret {
    /// The secrets, each in a file.
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("onsale-secrets-").tempdir().expect("a temporary folder");
        for (name, secret) in [("jwt_secret", LEAKED), ("admin_key", ADMIN_KEY)] {
            std::fs::write(folder.path().join(name), format!("{secret}\n")).expect("a file is written");
        }
        Self { folder, issuer: Issuer::with(LEAKED), lost: String::new(), repairs: 0 }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

impl Incident for LeakedSecret {
    const NAME: &'static str = "leaked-secret";

    fn stage(&self) -> Stage {
        let settings = vec![
            ("ONSALE_AUTH", "jwt".to_owned()),
            ("ONSALE_JWT_SECRET_FILE", self.file("jwt_secret")),
            ("ONSALE_ADMIN_KEY_FILE", self.file("admin_key")),
        ];
        let clients = Clients { issuer: Some(self.issuer.clone()), ..Clients::default() };
        Stage { settings, clients, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        scene.shell.set("SECRETS", self.folder.path().display());
        scene.shell.set("VICTIM", VICTIM);
        scene.shell.set("FORGED", Issuer::with(LEAKED).bearer(VICTIM));
        let first = scene.first();
        let make =
            first.admin(first.caller.post("/admin/keys")).json(&json!({"name": "front desk", "role": "support"}));
        let made: Value = make.expect(201).await;
        self.lost = made["key"].as_str().expect("the text of a key").to_owned();
        scene.shell.set("LOST", &self.lost);
        scene.shell.set("STAFF", made["keyId"].as_str().expect("the id of a key"));
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let (first, forged) = (scene.first(), Issuer::with(LEAKED).bearer(VICTIM));
        for change in ["charge", "use"] {
            let call = first.caller.patch(&format!("/point/{VICTIM}/{change}")).bearer(&forged);
            call.json(&json!({"amount": 500})).expect(200).await;
        }
        let body = json!({"amount": 500, "reason": "a gift"});
        let gift = || first.caller.post(&format!("/admin/point/{THIEF}/adjustments")).bearer(&self.lost).key("gift");
        let mut given = gift().json(&body).send().await;
        // A busy machine may keep the instance from checking keys for a moment.
        while given.code() == "unavailable" {
            tokio::time::sleep(Duration::from_millis(100)).await;
            given = gift().json(&body).send().await;
        }
        given.expect(201);
    }

    fn what(&self) -> &'static str {
        "an attacker signs bearers with the leaked secret, and uses the points of a user and a lost key of staff"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.roll(&[]).await;
        if self.repairs == 0 {
            // Every instance trusts it now, so the issuer may sign with it.
            let secrets = std::fs::read_to_string(self.file("jwt_secret")).expect("a file of secrets");
            self.issuer.signs_with(secrets.lines().next().expect("a secret"));
        }
        self.repairs += 1;
    }

    fn repaired(&self) -> &'static str {
        match self.repairs {
            1 => "each instance was restarted with both secrets, and buyers get bearers of the new one",
            _ => "each instance was restarted without the leaked secret",
        }
    }
}
