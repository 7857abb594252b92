//! What people may do next, in terms of what they know: the tokens and reservations that they were given.

use crate::support::mixed::AnyCommand;
use onsale_domain::concert::{self, Hold, HoldAny, Sale, Target, Wish};
use onsale_domain::ids::{ConcertId, LectureId, PaymentId, PerformanceId, ReservationId, UserId};
use onsale_domain::refund::{Policy, RefundByStaff, RefundSeats, Rule};
use onsale_domain::waiting_room::{self, Patch, Settings, Step, Token};
use onsale_domain::{cancellation, lecture, payment, wallet};

use super::offer::offer_command;
use crate::support::{Stage, Tables, World, retry_of, step_of};

/// An act of one of a few people. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Charge(usize, i64),
    Use(usize, i64),
    /// A user and a lecture, and whether the user would wait.
    Apply(usize, usize, bool),
    Cancel(usize, usize),
    /// A new capacity of a lecture; `None` moves it to another second instead.
    ChangeLecture(usize, Option<u32>, u32),
    CloseLecture(usize, bool),
    OpenLecture(usize, Option<u32>),
    EndLecture(usize),
    EmptyLecture(usize),
    Remove(usize, usize),
    Promote(usize),
    Enter(usize, usize),
    Leave(usize),
    Hold {
        token: usize,
        target: usize,
        seats: Vec<i64>,
    },
    HoldAny {
        token: usize,
        target: usize,
        count: u32,
        is_graded: bool,
    },
    Release {
        token: usize,
        reservation: usize,
    },
    Pay {
        token: usize,
        reservation: usize,
    },
    Expire(Vec<usize>),
    /// The places with turns that are seen, claimed and due: one bit per place in each mask.
    Step {
        room: usize,
        seen: u8,
        claimed: u8,
        due: u8,
    },
    Configure(usize, Patch),
    /// A performance, or 3 for a concert and 4 for another.
    Extend(usize, u32),
    Rewrite(usize),
    Close(usize, bool),
    /// Bounds of a sale, in seconds after the start of the story, and the limit of seats for one user.
    Sell {
        room: usize,
        from: Option<u32>,
        to: Option<u32>,
        limit: Option<u32>,
    },
    ClosePerformance(usize, bool),
    /// The seats of the last payments that were made, as bits; no bit names none. With a fee in percent by staff.
    Refund {
        payment: usize,
        seats: u8,
        fee: Option<i64>,
    },
    Adjust(usize, i64),
    /// The number of a performance.
    Drop(usize),
    /// A performance, the process, and how many seats; 0 for a try of the failed refunds.
    Settle(usize, i64, usize),
    /// A performance and seats to block, or to unblock.
    Block(usize, Vec<i64>),
    Unblock(usize, Vec<i64>),
    /// A performance and its new start, in seconds.
    Move(usize, u32),
    /// A performance and a grade with its new price.
    Price(usize, &'static str, i64),
    /// A performance, and the first and the last of its new seats.
    AddSeats(usize, u32, u32),
    /// A performance and the rules of its policy, in hours and percents.
    Allow(usize, Vec<(u32, u32)>),
}

pub(super) const USERS: [&str; 4] = ["ann", "bob", "cid", "dan"];

/// So few counters, calls and seconds that every bound is met again and again.
pub(super) const ROOM: Settings = Settings {
    max_active: 3,
    admit_per_second: 2,
    active_seconds: 5,
    claim_seconds: 1,
    paused: false,
    sale: NO_HOURS,
    early_from: None,
    draw_at: None,
};

const NO_HOURS: Sale = Sale { closed: false, opens_at: None, closes_at: None, codes_until: None };

/// Two lectures, two concerts, three performances (the second starts at second 5), and some points for each user.
pub(super) fn opened() -> World {
    let gala = Stage::empty().lecture("rust", 2, 86_400).lecture("sql", 3, 3).concert("gala", ROOM);
    let gala = gala.performance("eve", 86_400, &[(1, 3, 500), (5, 8, 700)]).performance("matinee", 5, &[(1, 6, 100)]);
    let mut world = gala.concert("rock", ROOM).performance("gig", 86_400, &[(1, 4, 0)]).world;
    world.hold_seconds = 4;
    let charge = |user: &str| AnyCommand::from(wallet::Charge { user: Stage::user(user), amount: 2_000 });
    world.run(&USERS.map(charge));
    world
}

