//! A ticket to keep, as PDF: one page of A5, which prints without a network and without fonts on the reader's machine.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::{Content, Filter, Finish, Pdf, Rect, Ref, TextStr};

use super::font::{Fitted, ON_PAGE, Typesetter};
use super::qr::{QrCode, Run};

/// Points in a millimetre.
const MM: f32 = 72.0 / 25.4;

const WIDTH: f32 = 148.0 * MM;
const HEIGHT: f32 = 210.0 * MM;
const MARGIN: f32 = 15.0 * MM;

/// The width of the dark part of the QR code. The contract asks for 25 mm; larger codes are read from farther away.
const QR: f32 = 50.0 * MM;

/// The left end of values, next to their names.
const VALUES: f32 = MARGIN + 34.0 * MM;

/// The height of a line, in sizes of its text.
const LEADING: f32 = 1.35;

const GREY: f32 = 0.38;

/// What is on a ticket to keep.
pub(crate) struct Paper<'a> {
    pub(crate) title: &'a str,
    pub(crate) venue: &'a str,
    /// Names and values, such as the start and the seat, in the order from top to bottom.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// The id of the ticket, which staff type in if the code cannot be read.
    pub(crate) id: String,
    pub(crate) qr: QrCode,
}

/// A stream of a document, compressed.
pub(super) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    // A vector takes all bytes.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Writes from top to bottom.
struct Page {
    content: Content,
    typesetter: Typesetter,
    /// The lower end of what was written, in points above the lower edge.
    y: f32,
}

impl Page {
    fn write(&mut self, fitted: &Fitted, x: f32) {
        for line in &fitted.lines {
            self.y -= fitted.size * LEADING;
            self.typesetter.show(&mut self.content, line, fitted.size, (x, self.y));
        }
    }

    fn fact(&mut self, name: &str, value: &str) {
        self.y -= 2.0 * MM;
        let top = self.y;
        let value = self.typesetter.fit(value, WIDTH - MARGIN - VALUES, &[13.0, 10.5, 8.5], 4);
        self.write(&value, VALUES);
        let first = top - value.size * LEADING;
        self.content.set_fill_gray(GREY);
        self.typesetter.show(&mut self.content, name, 9.0, (MARGIN, first));
        self.content.set_fill_gray(0.0);
    }

    /// Draws the code above the id, at the lower end of the page and in its middle. The paper around it is its light zone.
    fn code(&mut self, paper: &Paper<'_>) {
        let id = self.typesetter.fit(&paper.id, WIDTH - 2.0 * MARGIN, &[8.0], 1);
        for line in &id.lines {
            let x = (WIDTH - self.typesetter.width(line, id.size)) / 2.0;
            self.typesetter.show(&mut self.content, line, id.size, (x, MARGIN));
        }
        let (left, top) = ((WIDTH - QR) / 2.0, MARGIN + 8.0 * MM + QR);
        let module = QR / paper.qr.size() as f32;
        for Run { x, y, length } in paper.qr.runs() {
            let (x, y, length) = (x as f32, y as f32, length as f32);
            self.content.rect(left + x * module, top - (y + 1.0) * module, length * module, module);
        }
        self.content.fill_nonzero();
    }
}

impl Paper<'_> {
    /// The document. The same ticket always makes the same bytes. Returns `None` if the font of this program is broken.
    pub(crate) fn pdf(&self) -> Option<Vec<u8>> {
        let mut page = Page { content: Content::new(), typesetter: Typesetter::new()?, y: HEIGHT - MARGIN };
        let title = page.typesetter.fit(self.title, WIDTH - 2.0 * MARGIN, &[22.0, 18.0, 14.0, 11.0], 4);
        page.write(&title, MARGIN);
        page.y -= 3.0 * MM;
        let venue = page.typesetter.fit(self.venue, WIDTH - 2.0 * MARGIN, &[12.0, 10.0, 8.5], 3);
        page.write(&venue, MARGIN);
        page.y -= 4.0 * MM;
        page.content.set_line_width(0.5).set_stroke_gray(GREY);
        page.content.move_to(MARGIN, page.y).line_to(WIDTH - MARGIN, page.y).stroke();
        for (name, value) in &self.facts {
            page.fact(name, value);
        }
        page.code(self);
        self.document(page)
    }

    fn document(&self, page: Page) -> Option<Vec<u8>> {
        let numbers: [Ref; 6] = [1, 2, 3, 4, 5, 6].map(Ref::new);
        let [catalog, pages, only, content, info, font] = numbers;
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(pages);
        pdf.document_info(info).title(TextStr(self.title)).producer(TextStr("onsale"));
        pdf.pages(pages).kids([only]).count(1);
        let mut written = pdf.page(only);
        written.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(pages).contents(content);
        written.resources().fonts().pair(ON_PAGE, font);
        written.finish();
        let stream = packed(page.content.finish().as_slice());
        pdf.stream(content, &stream).filter(Filter::FlateDecode);
        page.typesetter.write(&mut pdf, font)?;
        Some(pdf.finish())
    }
}
