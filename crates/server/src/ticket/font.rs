//! Text in PDF documents: line breaks, and the part of the font that a document needs, which is embedded in it.

use std::collections::BTreeMap;

use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, Str};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, RawFace, Tag};

use super::paper::packed;

/// Pretendard has Latin letters and all 11,172 Hangul syllables (SIL Open Font License 1.1, see `fonts/LICENSE.txt`).
static FONT: &[u8] = include_bytes!("../../fonts/Pretendard-Regular.otf");

/// The name of the font in the document. The six letters mark it as a part of a font.
const FONT_NAME: Name<'static> = Name(b"TICKET+Pretendard-Regular");

/// The name by which pages refer to the font.
pub(super) const ON_PAGE: Name<'static> = Name(b"F");

const IDENTITY: SystemInfo<'static> = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };

/// A text that was broken into lines.
pub(super) struct Fitted {
    /// In points.
    pub(super) size: f32,
    pub(super) lines: Vec<String>,
}

/// Writes text, and notes which glyphs it needs.
pub(super) struct Typesetter {
    face: Face<'static>,
    glyphs: GlyphRemapper,
    /// The character that each glyph shows, by its number in the document. With it readers find and copy text.
    shown: BTreeMap<u16, char>,
}

impl Typesetter {
    /// `None` if the font of this program is broken.
    pub(super) fn new() -> Option<Self> {
        let face = Face::parse(FONT, 0).ok()?;
        Some(Self { face, glyphs: GlyphRemapper::new(), shown: BTreeMap::new() })
    }

    /// The glyph of a character. A character that the font lacks has glyph 0, an empty box.
    fn glyph(&self, character: char) -> u16 {
        self.face.glyph_index(character).map_or(0, |glyph| glyph.0)
    }

    /// The advance of a glyph, in thousandths of the size of the text.
    fn advance(&self, glyph: u16) -> f32 {
        let advance = self.face.glyph_hor_advance(ttf_parser::GlyphId(glyph)).unwrap_or(0);
        f32::from(advance) * 1_000.0 / f32::from(self.face.units_per_em())
    }

