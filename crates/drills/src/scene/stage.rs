//! Which parts a drill needs.

use serde_json::{Value, json};

use crate::clients::Clients;

/// When the consumer of events starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumer {
    /// Never: the drill needs none.
    Never,
    /// Together with the instances.
    AtOnce,
    /// When the drill starts it.
    Later,
}

/// The parts of a sale. By default: three instances on Postgres and Redis behind HAProxy.
pub(crate) struct Stage {
    /// Number of instances.
    pub(crate) instances: usize,
    /// Whether Redis hands out places.
    pub(crate) redis: bool,
    /// Whether the instances send events to a broker.
    pub(crate) kafka: bool,
    /// Whether there is a data platform; without one a consumer writes files.
    pub(crate) platform: bool,
    /// When `onsale consume` starts.
    pub(crate) consumer: Consumer,
    /// Whether the instances keep the sale in a file. Only one instance can.
    pub(crate) sqlite: bool,
    /// Whether calls of the disk can be made to fail, with a sale in a file.
    pub(crate) faults: bool,
    /// Whether a wire cutter is between the instances and Postgres.
    pub(crate) wire: bool,
    /// Whether a standby keeps every commit. It needs the wire, which then leads to the server that is in use.
    pub(crate) standby: bool,
    /// Whether Postgres has a clock that the drill sets.
    pub(crate) own_clock: bool,
    /// Parameters of Postgres, each with its value.
    pub(crate) parameters: &'static [(&'static str, &'static str)],
    /// Whether the disk of Postgres can be filled.
    pub(crate) small_disk: bool,
    /// Maximum number of sessions of Postgres; `None` for its default, 100.
    pub(crate) sessions: Option<u32>,
    /// Whether the last instance is in a group whose memory can be limited.
    pub(crate) limited: bool,
    /// The bearers and addresses with which clients call.
    pub(crate) clients: Clients,
    /// Further settings of the instances.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// The settings of the waiting room.
    pub(crate) room: Value,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            instances: 3,
            redis: true,
            kafka: false,
            platform: false,
            consumer: Consumer::Never,
            sqlite: false,
            faults: false,
            wire: false,
            standby: false,
            own_clock: false,
            parameters: &[],
            small_disk: false,
            sessions: None,
            limited: false,
            clients: Clients::default(),
            settings: Vec::new(),
            room: json!({"maxActive": 500, "admitPerSecond": 50, "claimSeconds": 120, "activeSeconds": 900}),
        }
    }
}
