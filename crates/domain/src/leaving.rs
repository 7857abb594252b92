//! Leaving a waiting room: one decision gives the place up and the held seats back.

use crate::concert::{self, Ending};
use crate::rows::{Keys, Rows};
use crate::waiting_room::{self, Stage, Token};
use crate::{Command, Context, Refusal};

/// Gives a place up, and with it the seats that are still held. Leaving twice, or after the end, changes nothing.
#[derive(Clone, Debug)]
pub struct Leave(pub Token);

impl Command for Leave {
    type Output = ();

    fn needs(&self, keys: &mut Keys) {
        let Self(token) = self;
        token.needs(keys);
        keys.rooms.insert(token.concert);
        keys.places.insert((token.concert, token.place));
        keys.entrants.insert((token.concert, token.user.clone()));
        keys.holdings.insert((token.concert, token.user.clone()));
    }

    fn decide(&self, rows: &mut Rows, cx: &mut Context<'_>) -> Result<(), Refusal> {
        let Self(token) = self;
        if waiting_room::stage(rows, token) == Stage::Drawn {
            return Err(Refusal::Drawn);
        }
        // A user who leaves at the closing is on the list.
        waiting_room::reach(rows, token.concert, cx.at);
        match waiting_room::stage(rows, token) {
            Stage::Over | Stage::Drawn => {}
            Stage::Listed => waiting_room::leave_list(rows, token, cx.at),
            Stage::Waiting => waiting_room::give_up(rows, token, cx.at),
            Stage::Admitted => {
                let held: Vec<_> = rows.live_holds(token.concert, &token.user, cx.at).map(|hold| hold.id).collect();
                for hold in held {
                    concert::end_hold(hold, Ending::Released, rows, cx);
                }
                waiting_room::end_and_admit(rows, token, cx.at);
            }
        }
        Ok(())
    }
}
