//! A command in a lane, together with the channel to its caller. The result keeps its type from the decision to the
//! caller, so no caller has to handle the result of another command.

use std::sync::Arc;

use onsale_domain::ids::UserId;
use onsale_domain::rows::Keys;
use onsale_domain::staff::{self, ByStaff};
use onsale_domain::{
    Command, cancellation, concert, lecture, payment, presale, refund, seat_list, session, ticket, waiting_room, wallet,
};
use tokio::sync::oneshot;

use super::batch::Decider;
use super::command::DeskCommand;
use super::{Failure, KeyedAnswer, Outcome};
use crate::idempotency::Keyed;
use crate::store::locks::Table;

/// Writes an outcome as the bytes that an idempotency key keeps.
pub(super) type Encode<C> = Box<dyn Fn(&Outcome<C>) -> Arc<[u8]> + Send>;

/// What a lane does with a job, whatever its command is.
pub(super) trait LaneJob {
    /// Adds the rows that the command needs.
    fn needs(&self, keys: &mut Keys);

    /// The idempotency key, if the request has one.
    fn key(&self) -> Option<&Keyed>;

    /// The tables that the command reads or writes, without that of the kept answers.
    fn tables(&self) -> &'static [Table];

    /// See [`DeskCommand::IS_BY_STAFF`].
    fn is_by_staff(&self) -> bool;

    /// See [`DeskCommand::wallet`].
    fn wallet(&self) -> Option<&UserId>;

    /// Whether the caller does not wait any longer.
    fn is_abandoned(&self) -> bool;

    /// Decides the command and notes the result. [`Job::send`] sends it once it is durable; if the save fails, a later
    /// decision or failure replaces it.
    fn decide(&mut self, decider: &mut Decider<'_>);

    /// Replaces the result by a failure.
    fn fail(&mut self, failure: Failure);
}

/// A command and the channel to its caller.
pub struct Pending<C: Command> {
    command: C,
    reply: Reply<C>,
}

/// Both variants hold the result until it is durable: `Err(Unavailable)` as long as nothing is decided.
enum Reply<C: Command> {
    Plain {
        result: Result<Outcome<C>, Failure>,
        caller: oneshot::Sender<Result<Outcome<C>, Failure>>,
    },
    Keyed {
        key: Keyed,
        encode: Encode<C>,
        is_turn_over: bool,
        result: Result<KeyedAnswer, Failure>,
        caller: oneshot::Sender<Result<KeyedAnswer, Failure>>,
    },
}

impl<C: DeskCommand> Pending<C> {
    /// A command without an idempotency key.
    pub(super) fn plain(command: C) -> (Self, oneshot::Receiver<Result<Outcome<C>, Failure>>) {
        let (caller, receiver) = oneshot::channel();
        (Self { command, reply: Reply::Plain { result: Err(Failure::Unavailable), caller } }, receiver)
    }

    /// A command under an idempotency key.
    pub(super) fn keyed(
        command: C,
        key: Keyed,
        is_turn_over: bool,
        encode: Encode<C>,
    ) -> (Self, oneshot::Receiver<Result<KeyedAnswer, Failure>>) {
        let (caller, receiver) = oneshot::channel();
        let result = Err(Failure::Unavailable);
        (Self { command, reply: Reply::Keyed { key, encode, is_turn_over, result, caller } }, receiver)
    }

    /// Sends the result. A caller that has gone away gets nothing, which is no fault.
    fn send(self) {
        match self.reply {
            Reply::Plain { result, caller } => {
                let _ = caller.send(result);
            }
            Reply::Keyed { result, caller, .. } => {
                let _ = caller.send(result);
            }
        }
    }
}

impl<C: DeskCommand> LaneJob for Pending<C> {
    fn needs(&self, keys: &mut Keys) {
        self.command.needs(keys);
    }

    fn key(&self) -> Option<&Keyed> {
        match &self.reply {
            Reply::Plain { .. } => None,
            Reply::Keyed { key, .. } => Some(key),
        }
    }

