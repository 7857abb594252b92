//! `#[derive(Body)]` and `#[derive(Parameters)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Fields, GenericArgument, Ident, LitStr, PathArguments, Type};

use crate::docs;

/// A field of a struct.
struct Field<'a> {
    ident: &'a Ident,
    /// The name that clients write.
    key: String,
    /// The type, without `Option`.
    kind: &'a Type,
    is_optional: bool,
    is_flat: bool,
    description: String,
}

/// The options in `#[serde(…)]` of a struct or a field.
#[derive(Default)]
struct Serde {
    is_camel: bool,
    is_flat: bool,
}

impl Serde {
    fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("flatten") {
                    found.is_flat = true;
                    return Ok(());
                }
                let value: LitStr = meta.value()?.parse()?;
                if meta.path.is_ident("rename_all") && value.value() == "camelCase" {
                    found.is_camel = true;
                    return Ok(());
                }
                Err(meta.error("only `rename_all = \"camelCase\"` and `flatten` are known here"))
            })?;
        }
        Ok(found)
    }
}

fn fields_of(item: &DeriveInput) -> syn::Result<Vec<Field<'_>>> {
    let Data::Struct(data) = &item.data else {
        return Err(syn::Error::new_spanned(item, "only a struct can be read field by field"));
    };
    let Fields::Named(named) = &data.fields else {
        return Err(syn::Error::new_spanned(item, "the fields need names"));
    };
    let is_camel = Serde::read(&item.attrs)?.is_camel;
    let mut fields = Vec::new();
    for field in &named.named {
        let Some(ident) = &field.ident else { continue };
        let name = ident.to_string();
        let (kind, is_optional) = match within_option(&field.ty) {
            Some(kind) => (kind, true),
            None => (&field.ty, false),
        };
        let paragraphs = docs::paragraphs(&field.attrs).join(" ");
        fields.push(Field {
            ident,
            key: if is_camel { docs::camel_case(&name) } else { name },
            kind,
            is_optional,
            is_flat: Serde::read(&field.attrs)?.is_flat,
            description: docs::without_stop(&paragraphs).to_owned(),
        });
    }
    Ok(fields)
}

/// `T` of an `Option<T>`.
fn within_option(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
            Some(GenericArgument::Type(inner)) => Some(inner),
            _ => None,
        },
        _ => None,
    }
}

/// Reads a JSON object into the struct.
pub(crate) fn body(item: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &item.ident;
    let fields = fields_of(item)?;
    let reads = fields.iter().map(|Field { ident, key, kind, is_optional, is_flat, .. }| {
        if *is_flat {
            quote!(let #ident = <#kind as crate::http::input::Body>::read(fields);)
        } else if *is_optional {
            quote!(let #ident = <#kind as crate::http::input::Member>::take(fields, #key);)
        } else {
            quote!(let #ident = <#kind as crate::http::input::Member>::require(fields, #key);)
        }
    });
    let values = values(&fields);
    Ok(quote! {
        impl crate::http::input::Body for #name {
            fn read(fields: &mut crate::http::input::Fields<'_>) -> Option<Self> {
                #(#reads)*
                Some(Self { #(#values),* })
            }
        }

        impl crate::http::input::Member for #name {
            fn take(fields: &mut crate::http::input::Fields<'_>, name: &str) -> Option<Self> {
                fields.object(name, <Self as crate::http::input::Body>::read).flatten()
            }
        }
    })
}

/// Reads a query into the struct, and describes its parameters.
pub(crate) fn parameters(item: &DeriveInput) -> syn::Result<TokenStream> {
    let name = &item.ident;
    let fields = fields_of(item)?;
    let reads = fields.iter().map(|Field { ident, key, kind, is_optional, .. }| {
        if *is_optional {
            quote!(let #ident = query.optional::<#kind>(#key);)
        } else {
            quote!(let #ident = query.required::<#kind>(#key);)
        }
    });
    let described = fields.iter().map(|Field { key, kind, is_optional, description, .. }| {
        quote!(operation.query::<#kind>(#key, !#is_optional, #description);)
    });
    let values = values(&fields);
    Ok(quote! {
        impl crate::http::input::Parameters for #name {
            fn read(query: &mut crate::http::input::RawQuery) -> Option<Self> {
                #(#reads)*
                Some(Self { #(#values),* })
            }

            fn describe(operation: &mut crate::http::openapi::Operation) {
                #(#described)*
            }
        }
    })
}

/// The fields of the struct that is built: a required one without a value ends the building.
fn values(fields: &[Field<'_>]) -> Vec<TokenStream> {
    let value = |Field { ident, is_optional, .. }: &Field<'_>| {
        if *is_optional { quote!(#ident) } else { quote!(#ident: #ident?) }
    };
    fields.iter().map(value).collect()
}
