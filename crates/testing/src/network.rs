//! A separate network for a test, in which packets can be lost: a network namespace with only a loopback interface.
//!
//! Needs root, `unshare`, `ip` and `iptables` (a test asks `without("iptables")` first).

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The network that a test runs in.
pub struct Network(());

/// Runs a test in a separate network: its thread, and each program that it starts.
///
/// # Panics
/// If the test panics, or if the network cannot be created.
pub fn in_own_network(test: impl AsyncFnOnce(&Network) + Send + 'static) {
    // A separate thread, because the test runner may reuse this one for another test.
    let ran = std::thread::spawn(|| {
        let network = Network::enter();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test(&network));
    })
    .join();
    if let Err(panic) = ran {
        std::panic::resume_unwind(panic);
    }
}

impl Network {
    /// Moves the calling thread into a new network.
    fn enter() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut line = String::new();
        let lines = BufReader::new(holder.stdout.as_mut().expect("a standard output")).read_line(&mut line);
        assert!(lines.is_ok() && line == "up\n", "a network needs root, unshare and ip: {line:?}");
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", holder.id())).expect("a network namespace");
        let moved = move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Network));
        moved.expect("this thread enters the network");
        // From now on the network lives as long as this thread and the programs that it starts.
        drop(holder.stdin.take());
        holder.wait().expect("the holder ends");
        Self(())
    }

    /// Drops each packet from and to this TCP port from now on, without notice to either side.
    ///
    /// # Panics
    /// If `iptables` fails.
    pub fn lose_packets_of(&self, port: u16) {
        for side in ["--sport", "--dport"] {
            let mut command = Command::new("iptables");
            command.args(["-A", "INPUT", "-p", "tcp", side, &port.to_string(), "-j", "DROP"]);
            let run = command.output().expect("iptables starts");
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        }
    }
}
