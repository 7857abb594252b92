//! Checks of the statements themselves: which index finds the rows, and which shard they lie in.

mod plans;
mod shards;
