//! Gatling: the scripts of `load/gatling`, its libraries, and the answers that a run of it writes.
//!
//! Gatling and not a generator of ours, because two programs that share no code find each other's errors. Its reports are left
//! out, as they are not under an open licence: the runner makes its own tables from the file of answers.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use onsale_load_generator::Outcome;
use onsale_testing::auditor::{Answer, Record};
use serde_json::{Value, json};

use super::answers::{Answers, Sample, interned};
use super::calls::Call;
use super::crowd::{Begin, Crowd, SECRET};

/// The programs that it needs, each with its Debian package.
const NEEDS: [(&str, &str); 3] =
    [("java", "default-jdk-headless"), ("javac", "default-jdk-headless"), ("mvn", "maven")];

/// Interval of the checks whether its crowd begins, and whether it has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Time until its crowd begins: the start of a Java machine on a busy computer, and the warm-up.
const STARTS_WITHIN: Duration = Duration::from_secs(180);

/// Time that it may take beyond the crowd's own.
const PATIENCE: Duration = Duration::from_secs(90);

/// Gatling with compiled scripts.
pub(super) struct Gatling {
    libraries: PathBuf,
    classes: tempfile::TempDir,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The programs that are missing on this machine, in words; `None` if nothing is.
pub(super) fn missing() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    let missing = NEEDS.iter().find(|(program, _)| !is_there(program));
    missing.map(|(program, package)| format!("{program} is missing (Debian: {package})"))
}

impl Gatling {
    /// Brings the libraries with Maven into the folder of build artefacts, if they are not there, and compiles the scripts.
    ///
    /// # Errors
    /// If Maven cannot bring them, or the scripts do not compile.
    pub(super) fn prepare() -> Outcome<Self> {
        let scripts = repository().join("load/gatling");
        let target = repository().join("target");
        std::fs::create_dir_all(&target)?;
        let libraries = target.canonicalize()?.join("gatling-3.13.5");
        let lock = File::create(libraries.with_extension("lock"))?;
        // One process brings them, all others wait.
        lock.lock()?;
        if !libraries.join("complete").exists() {
            let output = format!("-DoutputDirectory={}", libraries.display());
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "-f"]).arg(scripts.join("pom.xml")).args(["dependency:copy-dependencies", &output]);
            succeed(&mut maven)?;
            std::fs::write(libraries.join("complete"), "")?;
        }
        let classes = tempfile::Builder::new().prefix("onsale-gatling-").tempdir()?;
        let mut javac = Command::new("javac");
        javac.arg("-cp").arg(format!("{}/*", libraries.display())).arg("-d").arg(classes.path());
        for entry in std::fs::read_dir(scripts.join("onsale"))? {
            javac.arg(entry?.path());
        }
        succeed(&mut javac)?;
        for settings in ["gatling.conf", "logback.xml"] {
            std::fs::copy(scripts.join(settings), classes.path().join(settings))?;
        }
        Ok(Self { libraries, classes })
    }

    /// Runs a crowd. Reports its begin once the Java machine is warm, before the first person is due.
    ///
    /// # Errors
    /// If it does not end with success, or in time, or its file of answers cannot be read.
    pub(super) fn run(&self, crowd: &Crowd, log_began_at: i64, begins: &Sender<Begin>) -> Outcome<Answers> {
        let folder = tempfile::Builder::new().prefix("onsale-gatling-run-").tempdir()?;
        let [plan, answers, log] = ["plan.json", "answers.tsv", "log"].map(|name| folder.path().join(name));
        std::fs::write(&plan, plan_of(crowd, log_began_at, &answers).to_string())?;
        let mut child = self.start(folder.path(), &plan, &log)?;
        let status = follow(&mut child, &answers, (crowd, begins))?;
        if !status.success() {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("Gatling ended with {status}:\n{log}").into());
        }
        let mut read = read(&std::fs::read_to_string(&answers)?)?;
        // The auditor reads one room: that of the first concert.
        let concerts = u32::try_from(crowd.venue.concerts.len())?;
        read.records.retain(|record| record.user.is_multiple_of(concerts));
        read.dropped = u64::from(crowd.count()).saturating_sub(read.ends.values().sum());
        Ok(read)
    }

    /// Starts the Java machine in a folder, with its output in a file.
    fn start(&self, folder: &Path, plan: &Path, log: &Path) -> Outcome<Child> {
        let mut java = Command::new("java");
        java.args([
            "-Xmx1500m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--add-opens=java.base/java.lang=ALL-UNNAMED",
        ]);
        java.arg(format!("-Dload.plan={}", plan.display())).arg("-cp");
        java.arg(format!("{}:{}/*", self.classes.path().display(), self.libraries.display()));
        java.args(["io.gatling.app.Gatling", "--simulation", "onsale.Load", "--no-reports", "--results-folder"]);
        java.arg(folder).current_dir(folder).stdin(Stdio::null());
        let output = File::create(log)?;
        Ok(java.stdout(output.try_clone()?).stderr(output).spawn()?)
    }
}

