//! Plays scripts: one line a command, with the outcome that the contract promises.
//!
//! ```text
//! 0       ann enters            => new place 1, active until 600
//!         ann holds 1 2 as x    => held 2000 until 300
//! &       bob holds 2 3         => seat-taken 2, retry after 300
//! 299.999 ann pays x            => paid 2000, balance 500
//! ```
//!
//! A line may begin with the time in seconds since the start (else it is as before); `&` puts it into the unit of
//! work of the line above; positions are shown as of its end. Users, lectures, concerts, performances and reservations
//! have names; `ann` shows her last token, `ann#1` her first. The outcome `…` is any. What can be said stands in [`super::words`].

use onsale_domain::concert::Held;
use onsale_domain::waiting_room::Entered;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::support::mixed::{AnyCommand, Done};
use onsale_domain::concert::{self, Layout, PlannedSection, Seating, Section};
use onsale_domain::ids::{ConcertId, LectureId, PerformanceId, ReservationId, UserId};
use onsale_domain::lecture;
use onsale_domain::refund::Policy;
use onsale_domain::time::Timestamp;
use onsale_domain::waiting_room::{Seed, Settings, Token};

use super::{Answer, START, World};

/// A world whose things have names.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(super) lectures: BTreeMap<String, LectureId>,
    pub(super) concerts: BTreeMap<String, ConcertId>,
    pub(super) performances: BTreeMap<String, PerformanceId>,
    pub(super) reservations: BTreeMap<String, ReservationId>,
    pub(super) tokens: BTreeMap<String, Vec<Token>>,
    /// Signs of life and first uses that the next step of a room will hear of.
    pub(super) signs: Vec<(Token, Sign)>,
    /// Events that a script has read.
    pub(super) listed: usize,
    /// The concert that lines mean which name none.
    pub(super) concert: Option<ConcertId>,
}

/// A sign of life of a token, kept for the next step of its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Seen(Timestamp),
    Claimed,
}

/// One line of a script.
pub(super) struct Line<'a> {
    text: &'a str,
    follows: bool,
    at: Option<Timestamp>,
    pub(super) actor: &'a str,
    pub(super) verb: &'a str,
    pub(super) rest: Vec<&'a str>,
    outcome: &'a str,
}

impl Stage {
    /// A stage without lectures and concerts.
    pub(crate) fn empty() -> Self {
        Self {
            world: World::new(),
            lectures: BTreeMap::new(),
            concerts: BTreeMap::new(),
            performances: BTreeMap::new(),
            reservations: BTreeMap::new(),
            tokens: BTreeMap::new(),
            signs: Vec::new(),
            listed: 0,
            concert: None,
        }
    }

    /// The concert `gala` with the performance `eve`: a day ahead, 50 seats for 1,000 each.
    pub(crate) fn gala(room: Settings) -> Self {
        Self::empty().concert("gala", room).performance("eve", 86_400, &[(1, 50, 1_000)])
    }

    /// The concert `gala` with `eve` and `matinee`, which starts at second 900. `ann` and `bob` are admitted, `cid` waits.
    pub(crate) fn gala_with_a_line() -> Self {
        let gala = Self::gala(Settings { max_active: 2, ..Settings::default() });
        let mut stage = gala.performance("matinee", 900, &[(1, 50, 500)]);
        stage.play(
            "
            0 ann charges 9000 => balance 9000
            0 ann enters => new place 1, active until 600
            0 bob enters => new place 2, active until 600
            0 cid enters => new place 3, waiting 1
            ann calls => noted
            bob calls => noted
            gala admits => turns ann bob, waiting cid
            ",
        );
        stage
    }

    pub(crate) fn lecture(mut self, name: &str, capacity: u32, starts_at: u32) -> Self {
        let (title, starts_at) = (name.into(), START.plus_seconds(starts_at));
        let new = lecture::Create { title, lecturer: None, starts_at, capacity, opens_at: None, closed: false };
        let Ok(Done::CreateLecture(lecture)) = self.world.one(AnyCommand::from(new)) else {
            unreachable!("a lecture can always be opened")
        };
        self.lectures.insert(name.to_owned(), lecture.id);
        self
    }

    /// Opens a concert, which the following lines mean where they name none.
    pub(crate) fn concert(mut self, name: &str, room: Settings) -> Self {
        let (title, venue, seats_per_user) = (name.into(), "hall".into(), concert::SEATS_PER_USER_DEFAULT);
        let seed = room.draw_at.map(|_| Seed::new([7; 32]));
        let open = concert::Create { title, venue, room, seed, notice: None, seats_per_user };
        let Ok(Done::CreateConcert(concert)) = self.world.one(AnyCommand::from(open)) else {
            unreachable!("a concert can always be opened")
        };
        self.concerts.insert(name.to_owned(), concert.id);
        self.concert = Some(concert.id);
        self
    }

    /// Adds a performance of the concert opened last, with sections of seats: from, to, price.
    pub(crate) fn performance(mut self, name: &str, starts_at: u32, sections: &[(u32, u32, i64)]) -> Self {
        let section =
            |(from, to, price): &(u32, u32, i64)| Section { from: *from, to: *to, grade: "R".into(), price: *price };
        let seating = Seating::new(sections.iter().map(section).collect()).expect("a sound seating");
        let concert = self.concert.expect("a concert was opened");
        let starts_at = START.plus_seconds(starts_at);
        let (layout, refund_policy) = (None, Policy::default());
        let schedule = concert::Schedule { concert, starts_at, seating, layout, closed: false, refund_policy };
        let Ok(Done::Schedule(performance)) = self.world.one(AnyCommand::from(schedule)) else {
            unreachable!("a concert takes performances")
        };
        self.performances.insert(name.to_owned(), performance.id);
        self
    }

