//! The words of scripts: the commands and the looks.
//!
//! Commands: `ann charges 1000`, `ann uses 300`, `ann applies rust [waitlist]`, `ann cancels rust`, `staff promotes rust`, `ann enters [gala]`,
//! `ann leaves`, `ann holds 1 2 [in eve] [as x]`, `ann releases x`, `ann pays x`, `sweeper expires x y`,
//! `eve extends 60`, `gala extends 60`, `eve rewrites x y`, `gala closes`, `gala opens`, `eve closes`, `eve opens`,
//! `ann refunds x [1 2]`, `staff refunds x [1 2] [fee 100]`, `ann adjusts -100`, `eve allows 72/20 0/90`, `eve allows none`,
//! `eve drops` (is cancelled), `eve settles [3] [after 0] [by 2]` (the next seats of a cancellation, by a process),
//! `eve retries [by 2]`, `gala announces hello`, `gala announces nothing`, `gala sells from 100 to 200 limit 2 as title` (`from none`: no bound),
//! `eve blocks 1 2`, `eve unblocks 1`, `eve moves 60` (to this second),
//! `eve prices R=500`, `eve adds 11 20 31 40 S=300` (seats 11 to 20 and 31 to 40), `eve fills 9` (with 9 sections),
//! `ann takes 2 [of R] [section A] [in eve]` (the best available), `ann holds 1 in eve on 0 60` (if it starts from second 0 and before second 60),
//! `ann holds 1 in none seen 2/5` (if her concert has 2 performances, with revisions of 5 together),
//! `gala codes FAN uses 2 each 1 from 10 to 20`, `gala voids FAN`, `ann holds 1 with FAN`, `ann enters with FAN`,
//! `gala sells codes 100` (the presale ends at second 100),
//! `gala steps` (all turns may be over), `gala admits` (none is), `gala ends ann` (a payment of hers may end her turn), `gala sets max 2 rate 1 turn 600 claim 60 paused yes`.
//!
//! Looks: `ann polls`, `ann calls` (a sign for the next step of her room), `ann is`, `gala shows`, `eve reports`,
//! `log lists`.

use std::sync::Arc;

use crate::support::mixed::AnyCommand;
use onsale_domain::cancellation::{self, Cancelled};
use onsale_domain::concert::{self, Dates, Hold, Notice, Target, Wish};
use onsale_domain::event::{Event, Happening};
use onsale_domain::ids::{ConcertId, LectureId, PaymentId, PerformanceId, ReservationId};
use onsale_domain::refund::{self, Policy, Rule};
use onsale_domain::waiting_room::{self, Order, Patch, Step};
use onsale_domain::{lecture, payment, presale, wallet};

use super::cancelled::report;
use super::stage::{Line, Sign};
use super::{START, Stage, Tables};

/// An id that nothing has, for names that nothing goes by.
const UNKNOWN: uuid::Uuid = uuid::Uuid::nil();

impl Stage {
    /// The command that a line asks for.
    pub(super) fn command(&self, line: &Line<'_>) -> AnyCommand {
        let token = || self.token(line.actor);
        match line.verb {
            "charges" | "uses" | "adjusts" => wallet_command(line),
            "refunds" => self.refund_command(line),
            "applies" | "cancels" | "changes" | "empties" | "removes" | "promotes" => self.lecture_command(line),
            "ends" if line.actor == "staff" => self.lecture_command(line),
            "holds" => AnyCommand::from(self.hold_request(line)),
            "takes" => {
                let Hold { token, target, dates, code, .. } = self.hold_request(line);
                let (section, grade) = (line.option("section").map(Into::into), line.option("of").map(Into::into));
                let count = u32::try_from(line.amount()).expect("a count");
                let wish = Wish { count, section, grade };
                AnyCommand::from(concert::HoldAny { token, target, dates, wish, code })
            }
            "releases" => {
                AnyCommand::from(concert::Release { token: token(), reservation: self.reservation(line.rest[0]) })
            }
            "expires" => {
                let reservations = line.rest.iter().map(|name| self.reservation(name)).collect();
                AnyCommand::from(concert::Expire { reservations })
            }
            "pays" => AnyCommand::from(payment::Pay { token: token(), reservation: self.reservation(line.rest[0]) }),
            _ => self.room_command(line),
        }
    }

