//! Incidents of Redis: it is away, or may evict places.

use super::Incident;
use crate::scene::Scene;

/// Redis is killed, and comes back empty.
pub(super) struct Away;

impl Incident for Away {
    const NAME: &'static str = "redis-away";

    async fn cause(&mut self, scene: &mut Scene) {
        scene.parts.redis.as_ref().expect("the sale uses Redis").kill().await;
    }

    fn what(&self) -> &'static str {
        "Redis is killed with SIGKILL"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        scene.parts.redis.as_ref().expect("the sale uses Redis").restart().await;
    }

    fn repaired(&self) -> &'static str {
        "Redis was started, and is empty"
    }
}

/// Redis may evict places when its memory is full.
pub(super) struct Unsafe;

impl Incident for Unsafe {
    const NAME: &'static str = "redis-unsafe";

    async fn cause(&mut self, scene: &mut Scene) {
        let redis = scene.parts.redis.as_ref().expect("the sale uses Redis");
        redis.run::<()>(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    }

    fn what(&self) -> &'static str {
        "another team sets maxmemory-policy to allkeys-lru"
    }
}
