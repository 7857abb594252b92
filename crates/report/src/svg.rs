//! What all charts share. Our own code, because the colours follow the reader's light or dark mode by CSS inside the file:
//! chart crates such as plotters write fixed colours into attributes.

use std::fmt::Write as _;

/// Colours that stay apart in light and in dark mode. Labels name each of them too, for readers who see few colours.
pub(crate) const COLORS: [&str; 8] =
    ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bb7733", "#999999"];

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.title{font-size:16px;font-weight:600}\
    .grid{stroke:#ccc;stroke-width:1}.line{fill:none;stroke-width:2.5}.mark{stroke:#222;stroke-width:2.5}\
    .ground{fill:#fff}.soft{fill:#666}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.mark{stroke:#eee}.ground{fill:#161616}\
    .soft{fill:#aaa}}";

/// The start of a file: size, style, background and title.
pub(crate) fn start(title: &str, height: f64, title_left: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\
         <title>{0}</title><style>{STYLE}</style><rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"{title_left}\" y=\"28\">{0}</text>\n",
        escaped(title)
    )
}

/// The width of every chart.
pub(crate) const WIDTH: f64 = 860.0;

/// Writes a text whose middle is at `x`.
pub(crate) fn write_centred(svg: &mut String, x: f64, y: f64, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>", escaped(text));
}

/// Text as the content of an element.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
