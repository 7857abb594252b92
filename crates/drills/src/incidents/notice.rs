//! The balancer is down, so no page of the sale can be reached: neither the sale nor its notice.

use onsale_testing::Nginx;
use tempfile::TempDir;

use super::Incident;
use crate::scene::Scene;

/// The balancer is killed. A host outside of it serves static files.
#[derive(Default)]
pub(super) struct NoticeUnreachable {
    host: Option<(Nginx, TempDir)>,
}

impl Incident for NoticeUnreachable {
    const NAME: &'static str = "notice-unreachable";

    async fn prepare(&mut self, scene: &mut Scene) {
        let folder = tempfile::Builder::new().prefix("onsale-notice-").tempdir().expect("a temporary folder");
        let host = Nginx::start("", &format!("    root {};", folder.path().display())).await;
        scene.shell.set("NOTICE", host.base());
        scene.shell.set("NOTICE_FOLDER", folder.path().display());
        self.host = Some((host, folder));
    }

    async fn cause(&mut self, scene: &mut Scene) {
        scene.balancer.kill().await;
    }

    fn what(&self) -> &'static str {
        "the balancer is killed with SIGKILL"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.balancer.restart().await;
    }

    fn repaired(&self) -> &'static str {
        "the balancer was started with the same file"
    }
}
