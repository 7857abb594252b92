//! Rules that keep the code and the documents readable: sizes, dependencies between crates, language.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot continue fails at once")]

mod edges;
mod language;
mod links;
mod manifests;
mod sizes;
mod sources;
mod tables;
mod talk;
mod walks;
mod weeks;
