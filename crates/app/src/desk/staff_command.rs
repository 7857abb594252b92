//! What the desk knows of commands by staff, and of those about keys and sessions, also of users.

use onsale_domain::ids::UserId;
use onsale_domain::session;
use onsale_domain::staff::{self, ByStaff, Logged};

use super::command::{DeskCommand, hash};
use super::job::IntoJob;
use crate::store::locks::Table::{
    self, Accounts, AdminLog, EndedSessions, Events, ExternalCharges, Ledger, StaffKeys, StaffSessions,
};

/// The tables that a command by staff needs beside its own.
pub(super) const OF_STAFF: &[Table] = &[StaffKeys, AdminLog];

impl<C: DeskCommand + Logged> DeskCommand for ByStaff<C>
where
    Self: IntoJob,
{
    const TABLES: &'static [Table] = C::TABLES;

    const IS_BY_STAFF: bool = true;

    fn hot_row(&self) -> Option<u64> {
        self.command.hot_row()
    }

    fn wallet(&self) -> Option<&UserId> {
        self.command.wallet()
    }
}

impl DeskCommand for staff::CreateKey {
    const TABLES: &'static [Table] = &[StaffKeys];

    fn hot_row(&self) -> Option<u64> {
        Some(hash("staff"))
    }
}

impl DeskCommand for staff::DeleteKey {
    const TABLES: &'static [Table] = &[StaffKeys];

    fn hot_row(&self) -> Option<u64> {
        Some(hash("staff"))
    }
}

impl DeskCommand for staff::ChargeByStaff {
    const TABLES: &'static [Table] = &[Accounts, Ledger, Events, ExternalCharges];

    fn hot_row(&self) -> Option<u64> {
        Some(hash(&self.user))
    }

    fn wallet(&self) -> Option<&UserId> {
        Some(&self.user)
    }
}

impl DeskCommand for staff::SignIn {
    const TABLES: &'static [Table] = &[StaffSessions];

    fn hot_row(&self) -> Option<u64> {
        None
    }
}

impl DeskCommand for staff::SignOut {
    const TABLES: &'static [Table] = &[StaffSessions];

    fn hot_row(&self) -> Option<u64> {
        None
    }
}

impl DeskCommand for session::EndSession {
    const TABLES: &'static [Table] = &[EndedSessions];

    fn hot_row(&self) -> Option<u64> {
        // The numbers of ends are given under one lock.
        Some(hash("ended sessions"))
    }
}

impl DeskCommand for staff::NoteExport {
    const TABLES: &'static [Table] = &[];

    fn hot_row(&self) -> Option<u64> {
        None
    }
}

impl DeskCommand for staff::NoteUses {
    const TABLES: &'static [Table] = &[StaffKeys];

    fn hot_row(&self) -> Option<u64> {
        None
    }
}
