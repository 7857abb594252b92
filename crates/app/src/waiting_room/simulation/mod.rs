//! Whole sales in virtual time: the rules of the room, the code that answers polls, and clients that follow `pollAfterSeconds`.
//!
//! Nothing here is random or measured: the same sale has the same end each time.

mod room;
mod sale;
mod scenes;

/// Evenly distributed bits, the same for the same number.
fn dice(number: u64) -> u64 {
    let mut bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
