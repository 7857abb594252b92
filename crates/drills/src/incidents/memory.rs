//! An instance reaches its limit of memory while many visitors wait.

use std::net::SocketAddr;
use std::time::Duration;

use onsale_testing::{Limited, allow_open_files};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Incident;
use crate::scene::{Scene, Stage};

/// Memory that is left to the instance after its start, in bytes: connections of about 700 visitors.
const LEFT: u64 = 16 << 20;

/// Memory that an operator adds, in bytes.
const ADDED: u64 = 256 << 20;

/// Visitors who keep a connection open. The limit is too low for fewer, and the higher one is enough for all.
const CROWD: usize = 4_000;

/// Open files of the crowd, and of the instance that it calls.
const OPEN_FILES: u64 = 12_000;

/// How often the supervisor starts the instance before it gives up.
const STARTS: u32 = 2;

/// The instance in the group.
const THIRD: usize = 2;

/// Longest time until a poll is answered by an instance that has hardly any memory.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// The third instance has less memory than the connections of its visitors need.
#[derive(Default)]
pub(super) struct MemoryLimit {
    /// The limit in bytes.
    limit: u64,
    crowd: Vec<TcpStream>,
}

impl Incident for MemoryLimit {
    const NAME: &'static str = "memory-limit";

    fn stage(&self) -> Stage {
        allow_open_files(OPEN_FILES);
        Stage { limited: true, ..Stage::default() }
    }

    async fn prepare(&mut self, scene: &mut Scene) {
        let folder = group(scene).memory_folder().expect("a group of files").display().to_string();
        scene.shell.set("GROUP", folder);
    }

    async fn cause(&mut self, scene: &mut Scene) {
        self.limit = group(scene).usage().expect("the memory of the group").memory + LEFT;
        group(scene).limit_memory(self.limit).expect("a lower limit");
        for start in 1..=STARTS {
            self.crowd = visitors(scene, CROWD).await;
            assert!(self.crowd.len() < CROWD, "the limit of {} bytes is enough for all visitors", self.limit);
            let sale = scene.sales[THIRD].take().expect("an instance that runs");
            sale.instance.ended().await;
            if start < STARTS {
                scene.restart(THIRD).await;
            }
        }
        self.crowd.clear();
    }

    fn what(&self) -> &'static str {
        "the kernel kills the third instance for memory, and again after its restart, since all visitors come back"
    }

    async fn repair(&mut self, scene: &mut Scene) {
        group(scene).limit_memory(self.limit + ADDED).expect("a higher limit");
        scene.restart(THIRD).await;
        self.crowd = visitors(scene, CROWD).await;
        assert_eq!(self.crowd.len(), CROWD, "the higher limit is enough for all visitors");
    }

    fn repaired(&self) -> &'static str {
        "the third instance has 256 MiB more, was started, and serves all visitors"
    }

    async fn end(&mut self, _scene: &mut Scene) {
        self.crowd.clear();
    }
}

fn group(scene: &Scene) -> &Limited {
    scene.limited.as_ref().expect("an instance in a group")
}

/// Lets this many visitors poll at the third instance, each on a connection that stays open. Ends when the instance does.
async fn visitors(scene: &Scene, count: usize) -> Vec<TcpStream> {
    let third = scene.sales[THIRD].as_ref().expect("an instance that runs");
    let address: SocketAddr =
        third.instance.base().trim_start_matches("http://").parse().expect("an address with a port");
    let poll = format!("GET /queue/token HTTP/1.1\r\nHost: {address}\r\nQueue-Token: {}\r\n\r\n", scene.token);
    let mut crowd = Vec::new();
    while crowd.len() < count {
        match tokio::time::timeout(ANSWER_MAX, visitor(address, &poll)).await {
            Ok(Some(visitor)) => crowd.push(visitor),
            _ => break,
        }
    }
    crowd
}

/// Connects and polls once. Returns `None` if the instance does not answer any more.
async fn visitor(address: SocketAddr, poll: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(poll.as_bytes()).await.ok()?;
    let mut answer = [0; 2_048];
    let read = stream.read(&mut answer).await.ok()?;
    (read > 0).then_some(stream)
}
