//! Which lane a command waits in: commands that lock the same hot row wait together, where they make one batch.

use std::hash::{DefaultHasher, Hash, Hasher};

use onsale_domain::concert::{self, Target};
use onsale_domain::{Command, lecture, waiting_room};

/// A number that is equal for commands of one hot row; `None` where there is no such row.
pub(super) fn home_of(command: &Command) -> Option<u64> {
    match command {
        Command::Wallet(command) => Some(hash(command.user())),
        Command::Lecture(lecture::Command::Open(_)) => None,
        Command::Lecture(lecture::Command::Apply { lecture, .. } | lecture::Command::Cancel { lecture, .. }) => {
            Some(hash(lecture))
        }
        Command::Concert(command) => match command {
            concert::Command::Open { .. } => None,
            concert::Command::Schedule { concert, .. } => Some(hash(concert)),
            concert::Command::Hold(request) => match request.target {
                Target::Performance(performance) => Some(hash(performance)),
                Target::NoneOnDate | Target::SeveralOnDate => None,
            },
            concert::Command::Release { token, .. } => Some(hash(token.concert)),
            concert::Command::Expire { reservations } => reservations.first().map(hash),
        },
        Command::Payment(payment) => Some(hash(payment.token.concert)),
        Command::WaitingRoom(command) => Some(hash(match command {
            waiting_room::Command::Enter { concert, .. }
            | waiting_room::Command::Configure { concert, .. }
            | waiting_room::Command::HandOut { concert, .. } => concert,
            waiting_room::Command::Leave(token) => &token.concert,
            waiting_room::Command::Step(step) => &step.concert,
        })),
    }
}

fn hash(row: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    hasher.finish()
}
