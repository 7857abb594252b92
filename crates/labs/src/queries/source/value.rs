//! Evaluates the constants of the adapter: string literals, `concat!`, and the macros that the adapter defines itself.

use std::collections::HashMap;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The value of a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// One statement, or a part of one.
    Text(String),
    /// An array of statements.
    Texts(Vec<String>),
    /// An array of names of other constants, each with its module if the source names it.
    Names(Vec<(Option<String>, String)>),
}

/// A macro whose parameters are literals.
struct Macro {
    parameters: Vec<String>,
    body: TokenStream,
}

/// The macros of all files, by name.
#[derive(Default)]
pub(super) struct Macros(HashMap<String, Macro>);

/// The text of a string literal; `None` for another token.
pub(super) fn text_of(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    syn::parse_str::<syn::LitStr>(&literal.to_string()).ok().map(|literal| literal.value())
}

/// Whether a token is this punctuation mark.
pub(super) fn is_mark(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

/// The name in an identifier; `None` for another token.
pub(super) fn word_of(token: Option<&TokenTree>) -> Option<String> {
    if let Some(TokenTree::Ident(word)) = token { Some(word.to_string()) } else { None }
}

/// Whether a token can stand in the path before the name of a macro, as in `$crate::module::name!`.
fn is_of_path(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(_)) || [':', '$'].into_iter().any(|mark| is_mark(Some(token), mark))
}

/// A list between commas.
fn split(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    for token in tokens {
        match (is_mark(Some(&token), ','), parts.last_mut()) {
            (false, Some(last)) => last.push(token),
            _ => parts.push(Vec::new()),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

impl Macros {
    /// Adds the macros that these tokens define, at any depth. Of each only the first rule.
    pub(super) fn collect(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Group(group) = token else { continue };
            if at >= 3
                && word_of(tokens.get(at - 3)).as_deref() == Some("macro_rules")
                && let Some(name) = word_of(tokens.get(at - 1))
                && let Some(rule) = Macro::of(group.stream())
            {
                self.0.insert(name, rule);
            } else {
                self.collect(group.stream());
            }
        }
    }

    /// The value of an expression; `None` if it is none that statements are made of.
    pub(super) fn value(&self, tokens: &[TokenTree]) -> Option<Value> {
        match tokens {
            [literal @ TokenTree::Literal(_)] => text_of(literal).map(Value::Text),
            [mark @ TokenTree::Punct(_), rest @ ..] if is_mark(Some(mark), '&') => self.value(rest),
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Bracket => self.array(group),
            [path @ .., TokenTree::Ident(name), mark, TokenTree::Group(arguments)]
                if is_mark(Some(mark), '!') && path.iter().all(is_of_path) =>
            {
                self.call(&name.to_string(), arguments.stream())
            }
            _ => None,
        }
    }

    fn call(&self, name: &str, arguments: TokenStream) -> Option<Value> {
        let arguments = split(arguments);
        if name == "concat" {
            let parts = arguments.iter().map(|part| self.value(part));
            let parts = parts.map(|part| if let Some(Value::Text(text)) = part { Some(text) } else { None });
            return Some(Value::Text(parts.collect::<Option<String>>()?));
        }
        let called = self.0.get(name)?;
        let given = called.parameters.iter().map(String::as_str).zip(arguments.iter().map(Vec::as_slice)).collect();
        let body: Vec<TokenTree> = replaced(called.body.clone(), &given).into_iter().collect();
        self.value(&body)
    }

    fn array(&self, group: &Group) -> Option<Value> {
        let parts = split(group.stream());
        let texts = parts.iter().map(|part| match self.value(part) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        });
        if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
            return Some(Value::Texts(texts));
        }
        let mut names = Vec::new();
        for part in &parts {
            match self.value(part) {
                Some(Value::Names(inner)) => names.extend(inner),
                _ => names.push(path(part)?),
            }
        }
        Some(Value::Names(names))
    }
}

/// A path such as `NAME`, `module::NAME` or `NAME[1]`, as module and name.
fn path(tokens: &[TokenTree]) -> Option<(Option<String>, String)> {
    let words: Vec<String> = tokens.iter().filter_map(|token| word_of(Some(token))).collect();
    match &words[..] {
        [name] => Some((None, name.clone())),
        [.., module, name] => Some((Some(module.clone()), name.clone())),
        [] => None,
    }
}

impl Macro {
    fn of(rules: TokenStream) -> Option<Self> {
        let mut groups = rules.into_iter().filter_map(|token| match token {
            TokenTree::Group(group) => Some(group),
            _ => None,
        });
        let (pattern, body) = (groups.next()?, groups.next()?);
        let pattern: Vec<TokenTree> = pattern.stream().into_iter().collect();
        let named = pattern.iter().zip(pattern.iter().skip(1));
        let parameters = named.filter(|(mark, _)| is_mark(Some(mark), '$')).filter_map(|(_, name)| word_of(Some(name)));
        Some(Self { parameters: parameters.collect(), body: body.stream() })
    }
}

/// The body of a macro with its parameters replaced.
fn replaced(body: TokenStream, given: &HashMap<&str, &[TokenTree]>) -> TokenStream {
    let mut result = Vec::new();
    let mut tokens = body.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if is_mark(Some(&token), '$')
            && let Some(argument) = word_of(tokens.peek()).and_then(|name| given.get(name.as_str()))
        {
            tokens.next();
            result.extend(argument.iter().cloned());
        } else if let TokenTree::Group(group) = token {
            result.push(TokenTree::Group(Group::new(group.delimiter(), replaced(group.stream(), given))));
        } else {
            result.push(token);
        }
    }
    result.into_iter().collect()
}
