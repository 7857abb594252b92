//! Words and phrases that no source and no document uses, with what to write in their place.

/// What a phrase is searched in.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum In {
    /// Comments, texts, names of functions and documents.
    Prose,
    /// Prose and all other names of Rust code, with spaces for underscores.
    Names,
}

/// A regular expression, what it is searched in, and what to write in its place.
pub(crate) type Banned = (&'static str, In, &'static str);

const ACTOR: &str = "name the actor: a client, a visitor, an operator, an instance, a thread, the database";
const OTHERS: &str = "say which: other instances, other clients, the other rows";
const IF: &str = "`if` or `when`; `where` is for places";
const VERB: &str = "the verb of the field: returns, fails with, reads, checks, reports, refreshes, requests";
const PLAIN: &str = "plain words: a number with its unit, `while`, `recently`, `later`, `without effect`";

#[rustfmt::skip]
pub(crate) const BANNED: &[Banned] = &[
    (r"(?i)\b(who(m|so)?ever|nobody|somebody|everybody|anybody|someone|everyone|anyone|no one)\b", In::Names, ACTOR),
    (r"\bWho (acts|asks|buys|came|comes|does|ends|enters|fails|goes|had|has|holds|knew|knows|leaves|pays|polls|stands|takes|waits|wants|was)\b", In::Prose, ACTOR),
    (r"(?i)\b(what|of|than|as|from|by|for|to|with|like|and|or|which|that|some|so|many) others\b", In::Prose, OTHERS),
    (r"\bOthers\b", In::Prose, OTHERS),
    (r"\bWhere (the|it|that|no|an?|there|they|this|these|those|one|none|nothing|neither|all|both|only|such)\b", In::Prose, IF),
    (r"\bwhere (it|that|this|he|one) (can|could|cannot|does|did|has|had|fails|failed|would|may|must)\b", In::Prose, IF),
    (r"\bwhere (it|that|this) (is|was) (not|no|none|one|known|missing|empty|absent|present|wanted|needed)\b", In::Prose, IF),
    (r"\bwhere (there (is|are|was|were)|none|nothing|no [a-z]+|not)\b", In::Prose, IF),
    (r"(?i)\b(is|are|was|were|be|been|being) asked\b", In::Names, VERB),
    (r"(?i)\b(says|tells|told|hears|heard)\b", In::Prose, VERB),
    (r"(?i)\blook(s|ed|ing)? at\b", In::Names, VERB),
    (r"(?i)\bstir(s|red|ring)?\b", In::Names, VERB),
    (r"(?im)\b(takes|took|taken) in($|[.,;:]| (what|is|are|and|all)\b)", In::Prose, VERB),
    (r"(?i)\b(in vain|so many|by and by|of late)\b", In::Names, PLAIN),
    (r"(?im)\bso (long|much)($|[.,;:)]| (as|after|without|for|before|in|of|is|to|a|the)\b)", In::Prose, PLAIN),
    (r"\bBeside\b|\bbeside (that|what)\b", In::Prose, "`in addition to`, `besides`, `next to`"),
    (r"\bWhich (of|share|one)\b[^.?]*(\.|$)", In::Prose, "the subject first: `the … that …`"),
    (r"(?i)\bnews (is|are|of|come|comes|came|about|from)\b|\b(the|no|any|without|new) news\b", In::Prose, "changes (of other instances)"),
];
