//! The OpenAPI document, made of the handlers themselves.
//!
//! - The doc comment, the tag and the codes of a handler come from `#[operation]`, see [`About`].
//! - Each argument adds what it takes and what it refuses, see [`Input`].
//! - The return type adds statuses and bodies, see [`Output`].

mod document;
mod endpoint;
mod operation;
pub(crate) mod sample;
mod schemas;

pub(crate) use document::{OpenapiDocument, document};
pub(crate) use endpoint::{Endpoint, Input, Output};
pub(crate) use operation::{About, Content, Operation, Proof, Tag};
pub(crate) use sample::Sample;
