//! What an administrator does: makes lectures, concerts and performances, and steers waiting rooms.

pub(crate) mod adjustment;
pub(crate) mod applicant;
pub(crate) mod attendees;
pub(crate) mod block;
pub(crate) mod cancellation;
pub(crate) mod change;
pub(crate) mod check_in;
pub(crate) mod code;
pub(crate) mod concert;
pub(crate) mod concert_figures;
pub(crate) mod figures;
pub(crate) mod hold;
pub(crate) mod key;
mod layout;
pub(crate) mod lecture;
pub(crate) mod live;
pub(crate) mod log;
pub(crate) mod performance;
mod prices;
pub(crate) mod refund;
pub(crate) mod seats;
pub(crate) mod user;
pub(crate) mod waiting_room;
