//! Tickets to show and to keep: the QR code is read back by another library, the PDF by another program, the code by the Python of
//! the guide.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step ends the test")]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use onsale_testing::{Call, Sale, without};
use rqrr::PreparedImage;
use serde_json::{Value, json};
use support::room::room;
use support::{audit, start, text};

const UNKNOWN: &str = "019ab3c0-7a10-7d5e-9f44-2f6d0c1b8a01";
const TITLE: &str = "똠방각하와 펲시콜라의 밤";
const VENUE: &str = "한강 돔";
const SECTION: &str = "가 구역 쀍";

/// A picture in shades of grey.
struct Picture {
    width: usize,
    height: usize,
    grey: Vec<u8>,
}

/// What a decoder finds in a picture.
struct Read {
    text: String,
    /// Error correction: 0 is M (ISO/IEC 18004, table 12).
    correction: u16,
    /// The distance of the upper corners, in pixels.
    width: f64,
}

impl Picture {
    /// Draws what a ticket's SVG consists of: rectangles of the height of a module, in a square.
    fn of_svg(svg: &str, scale: usize) -> Self {
        let side: usize = svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let mut picture = Self { width: side * scale, height: side * scale, grey: vec![255; (side * scale).pow(2)] };
        let path = svg.split("<path fill=\"#000\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        for run in path.split('M').skip(1) {
            let numbers = |part: &str| part.split(' ').map(|number| number.parse().unwrap()).collect::<Vec<usize>>();
            let (start, rest) = run.split_once('h').unwrap();
            let (length, end) = rest.split_once('v').unwrap();
            assert_eq!(end, format!("1h-{length}z"));
            let (start, length) = (numbers(start), numbers(length)[0]);
            for y in start[1] * scale..(start[1] + 1) * scale {
                let row = y * picture.width;
                picture.grey[row + start[0] * scale..row + (start[0] + length) * scale].fill(0);
            }
        }
        picture
    }

    /// A picture in the format PGM, as `pdftoppm -gray` writes it.
    fn of_pgm(bytes: &[u8]) -> Self {
        let mut words = Vec::new();
        let mut at = 0;
        while words.len() < 4 {
            let end = at + bytes[at..].iter().position(u8::is_ascii_whitespace).unwrap();
            words.push(std::str::from_utf8(&bytes[at..end]).unwrap());
            at = end + 1;
        }
        assert_eq!((words[0], words[3]), ("P5", "255"));
        let (width, height) = (words[1].parse().unwrap(), words[2].parse().unwrap());
        Self { width, height, grey: bytes[at..].to_vec() }
    }

    fn read(&self) -> Read {
        let mut image =
            PreparedImage::prepare_from_greyscale(self.width, self.height, |x, y| self.grey[y * self.width + x]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1, "one code");
        let (about, text) = grids[0].decode().unwrap();
        let [left, right, ..] = grids[0].bounds;
        let width = f64::from(right.x - left.x).hypot(f64::from(right.y - left.y));
        Read { text, correction: about.ecc_level, width }
    }
}

/// A performance with a layout in Korean, and the two tickets of Zorro's payment.
struct Bought {
    sale: Sale,
    performance: String,
    payment: String,
    tickets: Value,
}

impl Bought {
    async fn new() -> Self {
        let sale = start(&[("ONSALE_TIMEZONE", "Asia/Seoul")]).await;
        let body = json!({"title": TITLE, "venue": VENUE, "queue": room(1_000)});
        let concert = sale.admin(sale.caller.post("/admin/concerts").json(&body)).expect(201).await;
        let concert = text(&concert["concertId"]);
        let rows = json!([{"row": "다열", "from": 1, "to": 20}]);
        let sections = json!([{"name": SECTION, "grade": "VIP", "price": 100, "rows": rows}]);
        let body = json!({"startsAt": "2089-12-31T15:30:00Z", "sections": sections});
        let path = format!("/admin/concerts/{concert}/performances");
        let performance = sale.admin(sale.caller.post(&path).json(&body)).expect(201).await;
        let performance = text(&performance["performanceId"]);
        sale.charge("zorro", 500_000).await;
        let token = sale.active(&concert, "zorro").await;
        let held = sale.hold(&token, &performance, &[7, 8]).await;
        let payment = text(&sale.pay(&token, &held).expect(201).await["paymentId"]);
        let tickets = sale.caller.get(&format!("/payments/{payment}/tickets")).expect(200).await;
        Self { sale, performance, payment, tickets }
    }

    fn get(&self, ticket: &Value, file: &str) -> Call {
        self.sale.caller.get(&format!("/payments/{}/tickets/{}/{file}", self.payment, text(&ticket["ticketId"])))
    }

    /// Writes a file in the folder of the server. Returns its bytes.
    async fn keep(&self, ticket: &Value, name: &str) -> Vec<u8> {
        let reply = self.get(ticket, "print.pdf").send().await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("application/pdf")));
        assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"ticket-seat-7.pdf\""));
        std::fs::write(self.folder().join(name), &reply.body).unwrap();
        reply.body.to_vec()
    }

    fn folder(&self) -> &Path {
        self.sale.instance.folder()
    }

    /// Runs a program in the folder of the server.
    fn run(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.folder()).output().unwrap()
    }
}

