//! Text that people read: titles, venues, lecturers, grades. It must show, and show as what it is.
//!
//! Refused are characters that show nothing, that change the direction of the text around them, or that have no agreed
//! meaning. Writing needs some of the invisible ones: joiners (emoji, Persian, Indic scripts), variation selectors (emoji,
//! CJK ideographs, Mongolian) and the tags of regional flags are taken behind a character that they may change, one at a
//! time. Right-to-left text needs none of the refused characters: each letter has its direction.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};

/// The most characters (Unicode code points) of a title or a name.
pub(crate) const CHARACTERS_MAX: usize = 200;

const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const BLACK_FLAG: char = '\u{1f3f4}';
const KEYCAP: char = '\u{20e3}';

/// What a character is, as far as titles and names go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A letter, a digit, a symbol or a punctuation mark that shows.
    Visible,
    /// White space of one line, and what looks like it.
    Blank,
    /// A mark that shows on the character before it.
    Mark,
    /// Chooses a form of the character before it, and shows nothing by itself.
    Selector,
    /// A zero-width joiner or non-joiner.
    Joiner,
    /// Spells a region behind a black flag.
    Tag,
    Control,
    Directional,
    /// Shows nothing, and no writing needs it here.
    Invisible,
    /// Unassigned, of private use, or no character at all.
    Unassigned,
}

impl Kind {
    fn of(character: char) -> Self {
        match character {
            ' '..='~' => return if character == ' ' { Self::Blank } else { Self::Visible },
            ZERO_WIDTH_JOINER | ZERO_WIDTH_NON_JOINER => return Self::Joiner,
            // The marks and overrides of the bidirectional algorithm (UAX #9).
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                return Self::Directional;
            }
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => return Self::Selector,
            '\u{180b}'..='\u{180d}' | '\u{180f}' => return Self::Selector,
            '\u{e0020}'..='\u{e007f}' => return Self::Tag,
            // Fillers and signs that are letters, marks or symbols by category, and show nothing.
            '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}' => {
                return Self::Invisible;
            }
            '\u{16fe4}' | '\u{1d159}' => return Self::Invisible,
            // The empty cell of Braille is its space.
            '\u{2800}' => return Self::Blank,
            // Signs of Arabic, Syriac and Kaithi numbers: formatting by category, and visible.
            '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' => return Self::Visible,
            '\u{110bd}' | '\u{110cd}' => return Self::Visible,
            _ => {}
        }
        match (character.general_category_group(), character.general_category()) {
            (_, GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator) => {
                Self::Control
            }
            (_, GeneralCategory::Format) => Self::Invisible,
            (GeneralCategoryGroup::Other, _) => Self::Unassigned,
            (GeneralCategoryGroup::Separator, _) => Self::Blank,
            (GeneralCategoryGroup::Mark, _) => Self::Mark,
            _ => Self::Visible,
        }
    }
}

/// Whether a character is an emoji. Digits, `#` and `*` become one only with a keycap.
fn is_emoji(character: char) -> bool {
    !character.is_ascii() && character.is_emoji_char()
}

/// Whether a character is of a script in which joiners choose the forms of letters: Arabic and its neighbours, Indic
/// scripts, scripts of South-East Asia, Mongolian.
fn is_of_joining_script(character: char) -> bool {
    matches!(character,
        '\u{600}'..='\u{109f}'
        | '\u{1700}'..='\u{1cff}'
        | '\u{a800}'..='\u{a95f}'
        | '\u{a980}'..='\u{aaff}'
        | '\u{abc0}'..='\u{abff}'
        | '\u{fb50}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefc}'
        | '\u{10a00}'..='\u{11fff}'
        | '\u{1e900}'..='\u{1e95f}')
}