    /// Adds a performance of the concert opened last, with a layout.
    pub(crate) fn laid_out(mut self, name: &str, starts_at: u32, plan: &[PlannedSection]) -> Self {
        let (layout, seating) = Layout::plan(plan).expect("a sound layout");
        let (concert, starts_at) = (self.concert.expect("a concert was opened"), START.plus_seconds(starts_at));
        let (layout, refund_policy) = (Some(Arc::new(layout)), Policy::default());
        let schedule = concert::Schedule { concert, starts_at, seating, layout, closed: false, refund_policy };
        let Ok(Done::Schedule(performance)) = self.world.one(AnyCommand::from(schedule)) else {
            unreachable!("a concert takes performances")
        };
        self.performances.insert(name.to_owned(), performance.id);
        self
    }

    /// Plays a script; panics at the first line with another outcome.
    #[track_caller]
    pub(crate) fn play(&mut self, script: &str) {
        let lines: Vec<Line<'_>> = script.lines().filter(|line| !line.trim().is_empty()).map(Line::parse).collect();
        for batch in lines.chunk_by(|_, next| next.follows) {
            let outcomes = self.perform(batch);
            for (line, outcome) in batch.iter().zip(outcomes) {
                // What two plays have in common is compared by their tables.
                let expected = if line.outcome == "…" { &outcome } else { line.outcome };
                assert_eq!(outcome, expected, "of the line: {}", line.text.trim());
            }
        }
    }

    fn perform(&mut self, batch: &[Line<'_>]) -> Vec<String> {
        if let Some(at) = batch[0].at {
            self.world.now = at;
        }
        if let [line] = batch
            && let Some(seen) = self.look(line)
        {
            return vec![seen];
        }
        let commands: Vec<AnyCommand> = batch.iter().map(|line| self.command(line)).collect();
        let answers = self.world.run(&commands);
        batch.iter().zip(&answers).for_each(|(line, answer)| self.remember(line, answer));
        batch.iter().zip(&answers).map(|(line, answer)| self.say(line, answer)).collect()
    }

    /// Notes tokens and reservations under their names.
    fn remember(&mut self, line: &Line<'_>, answer: &Answer) {
        match answer {
            Ok(Done::Enter(Entered { token, is_new })) => {
                let tokens = self.tokens.entry(line.actor.to_owned()).or_default();
                assert_eq!(tokens.contains(token), !is_new, "a new place has a new token, the same place the same");
                tokens.retain(|other| other != token);
                tokens.push(token.clone());
            }
            Ok(Done::Hold(Held { reservation, .. }) | Done::HoldAny(Held { reservation, .. })) => {
                if let Some(name) = line.option("as") {
                    self.reservations.insert(name.to_owned(), reservation.id);
                }
            }
            Ok(Done::Step(())) => {
                let concert = self.concerts.get(line.actor).copied();
                self.signs.retain(|(token, _)| Some(token.concert) != concert);
            }
            _ => {}
        }
    }

    /// The token that an actor shows.
    pub(crate) fn token(&self, actor: &str) -> Token {
        let (name, nth) = actor.split_once('#').map_or((actor, None), |(name, nth)| (name, nth.parse().ok()));
        let tokens = self.tokens.get(name).map_or(&[][..], |tokens| tokens);
        let token = nth.map_or(tokens.last(), |nth: usize| tokens.get(nth - 1));
        token.cloned().expect("the actor has entered")
    }

    /// The user whom a name means.
    pub(crate) fn user(actor: &str) -> UserId {
        UserId::parse(actor).expect("a name is a user id")
    }
}

impl<'a> Line<'a> {
    fn parse(text: &'a str) -> Self {
        let (said, outcome) = text.split_once("=>").expect("a line has an outcome after `=>`");
        let mut words = said.split_whitespace().peekable();
        let follows = words.next_if_eq(&"&").is_some();
        let at = words.next_if(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(instant);
        assert!(!follows || at.is_none(), "a unit of work has one time: {text}");
        let actor = words.next().expect("a line has an actor");
        let verb = words.next().expect("a line has a verb");
        Self { text, follows, at, actor, verb, rest: words.collect(), outcome: outcome.trim() }
    }

    /// The word after a keyword.
    pub(super) fn option(&self, keyword: &str) -> Option<&'a str> {
        let at = self.rest.iter().position(|word| *word == keyword)?;
        self.rest.get(at + 1).copied()
    }

    /// The numbers before any keyword.
    pub(super) fn numbers(&self) -> Vec<i64> {
        self.rest.iter().map_while(|word| word.parse().ok()).collect()
    }

    /// The first word as an amount.
    pub(super) fn amount(&self) -> i64 {
        self.rest.first().and_then(|word| word.parse().ok()).expect("an amount")
    }
}

/// Seconds since the start, with up to three decimals.
fn instant(seconds: &str) -> Timestamp {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole: i64 = whole.parse().expect("seconds");
    let part: i64 = format!("{part:0<3}").parse().expect("milliseconds");
    START.plus_millis(whole * 1000 + part)
}
