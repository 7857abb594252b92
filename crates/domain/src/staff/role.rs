//! Roles of staff: who may call what.

/// What the owner of a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs everything, keys of staff included.
    Owner,
    /// Runs the sale: everything but keys, corrections of wallets, and charging.
    Organiser,
    /// Helps buyers: all reads but keys, refunds, corrections of wallets.
    Support,
    /// Admits visitors at the door: lists of attendees and check-in, no other read.
    Door,
    /// Sells points: charging only.
    Cashier,
}

/// A kind of call that needs a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// Makes, lists and deletes keys of staff.
    ManageKeys,
    /// Makes and changes lectures, concerts, performances and rooms.
    RunSale,
    /// Reads what the calls of administrators show, except keys.
    ReadSale,
    /// Reads the data of any user.
    ReadUsers,
    /// Gives points back for seats that were paid.
    Refund,
    /// Adds points to a wallet or takes them, as a correction.
    Adjust,
    /// Reads lists of attendees.
    ReadAttendees,
    /// Checks attendees in at the door.
    CheckIn,
    /// Charges wallets of users (`ONSALE_CHARGE=staff`).
    Charge,
}

impl Role {
    /// All roles with their names.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Owner, "owner"),
        (Self::Organiser, "organiser"),
        (Self::Support, "support"),
        (Self::Door, "door"),
        (Self::Cashier, "cashier"),
    ];

    /// The name of the role, as clients write it.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    /// The role of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
    }

    /// Whether this role includes a right. This is the only table of roles.
    pub fn may(self, right: Right) -> bool {
        match self {
            Self::Owner => true,
            Self::Organiser => !matches!(right, Right::ManageKeys | Right::Adjust | Right::Charge),
            Self::Support => matches!(
                right,
                Right::ReadSale | Right::ReadUsers | Right::ReadAttendees | Right::Refund | Right::Adjust
            ),
            Self::Door => matches!(right, Right::ReadAttendees | Right::CheckIn),
            Self::Cashier => right == Right::Charge,
        }
    }
}

impl Right {
    /// All rights, each once.
    pub const ALL: [Self; 9] = [
        Self::ManageKeys,
        Self::RunSale,
        Self::ReadSale,
        Self::ReadUsers,
        Self::Refund,
        Self::Adjust,
        Self::ReadAttendees,
        Self::CheckIn,
        Self::Charge,
    ];

    /// The names of the roles that include this right.
    pub fn roles(self) -> impl Iterator<Item = &'static str> {
        Role::ALL.into_iter().filter(move |(role, _)| role.may(self)).map(|(_, name)| name)
    }
}