#[tokio::test]
async fn the_picture_of_a_ticket_is_read_back() {
    let bought = Bought::new().await;
    for ticket in bought.tickets.as_array().unwrap() {
        let reply = bought.get(ticket, "code.svg").send().await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, Some("image/svg+xml")));
        let svg = String::from_utf8(reply.body.to_vec()).unwrap();
        assert!(svg.contains("width=\"40mm\" height=\"40mm\""), "{svg}");
        let read = Picture::of_svg(&svg, 4).read();
        assert_eq!((read.text, read.correction), (text(&ticket["code"]), 0));
        // Four light modules at each side, by which a scanner finds the code on any page.
        assert!(svg.contains(" d=\"M4 4h7"), "{svg}");
    }
}

#[tokio::test]
async fn a_void_ticket_and_an_unknown_one_have_no_picture_and_no_document() {
    let bought = Bought::new().await;
    let Bought { sale, payment, tickets, .. } = &bought;
    let old = &tickets[0];
    let path = format!("/payments/{payment}/tickets/{}/reissue", text(&old["ticketId"]));
    let new = sale.caller.post(&path).expect(201).await;
    for file in ["code.svg", "print.pdf"] {
        bought.get(old, file).refused(409, "ticket-void").await;
        bought.get(&json!({"ticketId": UNKNOWN}), file).refused(404, "ticket-not-found").await;
        bought.get(&json!({"ticketId": "x"}), file).refused(422, "invalid-request").await;
        bought.get(&new, &format!("{file}?x=1")).refused(422, "invalid-request").await;
        let other = format!("/payments/{UNKNOWN}/tickets/{}/{file}", text(&new["ticketId"]));
        sale.caller.get(&other).refused(404, "payment-not-found").await;
        assert_eq!(bought.get(&new, file).send().await.status, 200);
    }
    audit(sale).await;
}

#[tokio::test]
async fn the_document_of_a_ticket_is_complete_in_itself() {
    let bought = Bought::new().await;
    let ticket = &bought.tickets[0];
    let document = bought.keep(ticket, "ticket.pdf").await;
    assert!(document.starts_with(b"%PDF-1.") && document.len() < 100_000, "{} bytes", document.len());
    assert_eq!(bought.keep(ticket, "again.pdf").await, document, "the same ticket, the same bytes");
    if without("poppler") {
        return;
    }
    let fonts = bought.run("pdffonts", &["ticket.pdf"]);
    let fonts = String::from_utf8(fonts.stdout).unwrap();
    let rows: Vec<&str> = fonts.lines().skip(2).collect();
    assert_eq!(rows.len(), 1, "{fonts}");
    // Embedded, a part of the font, and with the characters of its glyphs.
    assert!(rows[0].contains("Pretendard") && rows[0].contains(" yes yes yes "), "{fonts}");
    let words = bought.run("pdftotext", &["-layout", "ticket.pdf", "-"]);
    let words = String::from_utf8(words.stdout).unwrap();
    for expected in [TITLE, VENUE, SECTION, "다열", "VIP", "2090-01-01 00:30 (Asia/Seoul)", &text(&ticket["ticketId"])]
    {
        assert!(words.contains(expected), "{expected} is not in {words}");
    }
    assert!(!words.to_lowercase().contains("zorro"), "nothing on it names the buyer: {words}");
    // 200 dots an inch, as a plain printer.
    let drawn = bought.run("pdftoppm", &["-r", "200", "-gray", "-singlefile", "ticket.pdf", "page"]);
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    let read = Picture::of_pgm(&std::fs::read(bought.folder().join("page.pgm")).unwrap()).read();
    assert_eq!((read.text, read.correction), (text(&ticket["code"]), 0));
    let millimetres = read.width / 200.0 * 25.4;
    assert!((45.0..55.0).contains(&millimetres), "{millimetres} mm wide");
}

/// Runs the Python of the guide. Returns its exit code and its output.
fn verify_in_python(bought: &Bought, code: &str) -> (i32, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/verify_ticket.py");
    let run = bought.run("python3", &[script, "keys.json", code]);
    let said = String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap();
    assert!(!said.contains("Traceback"), "{said}");
    (run.status.code().unwrap(), said)
}

#[tokio::test]
async fn the_python_of_the_guide_verifies_a_ticket() {
    if without("cryptography") {
        return;
    }
    let bought = Bought::new().await;
    let keys = bought.sale.caller.get("/tickets/keys").expect(200).await;
    std::fs::write(bought.folder().join("keys.json"), keys.to_string()).unwrap();
    let ticket = &bought.tickets[1];
    let code = text(&ticket["code"]);
    let (exit, said) = verify_in_python(&bought, &code);
    let ids = [text(&ticket["ticketId"]), bought.performance.clone()];
    assert_eq!((exit, &*said), (0, &*format!("signed  ticket {} of performance {}, seat 8\n", ids[0], ids[1])));
    let other = if code.ends_with('A') { 'E' } else { 'A' };
    for wrong in
        [format!("{}{other}", &code[..code.len() - 1]), code.replace("T1.", "T2."), "T1.AAAA".into(), "T1.%".into()]
    {
        assert_eq!(verify_in_python(&bought, &wrong).0, 1, "{wrong}");
    }
    std::fs::write(bought.folder().join("keys.json"), "[]").unwrap();
    assert_eq!(verify_in_python(&bought, &code).0, 1, "another key");
    std::fs::write(bought.folder().join("keys.json"), "[{}]").unwrap();
    assert_eq!(verify_in_python(&bought, &code).0, 2);
}