    fn lecture_command(&self, line: &Line<'_>) -> AnyCommand {
        let user = Self::user(line.actor);
        let lecture = self.lectures.get(line.rest[0]).copied().unwrap_or(LectureId::new(UNKNOWN));
        match line.verb {
            "applies" => lecture::Apply { user, lecture, waitlist: line.rest.get(1) == Some(&"waitlist") }.into(),
            "promotes" => lecture::PromoteWaiting { lecture }.into(),
            "changes" => lecture::ChangeLecture { lecture, change: lecture_change(line) }.into(),
            "ends" => lecture::CancelLecture { lecture, reason: "ill".into() }.into(),
            "empties" => lecture::CancelApplications { lecture }.into(),
            "removes" => lecture::RemoveApplication { lecture, user: Self::user(line.rest[1]) }.into(),
            _ => lecture::Cancel { user, lecture }.into(),
        }
    }

    /// Of the payment of a reservation. The member of the staff is `staff`.
    fn refund_command(&self, line: &Line<'_>) -> AnyCommand {
        let reservation = self.reservation(line.rest[0]);
        let paid = self.world.tables.payments.iter().find(|payment| payment.reservation == reservation);
        let (payment, performance, user) = paid.map_or_else(
            || (PaymentId::new(UNKNOWN), PerformanceId::new(UNKNOWN), Self::user(line.actor)),
            |payment| (payment.id, payment.performance, payment.user.clone()),
        );
        let seats: Vec<i64> = line.rest[1..].iter().map_while(|word| word.parse().ok()).collect();
        let seats = (!seats.is_empty()).then(|| seats.into());
        let refund = refund::RefundSeats { payment, reservation, performance, user, seats };
        if line.actor != "staff" {
            return refund.into();
        }
        let fee = line.option("fee").map_or(0, |fee| fee.parse().expect("a fee"));
        refund::RefundByStaff { refund, fee, reason: "moved".into() }.into()
    }

    fn hold_request(&self, line: &Line<'_>) -> Hold {
        let target = match line.option("in").unwrap_or("eve") {
            "several" => Target::SeveralOnDate,
            "none" => Target::NoneOnDate,
            name => {
                let known = self.performances.get(name).copied().unwrap_or(PerformanceId::new(UNKNOWN));
                match line.rest.iter().position(|word| *word == "on") {
                    None => Target::Performance(known),
                    Some(at) => {
                        let bound = |index: usize| line.rest[index].parse().expect("seconds");
                        let (from, until) = (START.plus_seconds(bound(at + 1)), START.plus_seconds(bound(at + 2)));
                        Target::Dated(known, from, until)
                    }
                }
            }
        };
        let dates = line.option("seen").map(|seen| {
            let (performances, revisions) = seen.split_once('/').expect("two numbers");
            let number = |text: &str| text.parse().expect("a number");
            Dates { performances: number(performances), revisions: number(revisions) }
        });
        Hold {
            token: self.token(line.actor),
            target,
            dates,
            seats: line.numbers().into(),
            code: line.option("with").map(Into::into),
        }
    }