/// Reports the begin of the crowd, and waits for the end of the process. Kills it if it takes too long.
fn follow(child: &mut Child, answers: &Path, (crowd, begins): (&Crowd, &Sender<Begin>)) -> Outcome<ExitStatus> {
    let (mut has_begun, mut until) = (false, Instant::now() + STARTS_WITHIN);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Some(micros) = begin_in(answers).filter(|_| !has_begun) {
            let at = crowd.log_began + Duration::from_micros(micros);
            (has_begun, until) = (true, at + crowd.arriving() + crowd.tail + PATIENCE);
            // The runner waits for it, unless it has failed.
            let _ = begins.send(Begin { at, process: child.id() });
        }
        if Instant::now() > until {
            child.kill()?;
            return Ok(child.wait()?);
        }
        std::thread::sleep(LOOK);
    }
}

/// When the crowd begins, in microseconds since the log began: the first line of the file of answers. `None` if it is not there
/// yet.
fn begin_in(answers: &Path) -> Option<u64> {
    let mut line = String::new();
    BufReader::new(File::open(answers).ok()?).read_line(&mut line).ok()?;
    line.strip_suffix('\n')?.strip_prefix("began\t")?.parse().ok()
}

/// Runs a command. The error has its output.
fn succeed(command: &mut Command) -> Outcome<()> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?} ended with {}:\n{out}{err}", output.status).into())
}

/// What the scripts read.
fn plan_of(crowd: &Crowd, log_began_at: i64, answers: &Path) -> Value {
    let venue = &crowd.venue;
    let targets: Vec<String> = venue.addresses.iter().map(|address| format!("http://{address}")).collect();
    let concerts = venue.concerts.iter().map(|concert| {
        let performances = concert.performances.iter().map(|one| json!({"id": one.id, "date": one.date}));
        json!({"id": concert.id, "performances": performances.collect::<Vec<_>>()})
    });
    let parties = crowd.parties.iter().map(|party| {
        let stages = party.arrivals.stages().iter();
        let stages = stages.map(|stage| json!({"seconds": stage.seconds, "from": stage.from, "to": stage.to}));
        let due = party.arrivals.due().map(|seconds| Duration::from_secs_f64(seconds).as_micros());
        let due: Vec<u64> = due.map(|micros| u64::try_from(micros).unwrap_or(u64::MAX)).collect();
        json!({"journey": party.journey.name(), "arrivals": stages.collect::<Vec<_>>(), "due": due})
    });
    json!({
        "targets": targets, "concerts": concerts.collect::<Vec<_>>(), "crowd": parties.collect::<Vec<_>>(),
        "lecture": venue.lecture, "secret": venue.has_bearers.then_some(SECRET), "first": crowd.first,
        "thinkMillis": u64::try_from(venue.think.as_millis()).unwrap_or(0), "price": venue.price,
        "logBeganAt": log_began_at, "seconds": (crowd.arriving() + crowd.tail).as_secs_f64(), "answers": answers,
    })
}