    fn tables(&self) -> &'static [Table] {
        C::TABLES
    }

    fn is_by_staff(&self) -> bool {
        C::IS_BY_STAFF
    }

    fn wallet(&self) -> Option<&UserId> {
        self.command.wallet()
    }

    fn is_abandoned(&self) -> bool {
        match &self.reply {
            Reply::Plain { caller, .. } => caller.is_closed(),
            Reply::Keyed { caller, .. } => caller.is_closed(),
        }
    }

    fn decide(&mut self, decider: &mut Decider<'_>) {
        match &mut self.reply {
            Reply::Plain { result, .. } => *result = Ok(decider.decide(&self.command)),
            Reply::Keyed { key, encode, is_turn_over, result, .. } => {
                *result = Ok(decider.decide_once(&self.command, key, *is_turn_over, encode));
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        match &mut self.reply {
            Reply::Plain { result, .. } => *result = Err(failure),
            Reply::Keyed { result, .. } => *result = Err(failure),
        }
    }
}

/// Work of the desk itself: drops a few kept answers that are too old.
pub struct ForgetAnswers {
    result: Result<(), Failure>,
    caller: oneshot::Sender<Result<(), Failure>>,
}

impl ForgetAnswers {
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<(), Failure>>) {
        let (caller, receiver) = oneshot::channel();
        (Self { result: Err(Failure::Unavailable), caller }, receiver)
    }

    fn send(self) {
        let _ = self.caller.send(self.result);
    }
}

impl LaneJob for ForgetAnswers {
    fn needs(&self, _: &mut Keys) {}

    fn key(&self) -> Option<&Keyed> {
        None
    }

    fn tables(&self) -> &'static [Table] {
        &[Table::KeptAnswers, Table::Turns, Table::TurnEnds]
    }

    fn is_by_staff(&self) -> bool {
        false
    }

    fn wallet(&self) -> Option<&UserId> {
        None
    }

    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn decide(&mut self, decider: &mut Decider<'_>) {
        decider.forget_answers();
        self.result = Ok(());
    }

    fn fail(&mut self, failure: Failure) {
        self.result = Err(failure);
    }
}

/// A command that has a variant in [`Job`].
pub trait IntoJob: Command + Sized {
    /// The variant of this command.
    fn into_job(pending: Pending<Self>) -> Job;
}

