//! Presale codes: none is used above its limits, and each counts the uses that are stored.

use std::collections::BTreeMap;

use onsale_domain::concert::Status;
use onsale_domain::ids::UserId;
use onsale_domain::time::Timestamp;

use super::super::tables::Tables;

pub(super) fn audit(tables: &Tables, at: Timestamp) {
    for code in tables.codes.values() {
        let stored = tables.code_uses.iter().filter(|(_, id)| **id == code.id);
        let rows: Vec<_> = stored.map(|(id, _)| tables.reservation(*id).expect("a use has its reservation")).collect();
        assert_eq!(rows.len(), code.taken as usize, "a presale code counts its uses: {code:?}");
        let mut used: BTreeMap<&UserId, u32> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.status == Status::Paid || row.is_live(at)) {
            *used.entry(&row.user).or_default() += 1;
        }
        assert!(used.values().sum::<u32>() <= code.uses, "a presale code is used too often: {code:?}");
        assert!(used.values().all(|own| *own <= code.uses_per_user), "a user has a code too often: {code:?}");
    }
}