/// The commands of the people of one test.
pub(super) struct People {
    pub(super) tokens: Vec<Token>,
    lectures: Vec<LectureId>,
    concerts: Vec<ConcertId>,
}

impl People {
    pub(super) fn before(tables: &Tables) -> Self {
        let concerts = tables.rooms.keys().copied().chain([ConcertId::new(uuid::Uuid::nil())]).collect();
        let lectures = tables.lectures.keys().copied().chain([LectureId::new(uuid::Uuid::nil())]).collect();
        Self { tokens: Vec::new(), lectures, concerts }
    }

    /// The command for an act; `None` if no user has a token for it.
    pub(super) fn command(&self, op: &Op, tables: &Tables) -> Option<AnyCommand> {
        Some(match op {
            Op::Charge(user, amount) => AnyCommand::from(wallet::Charge { user: name(*user), amount: *amount }),
            Op::Use(user, amount) => AnyCommand::from(wallet::Use { user: name(*user), amount: *amount }),
            Op::Apply(user, lecture, waitlist) => {
                let (user, lecture) = (name(*user), *pick(&self.lectures, *lecture));
                lecture::Apply { user, lecture, waitlist: *waitlist }.into()
            }
            Op::Cancel(user, lecture) => {
                AnyCommand::from(lecture::Cancel { user: name(*user), lecture: *pick(&self.lectures, *lecture) })
            }
            Op::ChangeLecture(..)
            | Op::CloseLecture(..)
            | Op::OpenLecture(..)
            | Op::EndLecture(_)
            | Op::EmptyLecture(_)
            | Op::Remove(..)
            | Op::Promote(_) => self.lecture_command(op)?,
            Op::Hold { token, target, seats } => {
                let token = self.token(*token)?;
                let target = target_for(&token, *target, tables);
                let request = Hold { token, target, dates: None, seats: seats.clone().into(), code: None };
                AnyCommand::from(request)
            }
            Op::HoldAny { token, target, count, is_graded } => {
                let token = self.token(*token)?;
                let target = target_for(&token, *target, tables);
                let wish = Wish { count: *count, section: None, grade: is_graded.then(|| "S".into()) };
                AnyCommand::from(HoldAny { token, target, dates: None, wish, code: None })
            }
            Op::Release { token, reservation } => {
                let token = self.token(*token)?;
                let reservation = reservation_for(&token, *reservation, tables);
                AnyCommand::from(concert::Release { token, reservation })
            }
            Op::Pay { token, reservation } => {
                let token = self.token(*token)?;
                let reservation = reservation_for(&token, *reservation, tables);
                AnyCommand::from(payment::Pay { token, reservation })
            }
            Op::Expire(picks) => {
                let all: Vec<ReservationId> = tables.reservations.keys().rev().copied().collect();
                let reservations = picks.iter().filter_map(|pick| all.get(*pick).copied()).collect();
                AnyCommand::from(concert::Expire { reservations })
            }
            Op::Extend(..) | Op::Rewrite(_) | Op::Close(..) | Op::Sell { .. } | Op::ClosePerformance(..) => {
                self.admin_command(op, tables)?
            }
            Op::Drop(which) => {
                cancellation::Cancel { performance: nth_performance(tables, *which), reason: "ill".into() }.into()
            }
            Op::Settle(which, holder, limit) => {
                settle_command(tables, nth_performance(tables, *which), *holder, *limit)?
            }
            Op::Block(..) | Op::Unblock(..) | Op::Move(..) | Op::Price(..) | Op::AddSeats(..) => {
                offer_command(op, tables)?
            }
            Op::Refund { .. } | Op::Adjust(..) | Op::Allow(..) => refund_command(op, tables)?,
            Op::Enter(..) | Op::Leave(_) | Op::Step { .. } | Op::Configure(..) => self.room_command(op, tables)?,
        })
    }

