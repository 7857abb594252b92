//! Commands of all kinds in one list, and their results: what tests that decide mixed batches need. The product keeps the
//! type of each result, and has no such sum. The conformance tests of the stores use this file too.

use onsale_domain::rows::{Keys, Rows};
use onsale_domain::{Command, Context, Refusal, concert, lecture, payment, waiting_room, wallet};

macro_rules! mixed {
    ($($name:ident($command:ty)),+ $(,)?) => {
        /// A command of any kind.
        #[derive(Clone, Debug)]
        pub(crate) enum AnyCommand {
            $($name($command)),+
        }

        /// The result of a command that was not refused. Each variant has the name of its command.
        #[derive(Clone, Debug, PartialEq, Eq)]
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
                match self { $(Self::$name(command) => command.decide(rows, cx).map(Done::$name)),+ }
            }
        }
    };
}

mixed! {
    Charge(wallet::Charge),
    Use(wallet::Use),
    CreateLecture(lecture::Create),
    Apply(lecture::Apply),
    Cancel(lecture::Cancel),
    CreateConcert(concert::Create),
    Schedule(concert::Schedule),
    ChangeConcert(concert::Change),
    ChangePerformance(concert::ChangePerformance),
    Extend(concert::Extend),
    Rewrite(concert::Rewrite),
    Hold(concert::Hold),
    Release(concert::Release),
    Expire(concert::Expire),
    Pay(payment::Pay),
    Enter(waiting_room::Enter),
    Leave(onsale_domain::leaving::Leave),
    Step(waiting_room::Step),
    Configure(waiting_room::Configure),
    HandOut(waiting_room::HandOut),
}