    /// The width of a text, in points.
    pub(super) fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|character| self.advance(self.glyph(character))).sum::<f32>() * size / 1_000.0
    }

    /// Breaks a text into at most `lines_max` lines of a width, in the first of these sizes in which it fits. In the last size the
    /// end of a text that does not fit is cut, and an ellipsis shows that.
    pub(super) fn fit(&self, text: &str, width: f32, sizes: &[f32], lines_max: usize) -> Fitted {
        let mut fitted = Fitted { size: 0.0, lines: Vec::new() };
        for size in sizes {
            fitted = Fitted { size: *size, lines: self.lines(text, *size, width) };
            if fitted.lines.len() <= lines_max {
                return fitted;
            }
        }
        fitted.lines.truncate(lines_max);
        if let Some(last) = fitted.lines.last_mut() {
            last.pop();
            last.push('…');
        }
        fitted
    }

    /// Breaks a text at spaces, and within a word that is wider than a line.
    fn lines(&self, text: &str, size: f32, width: f32) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(&longer, size) <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for character in word.chars() {
                line.push(character);
                if self.width(&line, size) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, character.to_string()));
                }
            }
        }
        if !line.is_empty() {
            lines.push(line);
        }
        lines
    }

    /// Writes a line of text with its left end at a point.
    pub(super) fn show(&mut self, content: &mut Content, text: &str, size: f32, (x, y): (f32, f32)) {
        let mut glyphs = Vec::with_capacity(2 * text.len());
        for character in text.chars() {
            let glyph = self.glyphs.remap(self.glyph(character));
            self.shown.entry(glyph).or_insert(character);
            glyphs.extend_from_slice(&glyph.to_be_bytes());
        }
        content.begin_text().set_font(ON_PAGE, size).set_text_matrix([1.0, 0.0, 0.0, 1.0, x, y]);
        content.show(Str(&glyphs)).end_text();
    }

    /// Writes the font into the document, under `font` and the four numbers after it. Returns `None` if the font is broken.
    pub(super) fn write(self, pdf: &mut Pdf, font: Ref) -> Option<()> {
        let of_font = |number: i32| Ref::new(font.get() + number);
        let (cid, descriptor, cmap, file) = (of_font(1), of_font(2), of_font(3), of_font(4));
        pdf.type0_font(font)
            .base_font(FONT_NAME)
            .encoding_predefined(Name(b"Identity-H"))
            .descendant_font(cid)
            .to_unicode(cmap);
        let widths = self.glyphs.remapped_gids().map(|glyph| self.advance(glyph));
        let mut cid_font = pdf.cid_font(cid);
        cid_font.subtype(CidFontType::Type0).base_font(FONT_NAME).system_info(IDENTITY).font_descriptor(descriptor);
        cid_font.default_width(0.0).widths().consecutive(0, widths);
        cid_font.finish();
        let scaled = |units: i16| f32::from(units) * 1_000.0 / f32::from(self.face.units_per_em());
        let bounds = self.face.global_bounding_box();
        pdf.font_descriptor(descriptor)
            .name(FONT_NAME)
            .flags(FontFlags::SYMBOLIC)
            .bbox(Rect::new(scaled(bounds.x_min), scaled(bounds.y_min), scaled(bounds.x_max), scaled(bounds.y_max)))
            .italic_angle(0.0)
            .ascent(scaled(self.face.ascender()))
            .descent(scaled(self.face.descender()))
            .cap_height(scaled(self.face.capital_height().unwrap_or(self.face.ascender())))
            // The font does not state how thick its stems are; readers use this only if they have to replace it.
            .stem_v(80.0)
            .font_file3(file);
        let mut unicode = UnicodeCmap::new(Name(b"Custom"), IDENTITY);
        for (glyph, character) in &self.shown {
            unicode.pair(*glyph, *character);
        }
        let unicode = packed(unicode.finish().as_slice());
        pdf.cmap(cmap, &unicode).filter(Filter::FlateDecode);
        let part = subsetter::subset(FONT, 0, &self.glyphs).ok()?;
        let outlines = packed(RawFace::parse(&part, 0).ok()?.table(Tag::from_bytes(b"CFF "))?);
        let mut stream = pdf.stream(file, &outlines);
        stream.filter(Filter::FlateDecode);
        stream.pair(Name(b"Subtype"), Name(b"CIDFontType0C"));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_all_hangul_syllables_and_what_titles_need() {
        let typesetter = Typesetter::new().unwrap();
        let missing: String = ('가'..='힣')
            .chain(' '..='~')
            .chain("·…–—ÄÖÜéßあア".chars())
            .filter(|character| typesetter.glyph(*character) == 0)
            .collect();
        assert_eq!(missing, "");
        assert_eq!(typesetter.glyph('\u{10ffff}'), 0);
    }

    #[test]
    fn texts_are_broken_into_lines_that_fit() {
        let typesetter = Typesetter::new().unwrap();
        let long = "자물쇠의 밤: 기다리는 사람들을 위한 아주아주아주아주아주아주아주아주아주 긴 제목의 공연";
        let fitted = typesetter.fit(long, 100.0, &[20.0, 10.0], 20);
        assert_eq!(fitted.size, 20.0);
        assert!(fitted.lines.iter().all(|line| typesetter.width(line, 20.0) <= 100.0), "{:?}", fitted.lines);
        let without_spaces = |text: &str| text.replace(' ', "");
        assert_eq!(without_spaces(&fitted.lines.concat()), without_spaces(long), "nothing is lost");
        let cut = typesetter.fit(long, 100.0, &[20.0, 10.0], 2);
        assert_eq!((cut.size, cut.lines.len()), (10.0, 2));
        assert!(cut.lines[1].ends_with('…'));
        assert_eq!(typesetter.fit("", 100.0, &[20.0], 2).lines.len(), 0);
    }
}
