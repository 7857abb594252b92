//! The technologies behind onsale's ports. One folder for each technology. Both databases use the same file names for each
//! context. `copy` moves a sale from one database to another.

pub mod copy;
pub mod files;
pub mod kafka;
mod open_seats;
pub mod postgres;
mod private;
pub mod redis;
pub mod sqlite;
mod stored;
mod stored_draw;
mod stored_layout;
mod stored_room;
pub mod webhook;
