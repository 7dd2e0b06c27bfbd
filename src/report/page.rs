//! A page about runs, in one file.

use base64::prelude::{BASE64_STANDARD, Engine};

/// A page that is being written.
#[derive(Debug)]
pub(crate) struct Page {
    html: String,
}

/// Readable on paper, on telephones, and in the dark. Curves stay on white, as they are drawn.
const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
figure { margin: 1rem 0; background: #fff; border-radius: 4px; overflow-x: auto; }
figure svg, figure img { max-width: 100%; height: auto; display: block; }
figure.video { background: none; } figure.video img { image-rendering: pixelated; width: 32rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem; }
.grid figure { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td { white-space: nowrap; } td.wide { white-space: normal; overflow-wrap: anywhere; }
p.note, figcaption { color: #777; font-size: .9rem; }
figcaption { padding: .25rem .5rem; }
code { font-size: .9em; }
";

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        let title = escaped(title);
        Self {
            html: format!(
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
                 <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
            ),
        }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.html += &format!("<h2>{}</h2>\n", escaped(text));
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.html += &format!("<p class=\"note\">{}</p>\n", with_code(text));
    }

    /// Adds a drawing.
    pub(crate) fn svg(&mut self, svg: &str) {
        // Within a page it scales, if it says what its units are.
        let svg = match (attribute(svg, "width"), attribute(svg, "height")) {
            (Some(width), Some(height)) if !svg.contains("viewBox") => {
                svg.replacen("<svg ", &format!("<svg viewBox=\"0 0 {width} {height}\" "), 1)
            }
            _ => svg.to_owned(),
        };
        self.html += &format!("<figure>{svg}</figure>\n");
    }

    /// Adds drawings side by side, where there is room.
    pub(crate) fn grid(&mut self, svgs: &[String]) {
        self.html += "<div class=\"grid\">\n";
        svgs.iter().for_each(|svg| self.svg(svg));
        self.html += "</div>\n";
    }

    /// Adds a GIF.
    pub(crate) fn gif(&mut self, gif: &[u8], caption: &str) {
        self.html += &format!(
            "<figure class=\"video\"><img alt=\"{0}\" src=\"data:image/gif;base64,{1}\"><figcaption>{0}</figcaption></figure>\n",
            escaped(caption),
            BASE64_STANDARD.encode(gif)
        );
    }

    pub(crate) fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let cells = |tag: &str, texts: &mut dyn Iterator<Item = &str>| {
            texts.fold(String::new(), |row, text| {
                // A long cell breaks, a short one stays in one piece.
                let class = if text.chars().count() > 40 {
                    " class=\"wide\""
                } else {
                    ""
                };
                row + &format!("<{tag}{class}>{}</{tag}>", escaped(text))
            })
        };
        self.html += "<div class=\"scroll\"><table>\n";
        self.html += &format!("<tr>{}</tr>\n", cells("th", &mut header.iter().copied()));
        for row in rows {
            self.html += &format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str)));
        }
        self.html += "</table></div>\n";
    }

    pub(crate) fn finish(self) -> String {
        self.html + "</body>\n</html>\n"
    }
}

/// The value of an attribute of the first element.
fn attribute<'a>(svg: &'a str, name: &str) -> Option<&'a str> {
    let start = svg.find(&format!("{name}=\""))? + name.len() + 2;
    svg[start..].split('"').next()
}

/// Text as HTML.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c => out.push(c),
        }
    }
    out
}

/// Text whose parts between backquotes are code.
fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let part = |(i, part): (usize, &str)| match i % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    };
    parts.map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_run_is_called_becomes_a_part_of_the_page() {
        let mut page = Page::new("<b>\"runs\" & more");
        page.table(&["a"], &[vec!["<script>".to_owned()]]);
        page.note("the file `<x>` is > 0");
        let html = page.finish();
        assert!(html.contains("<h1>&lt;b&gt;&quot;runs&quot; &amp; more</h1>"));
        assert!(html.contains("<td>&lt;script&gt;</td>"));
        assert!(html.contains("the file <code>&lt;x&gt;</code> is &gt; 0"));
    }

    #[test]
    fn a_drawing_scales() {
        let mut page = Page::new("");
        page.svg("<svg width=\"800\" height=\"500\" xmlns=\"x\"><g/></svg>");
        assert!(page.finish().contains("<svg viewBox=\"0 0 800 500\" width=\"800\""));
    }
}
