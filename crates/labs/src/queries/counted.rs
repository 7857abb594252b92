//! What the server counted of each statement (`pg_stat_statements`), joined with the statements of the code.

use std::collections::{BTreeMap, HashMap};

use onsale_load_generator::Outcome;
use onsale_testing::postgres::driver::{Client, SimpleQueryMessage};
use serde_json::Value;

use super::source::Statement;
use super::stage::USER;

/// The counters of a statement, from the user of the instances only.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    id: i64,
    pub(crate) text: String,
    pub(crate) counters: Counters,
}

/// Sums over all calls. Times are in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: f64,
    pub(crate) time: f64,
    pub(crate) longest: f64,
    pub(crate) planning: f64,
    pub(crate) rows: f64,
    pub(crate) blocks_hit: f64,
    pub(crate) blocks_read: f64,
    pub(crate) wal_bytes: f64,
}

/// Reads all counters.
///
/// # Errors
/// If `pg_stat_statements` is not there.
pub(crate) async fn read(sql: &Client) -> Outcome<Vec<Counted>> {
    let counted = "SELECT queryid, query, calls::float8, total_exec_time, max_exec_time, total_plan_time, rows::float8,
            shared_blks_hit::float8, shared_blks_read::float8, wal_bytes::float8
        FROM pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid WHERE rolname = $1 AND queryid IS NOT NULL";
    let rows = sql.query(counted, &[&USER]).await?;
    let counted = rows.iter().map(|row| Counted {
        id: row.get(0),
        text: squeezed(row.get(1)),
        counters: Counters {
            calls: row.get(2),
            time: row.get(3),
            longest: row.get(4),
            planning: row.get(5),
            rows: row.get(6),
            blocks_hit: row.get(7),
            blocks_read: row.get(8),
            wal_bytes: row.get(9),
        },
    });
    Ok(counted.collect())
}

/// Forgets all counters.
///
/// # Errors
/// If the server does not answer.
pub(crate) async fn reset(sql: &Client) -> Outcome<()> {
    Ok(sql.batch_execute("SELECT pg_stat_statements_reset()").await?)
}

/// Statements that triggers, the server and the driver send in the name of the program, by their beginnings, with the reason.
const OF_OTHER_PARTS: [(&str, &str); 6] = [
    ("SELECT ? FROM ONLY \"public\".\"concerts\" x WHERE", "foreign key on concerts"),
    ("(SELECT count(*) FROM refunded_seats WHERE", "trigger: a reservation lists the seats that were refunded"),
    ("NOT EXISTS (SELECT FROM refunded_seats WHERE", "trigger: a sold seat is free only after a refund"),
    ("TG_OP =", "trigger: a sold seat is free only after a refund"),
    ("START TRANSACTION", "driver: begins a transaction"),
    ("SHOW transaction_read_only", "driver: is this the primary?"),
];

/// Joins what was counted with the names in the code.
pub(crate) struct Names<'a> {
    statements: &'a [Statement],
    /// The text of each, without constants.
    texts: Vec<String>,
    by_id: HashMap<i64, Vec<&'a str>>,
}

impl<'a> Names<'a> {
    /// Has the server compute the identifier of each statement of the code. `sql` is a session in the database of the sale.
    ///
    /// # Errors
    /// If the server refuses a statement of the code.
    pub(crate) async fn of(sql: &Client, statements: &'a [Statement]) -> Outcome<Self> {
        let mut by_id: HashMap<i64, Vec<&str>> = HashMap::new();
        sql.batch_execute("SET plan_cache_mode = force_generic_plan").await?;
        for (number, statement) in statements.iter().enumerate().filter(|(_, statement)| statement.is_planned()) {
            let failed = |error| format!("{}: {error:?}", statement.name);
            sql.batch_execute(&format!("PREPARE lab_{number} AS {}", statement.text)).await.map_err(failed)?;
            let nulls = vec!["NULL"; parameters(&statement.text)].join(", ");
            let values = if nulls.is_empty() { nulls } else { format!("({nulls})") };
            let explain = format!("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE lab_{number} {values}");
            let plan = explained(sql, &explain).await.map_err(|error| format!("{}: {error}", statement.name))?;
            let id = plan[0]["Query Identifier"].as_i64().ok_or("a plan without an identifier")?;
            by_id.entry(id).or_default().push(&statement.name);
            sql.batch_execute(&format!("DEALLOCATE lab_{number}")).await?;
        }
        let texts = statements.iter().map(|statement| without_constants(&squeezed(&statement.text))).collect();
        Ok(Self { statements, texts, by_id })
    }