    fn lecture_command(&self, op: &Op) -> Option<AnyCommand> {
        let change =
            |which: usize, change| lecture::ChangeLecture { lecture: *pick(&self.lectures, which), change }.into();
        let nothing = lecture::Change::default;
        let second = |second| crate::support::START.plus_seconds(second);
        Some(match *op {
            Op::ChangeLecture(which, capacity, start) => {
                let starts_at = capacity.is_none().then(|| second(start));
                change(which, lecture::Change { capacity, starts_at, ..nothing() })
            }
            Op::CloseLecture(which, closed) => change(which, lecture::Change { closed: Some(closed), ..nothing() }),
            Op::OpenLecture(which, opens) => {
                change(which, lecture::Change { opens_at: Some(opens.map(second)), ..nothing() })
            }
            Op::EndLecture(which) => {
                lecture::CancelLecture { lecture: *pick(&self.lectures, which), reason: "ill".into() }.into()
            }
            Op::Promote(which) => lecture::PromoteWaiting { lecture: *pick(&self.lectures, which) }.into(),
            Op::EmptyLecture(which) => lecture::CancelApplications { lecture: *pick(&self.lectures, which) }.into(),
            Op::Remove(user, which) => {
                lecture::RemoveApplication { lecture: *pick(&self.lectures, which), user: name(user) }.into()
            }
            _ => return None,
        })
    }

    fn admin_command(&self, op: &Op, tables: &Tables) -> Option<AnyCommand> {
        let performances: Vec<PerformanceId> = tables.performances.keys().copied().collect();
        Some(match op {
            Op::Extend(which, seconds) => {
                let performance = performances.get(*which).copied();
                let of_performance = performance.and_then(|id| tables.performances.get(&id)).map(|row| row.concert);
                let concert = of_performance.unwrap_or(*pick(&self.concerts, *which));
                concert::Extend { concert, performance, seconds: *seconds, reason: "late".into() }.into()
            }
            Op::Rewrite(which) => {
                let performance = *pick(&performances, *which);
                let own = tables.reservations.values().filter(|row| row.performance == performance);
                let reservations = own.map(|row| row.id).collect();
                concert::Rewrite { performance, reservations, done_to: None }.into()
            }
            Op::Close(room, closed) => {
                concert::Change { closed: Some(*closed), ..concert::Change::of(*pick(&self.concerts, *room)) }.into()
            }
            Op::Sell { room, from, to, limit } => {
                // Seconds from now on, or none beyond the tenth.
                let bound = |seconds: &u32| (*seconds < 10).then(|| crate::support::START.plus_seconds(*seconds));
                let (opens_at, closes_at) = (from.as_ref().map(bound), to.as_ref().map(bound));
                let change = concert::Change::of(*pick(&self.concerts, *room));
                concert::Change { opens_at, closes_at, seats_per_user: *limit, ..change }.into()
            }
            Op::ClosePerformance(which, closed) => {
                let performance = *pick(&performances, *which);
                concert::ChangePerformance { closed: Some(*closed), ..concert::ChangePerformance::of(performance) }
                    .into()
            }
            _ => return None,
        })
    }

    fn room_command(&self, op: &Op, tables: &Tables) -> Option<AnyCommand> {
        Some(match op {
            Op::Enter(user, room) => waiting_room::Enter {
                concert: *pick(&self.concerts, *room),
                user: name(*user),
                pass: None,
                ended: None,
            }
            .into(),
            Op::Leave(token) => onsale_domain::leaving::Leave(self.token(*token)?).into(),
            Op::Step { room, seen, claimed, due } => {
                let concert = *pick(&self.concerts, *room);
                let turns: Vec<u64> = Tables::in_room(&tables.turns, concert).map(|(place, _)| place).collect();
                let chosen = |bits: u8| {
                    let chosen = turns.iter().enumerate().filter(move |(index, _)| bits >> (index % 8) & 1 == 1);
                    chosen.map(|(_, place)| *place)
                };
                let now = tables.rooms.get(&concert).map_or(crate::support::START, |room| room.updated_at);
                let seen = chosen(*seen).map(|place| (place, now)).collect();
                let (claimed, due) = (chosen(*claimed).collect(), chosen(*due).collect());
                Step { seen, claimed, due, ..Step::of(concert) }.into()
            }
            Op::Configure(room, patch) => waiting_room::Configure {
                concert: *pick(&self.concerts, *room),
                patch: *patch,
                draw: waiting_room::DrawPatch::default(),
            }
            .into(),
            _ => return None,
        })
    }

