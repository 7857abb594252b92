//! The limits of a group act, by each means that this machine has, and nothing is left of it afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use onsale_testing::{Launch, Limited, Limits, Means, PATIENCE};

const MIB: u64 = 1 << 20;

/// The exact means that this machine has. Without any, a line names the test that is left out: also in CI, because a container
/// may lack the rights for all of them.
fn means() -> Vec<Means> {
    let found: Vec<Means> = Means::ALL.into_iter().filter(|means| means.is_exact() && means.is_here()).collect();
    if found.is_empty() {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("a test").to_owned();
        // The test runner does not swallow what is written directly.
        let _ = writeln!(std::io::stderr(), "!! SKIPPED: {name}: no control groups, systemd or Docker");
    }
    found
}

/// A shell in a group. It is killed with the group at the latest.
fn shell(limited: &Limited, script: &str) -> Command {
    let mut command = limited.command("sh");
    command.args(["-c", script]).stdin(Stdio::null());
    command
}

/// The control groups of a process, as long as it runs.
fn groups_of(child: &Child) -> String {
    std::fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap_or_default()
}

/// Lets a group have its share before all others, so that it is soon used up on a busy machine too.
fn prefer(limited: &Limited) {
    for folder in folders(limited) {
        for (file, weight) in [("cpu.weight", "10000"), ("cpu.shares", "262144")] {
            if folder.join(file).exists() {
                std::fs::write(folder.join(file), weight).unwrap();
            }
        }
    }
}

/// Judged by the kernel's own count, not by a clock: however busy the machine is, each period gives out half of its length.
#[test]
fn a_busy_loop_gets_half_of_a_processor() {
    for means in means() {
        let limits = Limits { period: Duration::from_millis(20), ..Limits::new(0.5, 64 * MIB) };
        let limited = Limited::by(means, limits).unwrap();
        prefer(&limited);
        // Two loops, so that they want more than half of a processor on a machine with one, too.
        let mut child = shell(&limited, "while :; do :; done & while :; do :; done").spawn().unwrap();
        let began = Instant::now();
        let usage = loop {
            let usage = limited.usage().unwrap_or_default();
            if usage.throttled >= 10 {
                break usage;
            }
            assert!(began.elapsed() < PATIENCE, "{means:?}: the limit never acted: {usage:?}");
            std::thread::sleep(Duration::from_millis(5));
        };
        let later = limited.usage().unwrap();
        drop(limited);
        child.wait().unwrap();
        let given = Duration::from_millis(10) * u32::try_from(usage.periods).unwrap();
        // Each processor may use up to a tick more, which the kernel takes from the next period.
        let most = given + Duration::from_millis(10) * 4;
        assert!(usage.cpu <= most, "{means:?}: {usage:?} is more than half of {} periods", usage.periods);
        // One share was used up at least. A delayed machine counts several periods at once.
        assert!(later.cpu >= Duration::from_millis(5), "{means:?}: {later:?}");
        assert!(
            usage.throttled <= usage.periods && usage.throttled <= later.throttled,
            "{means:?}: {usage:?} {later:?}"
        );
    }
}

#[test]
fn an_allocation_beyond_the_limit_is_killed_and_one_below_it_is_not() {
    for means in means() {
        // `tail` keeps a line until its end, so this takes 48 MiB.
        let script = "head -c 50331648 /dev/zero | tail -n 1 | wc -c";
        for (limit, is_killed) in [(24 * MIB, true), (256 * MIB, false)] {
            let limited = Limited::by(means, Limits::new(1.0, limit)).unwrap();
            let output = shell(&limited, script).stderr(Stdio::null()).output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert_eq!(printed == "50331648", !is_killed, "{means:?}, {limit}: {printed}");
            if means == Means::Docker {
                // The engine keeps no figures of a container that has ended.
                continue;
            }
            let usage = limited.usage().unwrap();
            assert_eq!(usage.oom_kills > 0, is_killed, "{means:?}, {limit}: {usage:?}");
            assert!(usage.peak <= limit && (is_killed || usage.peak >= 48 * MIB), "{means:?}, {limit}: {usage:?}");
        }
    }
}

