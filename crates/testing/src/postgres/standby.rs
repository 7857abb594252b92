//! A second server that replicates the first and can replace it.

use super::home::Home;
use super::server::Server;
use super::setup::configure;

/// Files of the primary only, also if they were set while it ran.
const PRIMARYS_OWN: &str = "synchronous_standby_names";

impl Server {
    /// A standby with this name, from a base backup. Returns when it streams from this server; it answers reads.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn standby(&self, name: &str) -> Server {
        let home = Home::new(self.home.programs.clone());
        let at = self.address();
        let from = format!("host={} port={} user={} application_name={name}", at.ip(), at.port(), super::USER);
        let data = home.data_argument();
        let how = ["-d", &from, "-D", &data, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"];
        self.home.programs.run("pg_basebackup", &how).await;
        configure(&home, &[(PRIMARYS_OWN.to_owned(), String::new())]);
        let set = home.data().join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&set).expect("the settings of the primary");
        let kept = text.lines().filter(|line| !line.starts_with(PRIMARYS_OWN)).map(|line| format!("{line}\n"));
        std::fs::write(&set, kept.collect::<String>()).expect("the settings can be written");
        let standby = Server::of(home);
        standby.restart().await;
        let streams = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming'";
        self.until(&format!("{streams} AND application_name = '{name}')")).await;
        standby
    }

    /// The standbys that must have a commit on disk before it is answered: `standby_name`, `*`, `ANY 1 (a, b)`
    /// (`synchronous_standby_names`); empty for none. In force when this returns. Without such a standby, commits wait
    /// until there is one.
    ///
    /// # Panics
    /// If none of them streams.
    pub async fn synchronous(&self, names: &str) {
        self.set(PRIMARYS_OWN, names).await;
        // The checkpointer sets whether sessions wait, after it has read the new settings. It reads them
        // before it checks for work; the second checkpoint is for one that was about to check.
        let sql = self.sql("postgres").await;
        for _ in 0..2 {
            sql.batch_execute("CHECKPOINT").await.expect("a checkpoint");
        }
        if !names.is_empty() {
            let kept = "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))";
            self.until(kept).await;
        }
    }

    /// Waits until this standby has everything that the primary has committed by now.
    pub async fn follow(&self, primary: &Server) {
        let now = "SELECT pg_current_wal_flush_lsn()::text";
        let now: String = primary.sql("postgres").await.query_one(now, &[]).await.expect("a position").get(0);
        self.until(&format!("SELECT pg_last_wal_replay_lsn() >= '{now}'::pg_lsn")).await;
    }

    /// Promotes this standby to a primary. It accepts writes when this returns.
    ///
    /// # Panics
    /// If it is not a standby.
    pub async fn promote(&self) {
        let promoted = self.sql("postgres").await.query_one("SELECT pg_promote()", &[]).await;
        assert!(promoted.expect("a standby").get::<_, bool>(0), "it does not take over; its log: {}", self.log());
        self.until("SELECT NOT pg_is_in_recovery()").await;
    }
}
