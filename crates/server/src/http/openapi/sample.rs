//! Examples in the document: one for each body, and the ids that they share.

use serde_json::{Value, json};

/// A body with an example.
pub(crate) trait Sample {
    fn sample() -> Value;
}

impl<T: Sample> Sample for Vec<T> {
    fn sample() -> Value {
        json!([T::sample()])
    }
}

pub(crate) const CONCERT: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
pub(crate) const PERFORMANCE: &str = "019ab3c0-7a11-7c0a-8e21-51d3a7be9f02";
pub(crate) const RESERVATION: &str = "019ab3c0-9b02-7e6f-a1c3-7d0e5f2a4b03";
pub(crate) const PAYMENT: &str = "019ab3c0-a4c7-7b1d-b2d4-0c9e8f7a6b04";
pub(crate) const REFUND: &str = "019ab3c0-d2fa-7e6f-a7b9-4f5a6b7c8d0a";
pub(crate) const TOKEN: &str = "019ab3c0-8d33-7f2b-93e5-6a5b4c3d2e05";
pub(crate) const TICKET: &str = "019ab3c0-a4c7-7000-8f4a-2b6c8d0e1f0b";
pub(crate) const CHECK_IN: &str = "019ab3c0-e30b-7f70-87ca-5a6b7c8d9e0c";
pub(crate) const CODE: &str = "T1.AT-aHAcBmrPApMdwAI9KK2yNDh8LAZqzwHoRfAqOIVHTp76fAgAAAAdoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
pub(crate) const LECTURE: &str = "019ab3c0-6c55-7a3c-84f6-1b2c3d4e5f06";
pub(crate) const ENTRY: &str = "019ab3c0-b0d8-7c4d-95a7-2c3d4e5f6a07";
pub(crate) const KEY: &str = "019ab3c0-5d44-7b2c-a3f5-4d5e6f7a8b08";
pub(crate) const LOG: &str = "019ab3c0-c1e9-7d5e-b6a8-3e4f5a6b7c09";
pub(crate) const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6InF1ZXVlK2p3dCJ9.eyJwbGFjZSI6M30.c2lnbmF0dXJl";