#[test]
fn a_lower_limit_of_memory_is_in_force_at_once() {
    for means in means().into_iter().filter(|means| [Means::Cgroup1, Means::Cgroup2].contains(means)) {
        let limited = Limited::by(means, Limits::new(1.0, 256 * MIB)).unwrap();
        limited.limit_memory(24 * MIB).unwrap();
        let script = "head -c 50331648 /dev/zero | tail -n 1 > /dev/null";
        assert!(!shell(&limited, script).stderr(Stdio::null()).status().unwrap().success());
        assert!(limited.usage().unwrap().oom_kills > 0);
        limited.limit_memory(256 * MIB).unwrap();
        assert!(shell(&limited, script).status().unwrap().success());
    }
}

/// The folders of a group, from the words that enter it.
fn folders(limited: &Limited) -> Vec<PathBuf> {
    let files = limited.prefix().into_iter().filter(|word| word.ends_with("/cgroup.procs"));
    files.map(|file| Path::new(&file).parent().unwrap().to_owned()).collect()
}

#[test]
fn a_group_ends_with_its_processes_and_leaves_no_folder() {
    for means in means() {
        let limited = Limited::by(means, Limits::new(1.0, 64 * MIB)).unwrap();
        let (folders, mut child) = (folders(&limited), shell(&limited, "echo ready; sleep 600 & sleep 600"));
        let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        if means != Means::Docker {
            assert!(groups_of(&child).contains("onsale"), "{means:?}: {}", groups_of(&child));
        }
        drop(limited);
        assert!(!child.wait().unwrap().success(), "{means:?}: killed");
        // The pipe ends when the last process of the group has closed it.
        assert!(lines.next().is_none());
        assert!(folders.iter().all(|folder| !folder.exists()), "{means:?}: {folders:?}");
    }
}

#[test]
fn a_running_process_can_be_moved_into_a_group() {
    for means in means().into_iter().filter(|means| *means != Means::Docker) {
        let limited = Limited::by(means, Limits::new(0.5, 64 * MIB)).unwrap();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(!groups_of(&child).contains("onsale-"), "{means:?}");
        limited.adopt(&[child.id()]).unwrap();
        assert!(groups_of(&child).contains("onsale"), "{means:?}: {}", groups_of(&child));
        drop(limited);
        assert!(!child.wait().unwrap().success(), "{means:?}: killed with its group");
    }
}

#[tokio::test]
async fn a_program_is_launched_in_a_group() {
    for means in means().into_iter().filter(|means| *means != Means::Docker) {
        let limited = Limited::by(means, Limits::new(0.5, 64 * MIB)).unwrap();
        let launch = Launch::new("/bin/cat").within(&limited);
        for launch in [launch.another(), launch] {
            let run = launch.run(&["/proc/self/cgroup"]).await;
            let printed = String::from_utf8_lossy(&run.stdout);
            assert!(run.status.success() && printed.contains("onsale"), "{means:?}: {printed}");
        }
        let folder = limited.memory_folder().map(|folder| folder.join("cgroup.procs").display().to_string());
        assert!(folder.is_none_or(|file| limited.prefix().contains(&file)), "{means:?}");
    }
}

/// What [`the_runtime_sees_the_limit_of_processors`] starts in a group.
#[test]
#[ignore = "started in a group by another test"]
fn prints_its_processors() {
    println!("processors: {}", std::thread::available_parallelism().unwrap());
}

/// The server has as many worker threads as `available_parallelism` returns. It rounds a share of processors down, to at least 1.
#[test]
fn the_runtime_sees_the_limit_of_processors() {
    for means in means().into_iter().filter(|means| *means != Means::Docker) {
        let limited = Limited::by(means, Limits::new(0.5, 256 * MIB)).unwrap();
        let own = std::env::current_exe().unwrap();
        let mut command = limited.command(own.to_str().unwrap());
        command.args(["prints_its_processors", "--exact", "--ignored", "--nocapture"]);
        let output = command.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("processors: 1\n"), "{means:?}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn without_any_other_means_whole_processors_are_given() {
    if !Means::Taskset.is_here() {
        return;
    }
    let limited = Limited::by(Means::Taskset, Limits::new(0.25, 64 * MIB)).unwrap();
    let output = limited.command("nproc").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1");
    assert!(limited.usage().is_err() && limited.limit_memory(MIB).is_err());
}
