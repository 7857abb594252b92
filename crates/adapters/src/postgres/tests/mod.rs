//! Checks of the statements themselves, which index finds the rows and which shard they lie in, and of the steps of the schema.

mod migrations;
mod plans;
mod shards;
