//! A release that is taken back after it has changed the schema.

use super::Incident;
use crate::scene::Scene;

/// The version of a schema that no release has yet.
const NEWER: i32 = 99;

/// The newer release changed the schema, and an operator goes back to the older program.
pub(super) struct BadRelease;

impl Incident for BadRelease {
    const NAME: &'static str = "bad-release";

    async fn cause(&mut self, scene: &mut Scene) {
        let newer = "INSERT INTO onsale_schema (version) VALUES ($1)";
        scene.sql().await.execute(newer, &[&NEWER]).await.expect("a newer schema");
        scene.terminate(2).await;
        let (code, log) = scene.run(2).await;
        assert_eq!(code, Some(1), "an older program ends on a newer schema: {log}");
        let file = scene.first().instance.folder().join("third-instance.log");
        std::fs::write(&file, log).expect("a log is written");
        scene.shell.set("LOG", file.display());
    }

    fn what(&self) -> &'static str {
        "a newer release has changed the schema, and the third instance is started with the older program"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        // There is one program here, so the schema becomes the one that it knows.
        let known = "DELETE FROM onsale_schema WHERE version = $1";
        scene.sql().await.execute(known, &[&NEWER]).await.expect("the schema of this program");
        scene.restart(2).await;
    }

    fn repaired(&self) -> &'static str {
        "the third instance runs a program that knows the schema"
    }
}
