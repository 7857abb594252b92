//! The QR code of a ticket (ISO/IEC 18004), and its picture as SVG.

use fast_qr::qr::QRBuilder;
use fast_qr::{ECL, QRCode};

/// The light modules that the standard asks for around a code. Scanners find its corners by them.
const QUIET: usize = 4;

/// The width and height of a picture without other instructions, in millimetres.
const MILLIMETRES: usize = 40;

/// A QR code with error correction M: it can be read if 15 % of it is dirty or torn.
pub(crate) struct QrCode(QRCode);

/// Adjacent dark modules of a row.
pub(super) struct Run {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) length: usize,
}

impl QrCode {
    /// The QR code of a text; `None` if the text is longer than a QR code can hold.
    pub(crate) fn of(text: &str) -> Option<Self> {
        QRBuilder::new(text).ecl(ECL::M).build().ok().map(Self)
    }

    /// The modules on each side, without the light ones around.
    pub(super) fn size(&self) -> usize {
        self.0.size
    }

    /// All dark modules, row by row.
    pub(super) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for y in 0..self.size() {
            for (x, module) in self.0[y].iter().enumerate() {
                match runs.last_mut() {
                    Some(run) if module.value() && run.y == y && run.x + run.length == x => run.length += 1,
                    _ if module.value() => runs.push(Run { x, y, length: 1 }),
                    _ => {}
                }
            }
        }
        runs
    }

    /// A picture, 40 mm wide unless a page sets another width. It is dark on light in each colour scheme.
    pub(crate) fn svg(&self) -> String {
        let side = self.size() + 2 * QUIET;
        let path: String = self
            .runs()
            .iter()
            .map(|Run { x, y, length }| format!("M{} {}h{length}v1h-{length}z", x + QUIET, y + QUIET))
            .collect();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{MILLIMETRES}mm\" height=\"{MILLIMETRES}mm\" \
             viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/>\
             <path fill=\"#000\" d=\"{path}\"/></svg>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A code has 143 characters.
    #[test]
    fn a_ticket_fits_into_a_small_code() {
        let code = QrCode::of(&format!("T1.{}", "a".repeat(140))).unwrap();
        assert_eq!(code.size(), 49, "version 8");
        assert!(code.svg().starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40mm\""));
        assert!(QrCode::of(&"A".repeat(10_000)).is_none());
    }

    #[test]
    fn runs_cover_each_dark_module_once() {
        let code = QrCode::of("T1.ticket").unwrap();
        let mut dark = vec![false; code.size() * code.size()];
        for Run { x, y, length } in code.runs() {
            for at in y * code.size() + x..y * code.size() + x + length {
                assert!(!std::mem::replace(&mut dark[at], true), "twice");
            }
        }
        let expected: Vec<bool> =
            (0..code.size()).flat_map(|y| code.0[y].iter().map(|module| module.value())).collect();
        assert_eq!(dark, expected);
    }
}
