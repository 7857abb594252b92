//! Staff: keys with roles, sessions that stand for keys, and the log of what their owners changed.

mod block_fields;
mod by_staff;
mod charge;
mod code_fields;
mod export;
mod fields;
mod key;
mod lecture_fields;
mod log;
mod refund_fields;
mod role;
mod session;
mod ticket_fields;

pub use by_staff::{ByStaff, Call, Logged};
pub use charge::{ChargeByStaff, ChargedByStaff, EXTERNAL_ID_MAX, ExternalCharge};
pub use export::{Export, NoteExport};
pub use key::{Changes, CreateKey, DeleteKey, Directory, KEY_NAME_MAX, KEYS_MAX, Key, NoteUses, ROOT};
pub use log::{Action, Actor, Fields, LogEntry, Subject, Value};
pub use role::{Right, Role};
pub use session::{SESSION_SECONDS, Session, SessionHash, SignIn, SignOut};
