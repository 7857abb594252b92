//! How long tests wait before they fail.

use std::time::Duration;

/// The longest time that a test waits for anything. A test that passes never waits for all of it.
pub const PATIENCE: Duration = Duration::from_secs(60);