    fn room_command(&self, line: &Line<'_>) -> AnyCommand {
        match line.verb {
            "extends" => concert::Extend {
                concert: self.concerts.get(line.actor).copied().or(self.concert).expect("a concert"),
                performance: (!self.concerts.contains_key(line.actor)).then(|| self.performance_of(line.actor)),
                seconds: u32::try_from(line.amount()).expect("seconds"),
                reason: "an outage".into(),
            }
            .into(),
            "rewrites" => concert::Rewrite {
                performance: self.performance_of(line.actor),
                reservations: line.rest.iter().map(|name| self.reservation(name)).collect(),
                done_to: None,
            }
            .into(),
            "closes" | "opens" => {
                let closed = Some(line.verb == "closes");
                match self.concerts.get(line.actor) {
                    Some(concert) => concert::Change { closed, ..concert::Change::of(*concert) }.into(),
                    None => {
                        let performance = self.performance_of(line.actor);
                        concert::ChangePerformance { closed, ..concert::ChangePerformance::of(performance) }.into()
                    }
                }
            }
            "allows" => {
                let performance = self.performance_of(line.actor);
                let refund_policy = Some(policy(&line.rest));
                concert::ChangePerformance { refund_policy, ..concert::ChangePerformance::of(performance) }.into()
            }
            "drops" => {
                cancellation::Cancel { performance: self.performance_of(line.actor), reason: "ill".into() }.into()
            }
            "settles" | "retries" => self.step_of_cancellation(line).into(),
            "announces" => {
                let text = line.rest.join(" ");
                let notice = (text != "nothing").then(|| Arc::new(Notice { ko: None, en: Some(text.into()) }));
                concert::Change { notice: Some(notice), ..concert::Change::of(self.concert_of(line.actor)) }.into()
            }
            "sells" => self.sale_change(line).into(),
            "blocks" | "unblocks" | "moves" | "prices" | "adds" | "fills" | "seats" => self.offer_command(line),
            "enters" => {
                let named = line.rest.first().filter(|word| **word != "with");
                let concert = named.map_or(self.concert.expect("a concert"), |name| self.concert_of(name));
                let (user, now) = (Self::user(line.actor), self.world.now);
                let pass = line.option("with").map(|text| {
                    let standing = self.world.tables.code_standing(&(concert, text.into()), &user, now);
                    presale::check_entry(standing.as_ref(), &user, now)
                });
                waiting_room::Enter { concert, user, pass, ended: None }.into()
            }
            "codes" => self.new_code(line).into(),
            "voids" => presale::DeleteCode { concert: self.concert_of(line.actor), text: line.rest[0].into() }.into(),
            "leaves" => onsale_domain::leaving::Leave(self.token(line.actor)).into(),
            "steps" | "admits" | "ends" => self.step(line).into(),
            "sets" => waiting_room::Configure {
                concert: self.concert_of(line.actor),
                patch: patch(line),
                draw: waiting_room::DrawPatch::default(),
            }
            .into(),
            verb => unreachable!("no script has the verb {verb}"),
        }
    }

    fn sale_change(&self, line: &Line<'_>) -> concert::Change {
        let bound = |keyword| line.option(keyword).map(|word| word.parse().ok().map(|at| START.plus_seconds(at)));
        let (opens_at, closes_at, codes_until) = (bound("from"), bound("to"), bound("codes"));
        let seats_per_user = line.option("limit").and_then(|word| word.parse().ok());
        let title = line.option("as").map(Into::into);
        let change = concert::Change::of(self.concert_of(line.actor));
        concert::Change { title, opens_at, closes_at, codes_until, seats_per_user, ..change }
    }

    fn new_code(&self, line: &Line<'_>) -> presale::CreateCodes {
        let number = |keyword| line.option(keyword).and_then(|word| word.parse().ok());
        let code = presale::NewCode {
            text: line.rest.first().map(|word| (*word).into()),
            uses: number("uses").unwrap_or(1),
            uses_per_user: number("each").unwrap_or(1),
            from: number("from").map(|second| START.plus_seconds(second)),
            until: number("to").map(|second| START.plus_seconds(second)),
        };
        presale::CreateCodes { concert: self.concert_of(line.actor), codes: vec![code] }
    }

    fn step(&self, line: &Line<'_>) -> Step {
        let concert = self.concert_of(line.actor);
        let turns = Tables::in_room(&self.world.tables.turns, concert).map(|(place, _)| place);
        let due = if line.verb == "steps" { turns.collect() } else { Vec::new() };
        let paid = line.rest.iter().map(|name| self.token(name).place).collect();
        let mut step = Step { due, paid, ..Step::of(concert) };
        for (token, sign) in self.signs.iter().filter(|(token, _)| token.concert == concert) {
            match sign {
                Sign::Seen(at) => step.seen.push((token.place, *at)),
                Sign::Claimed => step.claimed.push(token.place),
            }
        }
        step
    }