    /// The names of a statement: several if the code has the same text several times. Empty if the code does not have it.
    fn find(&self, counted: &Counted) -> Vec<&'a str> {
        self.by_id.get(&counted.id).cloned().unwrap_or_else(|| self.with_text(&counted.text))
    }

    /// The names of the statements with this text, whatever their constants are.
    pub(crate) fn with_text(&self, text: &str) -> Vec<&'a str> {
        let sent = without_constants(&squeezed(text));
        let is_same = |(statement, own): &(&Statement, &String)| {
            if statement.is_format { fits(own, &sent) } else { **own == sent }
        };
        let all = self.statements.iter().zip(&self.texts);
        all.filter(is_same).map(|(statement, _)| statement.name.as_str()).collect()
    }
}

/// The counters of a run, by the names in the code.
#[derive(Default)]
pub(crate) struct Joined {
    pub(crate) by_name: BTreeMap<String, Counters>,
    /// Statements of the server and the driver, by what sends them.
    pub(crate) of_other_parts: BTreeMap<&'static str, Counters>,
    /// Texts that the code does not have.
    pub(crate) unknown: Vec<String>,
}

/// Joins all that was counted.
pub(crate) fn join(counted: &[Counted], names: &Names<'_>) -> Joined {
    let mut joined = Joined::default();
    for known in counted {
        let found = names.find(known);
        let sent = without_constants(&known.text);
        let other = OF_OTHER_PARTS.iter().find(|(begins, _)| sent.starts_with(begins));
        match (found.is_empty(), other) {
            (false, _) => joined.by_name.entry(found.join(" = ")).or_default().add(&known.counters),
            (true, Some((_, part))) => joined.of_other_parts.entry(part).or_default().add(&known.counters),
            (true, None) => joined.unknown.push(known.text.clone()),
        }
    }
    joined
}

impl Joined {
    /// Whether a statement of the code was counted.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.keys().any(|names| names.split(" = ").any(|known| known == name))
    }
}

impl Counters {
    fn add(&mut self, more: &Self) {
        self.calls += more.calls;
        self.time += more.time;
        self.longest = self.longest.max(more.longest);
        self.planning += more.planning;
        self.rows += more.rows;
        self.blocks_hit += more.blocks_hit;
        self.blocks_read += more.blocks_read;
        self.wal_bytes += more.wal_bytes;
    }

    /// A counter divided by the calls.
    pub(crate) fn per_call(&self, counter: f64) -> f64 {
        counter / self.calls.max(1.0)
    }
}

/// The plan that an `EXPLAIN … FORMAT JSON` returns.
///
/// # Errors
/// If the server refuses it.
pub(crate) async fn explained(sql: &Client, explain: &str) -> Outcome<Value> {
    let messages = sql.simple_query(explain).await.map_err(|error| format!("{explain}: {error:?}"))?;
    let plan = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(serde_json::from_str(plan.ok_or("no plan")?)?)
}

/// How many parameters a statement has: the highest number after a `$`.
fn parameters(text: &str) -> usize {
    let numbers = text.split('$').skip(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    numbers.filter_map(|number| number?.parse().ok()).max().unwrap_or(0)
}

/// The text with single spaces between words.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches(';').to_owned()
}

/// The text with `?` for each number, text and parameter: the server replaces constants by parameters.
fn without_constants(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\'' {
            while rest.next_if(|c| *c != '\'').is_some() {}
            rest.next();
            result.push('?');
            continue;
        }
        let is_in_word = result.chars().last().is_some_and(|before| before.is_alphanumeric() || before == '_');
        let begins = c == '$' && rest.peek().is_some_and(char::is_ascii_digit) || c.is_ascii_digit() && !is_in_word;
        if !begins {
            result.push(c);
            continue;
        }
        while rest.next_if(char::is_ascii_digit).is_some() {}
        result.push('?');
    }
    result
}

/// Whether a text is made of a format.
fn fits(format: &str, text: &str) -> bool {
    let mut parts = format.split('{').enumerate().map(|(index, part)| match index {
        0 => part,
        _ => part.split_once('}').map_or("", |(_, after)| after),
    });
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_constants_and_formats_by_their_parts() {
        assert_eq!(
            without_constants("SELECT $3 FROM t1 WHERE a = 42 LIMIT $1"),
            "SELECT ? FROM t1 WHERE a = ? LIMIT ?"
        );
        assert_eq!(squeezed("SET  a\n = 1;"), "SET a = 1");
        assert_eq!(parameters("a = $1 AND b = $12"), 12);
        assert_eq!(without_constants("SET SNAPSHOT '{}'"), without_constants("SET SNAPSHOT '00-1B'"));
        assert!(fits("SELECT child.{key} FROM {children} child", "SELECT child.a FROM b child"));
        assert!(!fits("SELECT child.{key} FROM {children} child", "SELECT child.a FROM b"));
    }
}
