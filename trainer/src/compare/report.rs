//! What a comparison says, as report.md with figures beside it and as one self-contained report.html.

use std::{fmt::Write as _, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use image::RgbImage;

use crate::{error::Result, file::write_atomically, plot};

/// A piece of a report.
#[derive(Debug, Clone)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// A paragraph; what stands between back quotes is set as code.
    Text(String),
    /// A table.
    Table(Table),
    /// A picture: file name without extension, what it shows, the picture.
    Figure(String, String, RgbImage),
}

/// Rows of cells under a header; cells between `**` are set bold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// Names of the columns.
    pub header: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        // A bar inside a cell would end it.
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<String> =
            self.header.iter().enumerate().map(|(i, _)| if i == 0 { "---" } else { "---:" }.into()).collect();
        let mut text = line(&self.header) + &line(&rule);
        self.rows.iter().for_each(|row| text += &line(row));
        text
    }

    /// In columns, for a terminal.
    pub fn text(&self) -> String {
        let all = || std::iter::once(&self.header).chain(&self.rows);
        let width = |c: usize| all().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(c, (cell, w))| if c == 0 { format!("{cell:<w$}") } else { format!("{cell:>w$}") })
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        all().map(line).collect()
    }

    fn html(&self) -> String {
        let line = |cells: &[String], tag: &str| {
            let each: Vec<String> = cells.iter().map(|c| format!("<{tag}>{}</{tag}>", inline(c))).collect();
            format!("<tr>{}</tr>\n", each.concat())
        };
        let rows: Vec<String> = self.rows.iter().map(|row| line(row, "td")).collect();
        format!("<table>\n{}{}</table>\n", line(&self.header, "th"), rows.concat())
    }
}

/// A report from top to bottom.
#[derive(Debug, Clone)]
pub struct Report {
    /// Title.
    pub title: String,
    /// Everything below it.
    pub blocks: Vec<Block>,
}

impl Report {
    /// Writes report.md, its pictures in figures/, and report.html into `folder`, each whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io) when one cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let figures = folder.join("figures");
        crate::file::make_folder(&figures)?;
        let mut markdown = format!("# {}\n", self.title);
        let mut html = format!("<h1>{}</h1>\n", inline(&self.title));
        for block in &self.blocks {
            match block {
                Block::Heading(text) => {
                    write!(markdown, "\n## {text}\n").expect("a string");
                    writeln!(html, "<h2>{}</h2>", inline(text)).expect("a string");
                }
                Block::Text(text) => {
                    write!(markdown, "\n{text}\n").expect("a string");
                    writeln!(html, "<p>{}</p>", inline(text)).expect("a string");
                }
                Block::Table(table) => {
                    write!(markdown, "\n{}", table.markdown()).expect("a string");
                    html += &table.html();
                }
                Block::Figure(name, caption, picture) => {
                    let png = plot::png(picture)?;
                    write_atomically(&figures.join(format!("{name}.png")), &png)?;
                    write!(markdown, "\n![{caption}](figures/{name}.png)\n\n*{caption}*\n").expect("a string");
                    let data = BASE64_STANDARD.encode(&png);
                    let caption = inline(caption);
                    writeln!(
                        html,
                        "<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{data}\"><figcaption>{caption}</figcaption></figure>"
                    )
                    .expect("a string");
                }
            }
        }
        write_atomically(&folder.join("report.md"), markdown.as_bytes())?;
        let page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n{html}</html>\n",
            inline(&self.title)
        );
        write_atomically(&folder.join("report.html"), page.as_bytes())
    }
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}td,th{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}img{max-width:100%}figure{margin:1.5rem 0}figcaption{color:#555}code{background:#f2f2f2;padding:0 .2em}";

/// Text as HTML, with `code` and **bold**.
fn inline(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let pairs = |text: String, mark: &str, tag: &str| {
        let mut out = String::new();
        for (i, part) in text.split(mark).enumerate() {
            if i > 0 {
                out += &if i % 2 == 1 { format!("<{tag}>") } else { format!("</{tag}>") };
            }
            out += part;
        }
        // A mark without its partner is just a character.
        if text.matches(mark).count() % 2 == 1 { text } else { out }
    };
    pairs(pairs(escaped, "`", "code"), "**", "b")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_written_with_its_pictures_and_one_page_that_needs_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let table =
            Table { header: vec!["row".into(), "plain".into()], rows: vec![vec!["|w|".into(), "**-3.0**".into()]] };
        let report = Report {
            title: "A < B".into(),
            blocks: vec![
                Block::Heading("H".into()),
                Block::Text("Made by `rwf x`.".into()),
                Block::Table(table),
                Block::Figure("curve".into(), "a curve".into(), RgbImage::new(3, 2)),
            ],
        };
        report.write(folder.path()).unwrap();
        let markdown = std::fs::read_to_string(folder.path().join("report.md")).unwrap();
        assert!(markdown.contains("| row | plain |\n| --- | ---: |\n| \\|w\\| | **-3.0** |\n"), "{markdown}");
        assert!(image::open(folder.path().join("figures/curve.png")).is_ok());
        let html = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
        assert!(html.contains("<b>-3.0</b>") && html.contains("<code>rwf x</code>") && html.contains("A &lt; B"));
        assert!(!html.contains("src=\"figures") && !html.contains("http"));
    }

    #[test]
    fn marks_without_a_partner_stay() {
        assert_eq!(inline("2 ** 3 and `x`"), "2 ** 3 and <code>x</code>");
    }
}