/// Declares [`Job`]: one variant for each command, and how a lane reaches what is in it.
macro_rules! jobs {
    ($($name:ident($command:ty)),+ $(,)?) => {
        /// One job of a lane. An enum and not a `Box<dyn LaneJob>`, which would cost an allocation for each command.
        pub enum Job {
            $(#[doc = concat!("See [`", stringify!($command), "`].")] $name(Pending<$command>),)+
            /// See [`ForgetAnswers`].
            ForgetAnswers(ForgetAnswers),
        }

        $(impl IntoJob for $command {
            fn into_job(pending: Pending<Self>) -> Job {
                Job::$name(pending)
            }
        })+

        impl Job {
            pub(super) fn get(&self) -> &dyn LaneJob {
                match self { $(Self::$name(job) => job,)+ Self::ForgetAnswers(job) => job }
            }

            pub(super) fn get_mut(&mut self) -> &mut dyn LaneJob {
                match self { $(Self::$name(job) => job,)+ Self::ForgetAnswers(job) => job }
            }

            /// Sends the result to the caller.
            pub(super) fn send(self) {
                match self { $(Self::$name(job) => job.send(),)+ Self::ForgetAnswers(job) => job.send() }
            }
        }
    };
}

jobs! {
    Charge(wallet::Charge),
    Use(wallet::Use),
    CreateLecture(lecture::Create),
    Apply(lecture::Apply),
    Cancel(lecture::Cancel),
    ChangeLecture(lecture::ChangeLecture),
    CancelLecture(lecture::CancelLecture),
    CancelApplications(lecture::CancelApplications),
    RemoveApplication(lecture::RemoveApplication),
    PromoteWaiting(lecture::PromoteWaiting),
    CreateConcert(concert::Create),
    Schedule(concert::Schedule),
    ChangeConcert(concert::Change),
    CreateCodes(presale::CreateCodes),
    DeleteCode(presale::DeleteCode),
    ChangePerformance(concert::ChangePerformance),
    AddSeats(concert::AddSeats),
    Block(concert::Block),
    Unblock(concert::Unblock),
    Extend(concert::Extend),
    Rewrite(concert::Rewrite),
    Hold(concert::Hold),
    HoldAny(concert::HoldAny),
    Release(concert::Release),
    Expire(concert::Expire),
    JoinSeatList(seat_list::Join),
    LeaveSeatList(seat_list::Leave),
    OfferSeats(seat_list::OfferSeats),
    Pay(payment::Pay),
    Refund(refund::RefundSeats),
    RefundByStaff(refund::RefundByStaff),
    CancelPerformance(cancellation::Cancel),
    StepOfCancellation(cancellation::Step),
    Adjust(wallet::Adjust),
    Reissue(ticket::Reissue),
    Scan(ticket::Scan),
    Scans(ticket::Scans),
    UndoCheckIn(ticket::Undo),
    Enter(waiting_room::Enter),
    Leave(onsale_domain::leaving::Leave),
    Step(waiting_room::Step),
    Configure(waiting_room::Configure),
    PutBack(waiting_room::PutBack),
    NoteList(waiting_room::NoteList),
    PutBeacon(waiting_room::PutBeacon),
    StoreDraw(waiting_room::StoreDraw),
    HandOut(waiting_room::HandOut),
    CreateKey(staff::CreateKey),
    DeleteKey(staff::DeleteKey),
    NoteUses(staff::NoteUses),
    NoteExport(staff::NoteExport),
    ExportByStaff(ByStaff<staff::NoteExport>),
    EndSession(session::EndSession),
    SignIn(staff::SignIn),
    SignOut(staff::SignOut),
    SignInByStaff(ByStaff<staff::SignIn>),
    SignOutByStaff(ByStaff<staff::SignOut>),
    ChargeByStaff(staff::ChargeByStaff),
    ChargedByStaff(ByStaff<staff::ChargeByStaff>),
    KeyByStaff(ByStaff<staff::CreateKey>),
    KeyEndByStaff(ByStaff<staff::DeleteKey>),
    LectureByStaff(ByStaff<lecture::Create>),
    LectureChangeByStaff(ByStaff<lecture::ChangeLecture>),
    LectureEndByStaff(ByStaff<lecture::CancelLecture>),
    RemovalByStaff(ByStaff<lecture::RemoveApplication>),
    ConcertByStaff(ByStaff<concert::Create>),
    ConcertChangeByStaff(ByStaff<concert::Change>),
    CodesByStaff(ByStaff<presale::CreateCodes>),
    CodeEndByStaff(ByStaff<presale::DeleteCode>),
    PerformanceByStaff(ByStaff<concert::Schedule>),
    PerformanceChangeByStaff(ByStaff<concert::ChangePerformance>),
    SeatsByStaff(ByStaff<concert::AddSeats>),
    BlockByStaff(ByStaff<concert::Block>),
    UnblockByStaff(ByStaff<concert::Unblock>),
    RefundLogged(ByStaff<refund::RefundByStaff>),
    CancellationByStaff(ByStaff<cancellation::Cancel>),
    AdjustmentByStaff(ByStaff<wallet::Adjust>),
    UndoByStaff(ByStaff<ticket::Undo>),
    ExtensionByStaff(ByStaff<concert::Extend>),
    SettingsByStaff(ByStaff<waiting_room::Configure>),
    BeaconByStaff(ByStaff<waiting_room::PutBeacon>),
}
