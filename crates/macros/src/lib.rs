//! Macros of the HTTP layer (`server/src/http`). They read what stands at a handler or a struct, so that it need not be
//! written a second time for the OpenAPI document.
//!
//! - [`operation`] turns the doc comment of a handler into its summary and description.
//! - [`Body`] reads a JSON object into the struct that documents it.
//! - [`Parameters`] reads a query into the struct that documents it.

mod docs;
mod fields;
mod operation;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Describes a handler: `#[operation(tag = Payments, returns = "The payment", codes(PaymentNotFound))]`.
///
/// The handler stays as it is. The macro adds a constant `ABOUT`, which `router.rs` reads as
/// `payment::get_payment::ABOUT`.
///
/// - The first paragraph of the doc comment is the summary, the rest is the description.
/// - The name of the function in camel case is the `operationId`.
/// - `tag` is a variant of `openapi::Tag`.
/// - `returns` describes the successful answer. Its status and body are those of the return type.
/// - `codes` lists variants of `Code` that only this handler answers. Each extractor adds its own.
/// - `example` replaces the example of the successful answer, which is the sample of its body otherwise.
#[proc_macro_attribute]
pub fn operation(arguments: TokenStream, handler: TokenStream) -> TokenStream {
    let handler = parse_macro_input!(handler as ItemFn);
    operation::expand(arguments.into(), &handler).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Reads a JSON object field by field, in the order of the struct. All errors are collected.
///
/// - An `Option` may be absent; any other field is required.
/// - `#[serde(rename_all = "camelCase")]` and `#[serde(flatten)]` mean what they mean to serde.
#[proc_macro_derive(Body, attributes(serde))]
pub fn body(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    fields::body(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Reads a query parameter by parameter, in the order of the struct. The doc comment of a field is the description of
/// the parameter.
#[proc_macro_derive(Parameters, attributes(serde))]
pub fn parameters(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    fields::parameters(&item).unwrap_or_else(syn::Error::into_compile_error).into()
}