/// Reads a file of answers.
fn read(text: &str) -> Outcome<Answers> {
    let (mut answers, mut began) = (Answers::default(), 0);
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let odd = || format!("an odd line of answers: {line}");
        match fields[..] {
            ["began", at] => began = at.parse()?,
            ["end", end] => *answers.ends.entry(interned(end)).or_default() += 1,
            ["paid", performance, seat] => answers.paid.push((performance.parse()?, seat.parse()?)),
            ["cut", _] => answers.cut += 1,
            ["answer", ref rest @ ..] => {
                let (sample, late, record) = answer(rest, began).ok_or_else(odd)?;
                answers.samples.push(sample);
                answers.late.push(late);
                answers.records.extend(record);
            }
            _ => return Err(odd().into()),
        }
    }
    Ok(answers)
}

/// A line of an answer: due, sent, answered, call, status, code, user, instance, token, and the fields of a place. Returns also
/// the microseconds between due and sent.
fn answer(fields: &[&str], began: u64) -> Option<(Sample, u32, Option<Record>)> {
    let &[due, sent, answered, call, status, code, user, instance, token, standing, position, as_of, issued, until] =
        fields
    else {
        return None;
    };
    let (due, sent, answered): (u64, u64, u64) = (due.parse().ok()?, sent.parse().ok()?, answered.parse().ok()?);
    let (call, status) = (Call::named(call)?, status.parse().ok()?);
    let since_due = |instant: u64| u32::try_from(instant.saturating_sub(due)).unwrap_or(u32::MAX);
    let sample = Sample {
        at: u32::try_from(due.saturating_sub(began) / 1_000).ok()?,
        call,
        status,
        code: interned(code),
        micros: since_due(answered),
    };
    let late = since_due(sent);
    let Some(asked) = call.asked() else { return Some((sample, late, None)) };
    let [token_id, standing, as_of, issued_at, active_until] =
        [token, standing, as_of, issued, until].map(|field| Some(field).filter(|field| !field.is_empty()));
    let position = position.parse().ok();
    let answer = Answer { code: status, token_id, status: standing, position, as_of, issued_at, active_until };
    let record = answer.record((instance.parse().ok()?, asked), (user.parse().ok()?, 0), (sent, answered));
    Some((sample, late, Some(record)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed step ends the test")]
mod tests {
    use onsale_testing::auditor::{Asked, Standing};

    use super::*;

    #[test]
    fn a_file_of_answers_is_read() {
        let token = "018f6b1c-7d2e-7a3b-9c4d-000000000001";
        let instant = "2026-11-22T11:12:13.456Z";
        let text = format!(
            "began\t1000\nanswer\t5000\t5300\t7500\tenter\t201\t\t3\t1\t{token}\tWAITING\t12\t{instant}\t{instant}\t\n\
             answer\t9000\t69000\t69100\tcharge\t503\toverloaded\t3\t1\t\t\t\t\t\t\ncut\tpay\nend\tpaid\n\
             paid\t1002\t7\n"
        );
        let answers = read(&text).unwrap();
        let [entry, charge] = answers.samples[..] else { unreachable!("two answers") };
        // Both count from the instant at which they were due, and not from that at which they were sent.
        assert_eq!((entry.at, entry.call, entry.status, entry.micros), (4, Call::Enter, 201, 2_500));
        assert_eq!((charge.at, charge.code, charge.micros), (8, "overloaded", 60_100));
        assert_eq!(answers.late, [300, 60_000]);
        let [record] = answers.records[..] else { unreachable!("one answer about a place") };
        assert_eq!((record.asked, record.user, record.standing), (Asked::Enter, 3, Some(Standing::Waiting)));
        assert_eq!((record.sent, record.answered), (5_300, 7_500));
        assert_eq!((record.instance, record.token & 0xff, record.position.map(u32::from)), (1, 1, Some(12)));
        assert_eq!((answers.ends["paid"], &answers.paid[..], answers.cut), (1, &[(1_002, 7)][..], 1));
        assert!(read("answer\t1\n").is_err());
    }

    #[test]
    fn the_begin_of_a_crowd_is_the_first_line_once_it_is_complete() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let begin = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            begin_in(file.path())
        };
        assert_eq!([begin(""), begin("began\t12"), begin("began\t1234\nend\tpaid\n")], [None, None, Some(1_234)]);
        assert_eq!(begin_in(Path::new("/nowhere")), None);
    }
}