/// Whether a joiner may be between two characters that show.
fn may_join(base: char, joiner: char, next: char) -> bool {
    let are_emoji = joiner == ZERO_WIDTH_JOINER && is_emoji(base) && is_emoji(next);
    let shows = matches!(Kind::of(next), Kind::Visible | Kind::Mark);
    shows && (are_emoji || is_of_joining_script(base) || is_of_joining_script(next))
}

/// Whether a variation selector may be behind a character that shows.
fn may_select(base: char, selector: char, next: Option<char>) -> bool {
    let is_ideograph = matches!(base, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}');
    match selector {
        '\u{180b}'..='\u{180f}' => matches!(base, '\u{1800}'..='\u{18af}'),
        '\u{fe0e}' | '\u{fe0f}' => is_emoji(base) || is_ideograph || (base.is_emoji_char() && next == Some(KEYCAP)),
        _ => is_ideograph,
    }
}

/// Checks a title or a name. Nothing is trimmed or changed: it is kept as it came.
///
/// # Errors
/// What is wrong with it, to be read after the field's name.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text.chars().take(CHARACTERS_MAX + 1).count() > CHARACTERS_MAX || text.is_empty() {
        return Err("must be 1 to 200 characters");
    }
    let mut before = Kind::Blank;
    let mut base = ' ';
    let mut shows = false;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let next = rest.clone().next();
        let kind = Kind::of(character);
        match kind {
            Kind::Control => return Err("must not contain control characters or line breaks"),
            Kind::Directional => return Err("must not contain characters that change the direction of text"),
            Kind::Invisible => return Err("must not contain invisible characters"),
            Kind::Unassigned => return Err("must not contain unassigned or private characters"),
            Kind::Mark if before == Kind::Blank => return Err("must not contain a mark without a letter before it"),
            Kind::Selector if before != Kind::Visible || !may_select(base, character, next) => {
                return Err("must not contain invisible characters");
            }
            Kind::Joiner
                if !matches!(before, Kind::Visible | Kind::Mark | Kind::Selector)
                    || !next.is_some_and(|next| may_join(base, character, next)) =>
            {
                return Err("must not contain invisible characters");
            }
            Kind::Tag if before != Kind::Tag && (before, base) != (Kind::Visible, BLACK_FLAG) => {
                return Err("must not contain invisible characters");
            }
            Kind::Visible => (base, shows) = (character, true),
            Kind::Blank => base = ' ',
            Kind::Mark | Kind::Selector | Kind::Joiner | Kind::Tag => {}
        }
        before = kind;
    }
    if shows { Ok(()) } else { Err("must contain a visible character") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_passes() {
        let written = [
            "A",
            "Queues that hold, vol. 2 (live!)",
            "잠금의 밤 — 앙코르",
            "한글",
            "「夜」の公演",
            "Zoë Şahin-Łukasz",
            "Zoe\u{308}",
            "حفلة الليلة ٢٠٢٦",
            "می\u{200c}خواهم",
            "PDF\u{200c}ها",
            "ליל המנעולים 7",
            "क\u{94d}\u{200d}ष",
            "कार्यक्रम",
            "ภาษาไทย",
            "👩\u{200d}🚀 👍🏽 ❤\u{fe0f}",
            "❤\u{fe0f}\u{200d}🔥",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3}",
            "1\u{20e3} #\u{fe0f}\u{20e3}",
            "👩🏽\u{200d}🚀 👨\u{200d}👩\u{200d}👧 🏃\u{200d}➡\u{fe0f} 🏴\u{200d}☠\u{fe0f} 🐦\u{200d}⬛",
            "👁\u{fe0f}\u{200d}🗨\u{fe0f} 👩\u{200d}❤\u{fe0f}\u{200d}💋\u{200d}👨 ©\u{fe0f} ☎\u{fe0e}",
            "ᠮ\u{180b}ᠣ",
            "ක\u{dca}\u{200d}රි",
            "🇰🇷",
            "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
            "葛\u{e0100}城",
            " padded ",
            "non\u{a0}breaking",
            "\u{2801}\u{2800}\u{2803}",
            "<b>&amp;</b> \"quoted\" \\ %00",
            "€ ½ №",
        ];
        for text in written {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        assert_eq!(check(&"가".repeat(200)), Ok(()));
        assert_eq!(check(&"😀".repeat(200)), Ok(()));
    }

    #[test]
    fn what_does_not_show_as_it_is_is_refused() {
        let blank = ["", " ", "   ", "\u{a0}", "\u{3000}\u{2003}", "\u{2800}", "\u{2800} \u{2800}"];
        let control = ["a\0", "a\nb", "a\tb", "\r", "\u{7f}", "a\u{85}", "a\u{2028}b", "a\u{2029}", "\u{1b}[31mred"];
        let directional = ["\u{202e}abc", "abc\u{202a}", "a\u{2066}b\u{2069}", "a\u{200e}", "\u{200f}א", "\u{61c}ا"];
        let invisible = [
            "\u{200b}",
            "a\u{200b}b",
            "\u{200d}",
            "\u{200c}",
            "\u{200d}\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "\u{feff}a",
            "\u{ad}",
            "\u{3164}",
            "\u{3164}\u{3164}",
            "\u{115f}",
            "\u{1160}",
            "\u{ffa0}",
            "\u{34f}",
            "\u{180e}",
            "\u{2061}",
            "\u{206a}",
            "\u{fff9}",
            "\u{e0001}",
            "\u{e0041}",
            "a\u{e0041}",
            "\u{fe0f}",
            "\u{fe0f}\u{fe0f}",
            "😀\u{fe0f}\u{fe0e}",
            "a\u{200d}b",
            "👩\u{200d}\u{200d}🚀",
            " \u{200d}🚀",
            "\u{1d173}",
            "\u{17b4}",
        ];
        let unassigned = ["\u{e000}", "a\u{f8ff}", "\u{ffff}", "\u{fdd0}", "\u{378}", "a\u{10ffff}", "\u{100000}"];
        let lone = ["\u{301}", " \u{301}", "a \u{301}", "\u{20dd}", "\u{fe20}"];
        let table: [(&[&str], &str); 6] = [
            (&blank, ""),
            (&control, "control"),
            (&directional, "direction"),
            (&invisible, "invisible"),
            (&unassigned, "unassigned"),
            (&lone, "mark"),
        ];
        for (texts, why) in table {
            for text in texts {
                let refused = check(text).expect_err(&format!("{text:?} is refused"));
                assert!(refused.contains(why), "{text:?}: {refused}");
            }
        }
        assert!(check(&"가".repeat(201)).is_err());
        assert!(check(&"a".repeat(201)).is_err());
    }

    #[test]
    fn joiners_and_selectors_without_a_character_to_change_are_refused() {
        let hidden = [
            "잠금의 밤\u{200d}",
            "잠금의\u{200d} 밤",
            "잠\u{200c}금",
            "잠\u{200d}금",
            "é\u{200d}é",
            "дом\u{200c}а",
            "1\u{200d}2",
            "夜\u{200d}夜",
            "a\u{200d}\u{301}",
            "می\u{200c}",
            "می\u{200c} خواهم",
            "क\u{94d}\u{200d}",
            "क\u{94d}\u{200d}\u{200c}ष",
            "👩\u{200d}",
            "👩\u{200d}a",
            "👩\u{200d} 🚀",
            "👩\u{200c}🚀",
            "👩\u{200d}\u{fe0f}🚀",
            "a\u{fe0f}",
            "1\u{fe0f}",
            "가\u{fe0f}",
            "가\u{e0100}",
            "a\u{e0100}",
            "क\u{fe00}",
            "a\u{180b}",
            "葛\u{180b}",
            "😀\u{e0100}",
        ];
        for text in hidden {
            assert_eq!(check(text), Err("must not contain invisible characters"), "{text:?}");
        }
    }
}
