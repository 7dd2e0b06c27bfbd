//! Configuration files.

use std::path::Path;

use anyhow::anyhow;
use toml::Table;

use crate::files;

pub(super) fn read_table(path: &Path) -> anyhow::Result<Table> {
    let text = files::read(path)?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            let before = &text.as_bytes()[..span.start.min(text.len())];
            1 + before.iter().filter(|&&byte| byte == b'\n').count()
        });
        anyhow!(
            "`{}` line {line} is not TOML: {}",
            path.display(),
            one_line(error.message())
        )
    })
}

pub(super) fn in_file(path: Option<&Path>, error: &dyn std::fmt::Display) -> anyhow::Error {
    match path {
        Some(path) => anyhow!("`{}`: {error}", path.display()),
        None => anyhow!("{error}"),
    }
}

pub(super) fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
