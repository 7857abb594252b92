//! How programs are launched: many of a kind, and with a clock that is wrong. Any program serves to show it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

use onsale_testing::{Faults, Launch, now_millis, without};

/// What a program prints.
async fn printed(launch: &Launch, arguments: &[&str]) -> String {
    let run = launch.run(arguments).await;
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn another_launch_differs_in_folder_and_port_alone() {
    let url = "postgres://postgres@127.0.0.1:1/sale";
    let first = Launch::new("/bin/sh").set("ONSALE_LISTEN", "127.0.0.1:1").set("ONSALE_HOLD_SECONDS", 7).on(url);
    let second = first.another();
    let say = "echo $ONSALE_LISTEN,$ONSALE_HOLD_SECONDS,$ONSALE_DATABASE_URL; pwd";
    let told = |launch: &Launch, listen: &str| format!("{listen},7,{url}\n{}", launch.folder().display());
    assert_eq!(printed(&first, &["-c", say]).await, told(&first, "127.0.0.1:1"));
    assert_eq!(printed(&second, &["-c", say]).await, told(&second, ""));
    assert_ne!(first.folder(), second.folder());
}

#[tokio::test]
async fn a_clock_can_be_ahead_and_behind() {
    if without("faketime") {
        return;
    }
    for ahead in [180, -240, 0] {
        let (faults, launch) = Faults::under(Launch::new("/bin/date").clock_ahead(ahead));
        for launch in [launch.another(), launch] {
            let before = now_millis() / 1_000;
            let shown: i64 = printed(&launch, &["+%s"]).await.parse().unwrap();
            assert!((before..=now_millis() / 1_000).contains(&(shown - ahead)), "{ahead}: {shown} and not {before}");
        }
        assert_eq!(faults.writes_failed(), 0);
    }
}
