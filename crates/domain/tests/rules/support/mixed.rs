//! Commands of all kinds in one list, and their results: what tests that decide mixed batches need. The product keeps the
//! type of each result, and has no such sum. What staff do is decided as a command by staff. The conformance tests of the
//! stores use this file too.

use onsale_domain::rows::{Keys, Rows};
use onsale_domain::staff::{Actor, ByStaff, Call};
use onsale_domain::{
    Command, Context, Refusal, cancellation, concert, lecture, payment, presale, refund, seat_list, waiting_room,
    wallet,
};

macro_rules! mixed {
    ($($name:ident($command:ty) $(by $staff:ident)?),+ $(,)?) => {
        /// A command of any kind.
        #[derive(Clone, Debug)]
        pub(crate) enum AnyCommand {
            $($name($command)),+
        }

        /// The result of a command that was not refused. Each variant has the name of its command.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(clippy::large_enum_variant, reason = "a test has few results")]
        pub(crate) enum Done {
            $($name(<$command as Command>::Output)),+
        }

        $(impl From<$command> for AnyCommand {
            fn from(command: $command) -> Self {
                Self::$name(command)
            }
        })+

        impl AnyCommand {
            pub(crate) fn needs(&self, keys: &mut Keys) {
                match self { $(Self::$name(command) => command.needs(keys)),+ }
            }

            pub(crate) fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<Done, Refusal> {
                match self { $(Self::$name(command) => mixed!(@given command $($staff)?).decide(rows, cx).map(Done::$name)),+ }
            }
        }
    };
    (@given $command:ident) => { $command };
    (@given $command:ident staff) => { by(Actor::Root, $command.clone()) };
}

/// A command that this member of the staff gives.
pub(crate) fn by<C>(actor: Actor, command: C) -> ByStaff<C> {
    ByStaff { call: Box::new(Call { actor, request: "a-request".into() }), command }
}

mixed! {
    Charge(wallet::Charge),
    Use(wallet::Use),
    CreateLecture(lecture::Create) by staff,
    Apply(lecture::Apply),
    Cancel(lecture::Cancel),
    ChangeLecture(lecture::ChangeLecture) by staff,
    CancelLecture(lecture::CancelLecture) by staff,
    CancelApplications(lecture::CancelApplications),
    RemoveApplication(lecture::RemoveApplication) by staff,
    PromoteWaiting(lecture::PromoteWaiting),
    CreateConcert(concert::Create) by staff,
    Schedule(concert::Schedule) by staff,
    ChangeConcert(concert::Change) by staff,
    ChangePerformance(concert::ChangePerformance) by staff,
    AddSeats(concert::AddSeats) by staff,
    Block(concert::Block) by staff,
    Unblock(concert::Unblock) by staff,
    Extend(concert::Extend) by staff,
    Rewrite(concert::Rewrite),
    Hold(concert::Hold),
    HoldAny(concert::HoldAny),
    Release(concert::Release),
    Expire(concert::Expire),
    Pay(payment::Pay),
    RefundSeats(refund::RefundSeats),
    RefundByStaff(refund::RefundByStaff) by staff,
    CancelPerformance(cancellation::Cancel) by staff,
    StepOfCancellation(cancellation::Step),
    Adjust(wallet::Adjust) by staff,
    Enter(waiting_room::Enter),
    Leave(onsale_domain::leaving::Leave),
    Step(waiting_room::Step),
    Configure(waiting_room::Configure) by staff,
    HandOut(waiting_room::HandOut),
    PutBack(waiting_room::PutBack),
    NoteList(waiting_room::NoteList),
    PutBeacon(waiting_room::PutBeacon) by staff,
    StoreDraw(waiting_room::StoreDraw),
    JoinSeatList(seat_list::Join),
    LeaveSeatList(seat_list::Leave),
    OfferSeats(seat_list::OfferSeats),
    CreateCodes(presale::CreateCodes) by staff,
    DeleteCode(presale::DeleteCode) by staff,
}
