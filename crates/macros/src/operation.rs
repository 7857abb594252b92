//! `#[operation]`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, ItemFn, LitStr, Token, parenthesized};

use crate::docs;

/// What stands in the parentheses of the attribute.
#[derive(Default)]
struct Arguments {
    tag: Option<Ident>,
    returns: Option<LitStr>,
    codes: Vec<Ident>,
    example: Option<Expr>,
}

impl Arguments {
    fn read(tokens: TokenStream) -> syn::Result<Self> {
        let mut arguments = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("tag") {
                arguments.tag = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("returns") {
                arguments.returns = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("example") {
                arguments.example = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("codes") {
                let codes;
                parenthesized!(codes in meta.input);
                arguments.codes = Punctuated::<Ident, Token![,]>::parse_terminated(&codes)?.into_iter().collect();
            } else {
                return Err(meta.error("unknown: expected `tag`, `returns`, `codes` or `example`"));
            }
            Ok(())
        });
        parser.parse2(tokens)?;
        Ok(arguments)
    }
}

/// The handler and, beside it, what is said of it.
pub(crate) fn expand(arguments: TokenStream, handler: &ItemFn) -> syn::Result<TokenStream> {
    let Arguments { tag, returns, codes, example } = Arguments::read(arguments)?;
    let missing = |what| syn::Error::new(Span::call_site(), format!("`{what}` is missing"));
    let tag = tag.ok_or_else(|| missing("tag"))?;
    let returns = returns.ok_or_else(|| missing("returns"))?;
    let paragraphs = docs::paragraphs(&handler.attrs);
    let Some((summary, description)) = paragraphs.split_first() else {
        let message = "a handler needs a doc comment: its first paragraph is the summary in the OpenAPI document";
        return Err(syn::Error::new_spanned(&handler.sig.ident, message));
    };
    let summary = docs::without_stop(summary);
    let description = description.join("\n\n");
    let (name, visibility) = (&handler.sig.ident, &handler.vis);
    let id = docs::camel_case(&name.to_string());
    let example = match example {
        Some(example) => quote!(Some(|| #example)),
        None => quote!(None),
    };
    // A struct with braces has a name among types alone, so it may be called as the handler is.
    Ok(quote! {
        #handler

        #[allow(non_camel_case_types, dead_code, reason = "named as its handler; holds a constant alone")]
        #visibility struct #name {}

        impl #name {
            #visibility const ABOUT: crate::http::openapi::About = crate::http::openapi::About {
                id: #id,
                tag: crate::http::openapi::Tag::#tag,
                summary: #summary,
                description: #description,
                returns: #returns,
                codes: &[#(crate::http::code::Code::#codes),*],
                example: #example,
            };
        }
    })
}