    /// The outcome of a line that changes nothing; `None` if the line is a command.
    pub(super) fn look(&mut self, line: &Line<'_>) -> Option<String> {
        Some(match line.verb {
            "polls" => self.sign(line, Sign::Seen(self.world.now)),
            "calls" => self.sign(line, Sign::Claimed),
            "is" => self.standing_of(&self.token(line.actor)),
            "shows" => {
                let room = &self.world.tables.rooms[&self.concert_of(line.actor)];
                let (issued, served, given_up, active) = (room.issued, room.served, room.given_up, room.active);
                format!("issued {issued}, served {served}, given up {given_up}, active {active}")
            }
            "reports" => {
                let id = self.performance_of(line.actor);
                let (known, own) = (&self.world.tables.cancellations[&id], &self.world.tables.performances[&id]);
                report(&Cancelled::known(known.clone(), own.open_payments, own.refunded))
            }
            "lists" => {
                let events = &self.world.tables.events[self.listed..];
                // Each refunded seat has one, in the order of the refund: the audit checks them.
                let is_ticket = |event: &&Event| matches!(event.happening, Happening::TicketVoided { .. });
                let events = events.iter().filter(|event| !is_ticket(event));
                let listed: Vec<String> = events.map(|event| self.tell(&event.happening)).collect();
                self.listed = self.world.tables.events.len();
                listed.join("; ")
            }
            _ => return None,
        })
    }

    fn sign(&mut self, line: &Line<'_>, sign: Sign) -> String {
        self.signs.push((self.token(line.actor), sign));
        "noted".to_owned()
    }

    fn reservation(&self, name: &str) -> ReservationId {
        self.reservations.get(name).copied().unwrap_or(ReservationId::new(UNKNOWN))
    }

    pub(super) fn performance_of(&self, name: &str) -> PerformanceId {
        self.performances.get(name).copied().unwrap_or(PerformanceId::new(UNKNOWN))
    }

    pub(super) fn concert_of(&self, name: &str) -> ConcertId {
        self.concerts.get(name).copied().unwrap_or(ConcertId::new(UNKNOWN))
    }
}

fn wallet_command(line: &Line<'_>) -> AnyCommand {
    let (user, amount) = (Stage::user(line.actor), line.amount());
    match line.verb {
        "charges" => wallet::Charge { user, amount }.into(),
        "adjusts" => wallet::Adjust { user, amount, reason: "counted wrongly".into() }.into(),
        _ => wallet::Use { user, amount }.into(),
    }
}

/// `capacity`, `start`, `opens` (a second, or `any`), `closed` and `title`, each with its new value.
fn lecture_change(line: &Line<'_>) -> lecture::Change {
    let number = |keyword| line.option(keyword).and_then(|word| word.parse::<u32>().ok());
    lecture::Change {
        title: line.option("title").map(Into::into),
        lecturer: None,
        starts_at: number("start").map(|second| START.plus_seconds(second)),
        capacity: number("capacity"),
        opens_at: line.option("opens").map(|_| number("opens").map(|second| START.plus_seconds(second))),
        closed: line.option("closed").map(|word| word == "yes"),
    }
}

/// Rules as hours and percents; none for any other word.
fn policy(words: &[&str]) -> Policy {
    let rule = |word: &&str| {
        let (hours, percent) = word.split_once('/')?;
        Some(Rule { hours_before: hours.parse().ok()?, fee_percent: percent.parse().ok()? })
    };
    Policy::new(words.iter().filter_map(rule).collect()).expect("a policy")
}

fn patch(line: &Line<'_>) -> Patch {
    let number = |keyword| line.option(keyword).and_then(|word| word.parse().ok());
    Patch {
        max_active: number("max"),
        admit_per_second: number("rate"),
        active_seconds: number("turn"),
        claim_seconds: number("claim"),
        paused: line.option("paused").map(|word| word == "yes"),
        early_from: line.option("early").map(|word| word.parse().ok().map(|at| START.plus_seconds(at))),
        order: line.option("order").map(|word| if word == "draw" { Order::Draw } else { Order::Arrival }),
        draw_at: line.option("draws").and_then(|word| word.parse().ok()).map(|at| START.plus_seconds(at)),
    }
}
