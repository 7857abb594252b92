//! Incidents of the instances.

use onsale_testing::Sale;

use super::Incident;
use crate::scene::{Scene, Stage};

/// One instance is killed.
pub(super) struct Dead;

impl Incident for Dead {
    const NAME: &'static str = "instance-dead";

    async fn cause(&mut self, scene: &mut Scene) {
        scene.kill(2).await;
    }

    fn what(&self) -> &'static str {
        "the third instance is killed with SIGKILL"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.restart(2).await;
    }

    fn repaired(&self) -> &'static str {
        "the third instance was started"
    }
}

/// More instances than the database has sessions for.
pub(super) struct TooMany;

/// Sessions of the database, few for a quick drill. Three instances need about half of them.
const SESSIONS: u32 = 50;

/// Sessions that another instance needs to start, with a margin.
const FOR_ONE: i64 = 12;

impl Incident for TooMany {
    const NAME: &'static str = "too-many-instances";

    fn stage(&self) -> Stage {
        Stage { sessions: Some(SESSIONS), ..Stage::default() }
    }

    async fn cause(&mut self, scene: &mut Scene) {
        let sql = scene.sql().await;
        let taken = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let taken = async || sql.query_one(taken, &[]).await.expect("the sessions").get::<_, i64>(0);
        while i64::from(SESSIONS) - taken().await > FOR_ONE {
            scene.added.push(Sale::start(&scene.another()).await);
        }
        // What the next ones take: sessions that they open before they fail.
        while let Some(session) = scene.try_session().await {
            scene.sessions.push(session);
        }
        scene.sessions.push(sql);
    }

    fn what(&self) -> &'static str {
        "instances are added until the database has no session left"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.sessions.clear();
        for sale in scene.added.drain(..) {
            sale.instance.terminate().await;
        }
    }

    fn repaired(&self) -> &'static str {
        "the added instances were stopped"
    }
}