    /// A token: 0 is the last one issued, 1 the one before it.
    fn token(&self, back: usize) -> Option<Token> {
        let last = self.tokens.len().checked_sub(1)?;
        Some(self.tokens[last - back % self.tokens.len()].clone())
    }
}

fn name(user: usize) -> UserId {
    Stage::user(USERS[user])
}

pub(super) fn pick<T>(items: &[T], index: usize) -> &T {
    &items[index % items.len()]
}

/// Mostly a performance of the token's concert; sometimes another's, an unknown one, or none that is clear.
fn target_for(token: &Token, target: usize, tables: &Tables) -> Target {
    let own = tables.performances.values().filter(|performance| performance.concert == token.concert);
    let own: Vec<PerformanceId> = own.map(|performance| performance.id).collect();
    match target {
        0..4 => Target::Performance(*pick(&own, target / 2)),
        4 => Target::NoneOnDate,
        5 => Target::SeveralOnDate,
        6 => Target::Performance(PerformanceId::new(uuid::Uuid::nil())),
        _ => tables
            .performances
            .keys()
            .copied()
            .find(|id| !own.contains(id))
            .map_or(Target::NoneOnDate, Target::Performance),
    }
}

/// The performance of this number, or one that does not exist.
fn nth_performance(tables: &Tables, number: usize) -> PerformanceId {
    tables.performances.keys().nth(number).copied().unwrap_or(PerformanceId::new(uuid::Uuid::nil()))
}

/// A step of a cancellation. A process reads what is left once it knows the cancellation.
fn settle_command(tables: &Tables, performance: PerformanceId, holder: i64, limit: usize) -> Option<AnyCommand> {
    let after = tables.cancellations.get(&performance)?.progress.settled_to;
    Some(match limit {
        0 => retry_of(tables, performance, holder).into(),
        _ => step_of(tables, performance, holder, (after, limit)).into(),
    })
}

/// A refund of one of the last payments, or another act that makes points and policies change.
fn refund_command(op: &Op, tables: &Tables) -> Option<AnyCommand> {
    Some(match op {
        Op::Refund { payment, seats, fee } => {
            let paid = tables.payments.iter().rev().nth(*payment);
            let unknown = uuid::Uuid::nil();
            let (id, reservation, performance, user) = paid.map_or_else(
                || (PaymentId::new(unknown), ReservationId::new(unknown), PerformanceId::new(unknown), name(0)),
                |paid| (paid.id, paid.reservation, paid.performance, paid.user.clone()),
            );
            let own = paid.map_or(&[][..], |paid| &paid.seats[..]).iter().copied().map(i64::from).chain([99]);
            let named = own.enumerate().filter(|(index, _)| seats >> (index % 8) & 1 == 1).map(|(_, seat)| seat);
            let named: Vec<i64> = named.collect();
            let seats = (!named.is_empty()).then(|| named.into());
            let refund = RefundSeats { payment: id, reservation, performance, user, seats };
            match *fee {
                None => refund.into(),
                Some(fee) => RefundByStaff { refund, fee, reason: "moved".into() }.into(),
            }
        }
        Op::Adjust(user, amount) => {
            wallet::Adjust { user: name(*user), amount: *amount, reason: "counted wrongly".into() }.into()
        }
        Op::Allow(which, rules) => {
            let performances: Vec<PerformanceId> = tables.performances.keys().copied().collect();
            let rule = |(hours_before, fee_percent): &(u32, u32)| Rule {
                hours_before: *hours_before,
                fee_percent: *fee_percent,
            };
            let policy = Policy::new(rules.iter().map(rule).collect()).ok()?;
            let performance = *pick(&performances, *which);
            concert::ChangePerformance { refund_policy: Some(policy), ..concert::ChangePerformance::of(performance) }
                .into()
        }
        _ => return None,
    })
}

/// Mostly one of the token's user, the last first; sometimes another user's.
fn reservation_for(token: &Token, back: usize, tables: &Tables) -> ReservationId {
    let own = |id: &&ReservationId| back % 4 == 3 || tables.reservations[id].user == token.user;
    let known: Vec<&ReservationId> = tables.reservations.keys().rev().filter(own).collect();
    known.get(back / 4).map_or(ReservationId::new(uuid::Uuid::nil()), |id| **id)
}
