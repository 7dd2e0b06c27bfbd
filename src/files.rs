//! File operations with errors that name the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// A failed file operation.
#[derive(Debug, thiserror::Error)]
#[error("{action} `{}`: {source}", path.display())]
pub(crate) struct FileError {
    /// The operation, e.g. `can't write`.
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Converts an I/O error into one that names the operation and the file.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError {
        action,
        path: path.clone(),
        source,
    }
}

/// Writes a whole file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), FileError> {
    fs::write(path, text).map_err(failed("can't write", path))
}

/// Checks that a file can be written, without changing it, before spending time on its contents.
pub(crate) fn check_writable(path: &Path) -> Result<(), FileError> {
    let is_new = !path.exists();
    let mut open = fs::OpenOptions::new();
    open.append(true)
        .create(true)
        .open(path)
        .map_err(failed("can't write", path))?;
    if is_new {
        fs::remove_file(path).map_err(failed("can't write", path))?;
    }
    Ok(())
}

/// Checks that a picture's name ends in `.svg` or `.png` and that it can be written. `what` names its contents for the error, e.g.
/// `curves are`.
pub(crate) fn check_picture(path: &Path, what: &str) -> anyhow::Result<()> {
    if path.extension().is_none_or(|ending| ending != "svg" && ending != "png") {
        bail!(
            "`{}`: {what} drawn as SVG or PNG; give a name that ends in .svg or .png",
            path.display()
        );
    }
    Ok(check_writable(path)?)
}

/// Writes a picture, which is an SVG, in the format of the file's name.
pub(crate) fn write_picture(path: &Path, svg: &str) -> anyhow::Result<()> {
    if path.extension().is_some_and(|ending| ending == "png") {
        let png = png(svg).map_err(|error| anyhow!("can't draw `{}`: {error}", path.display()))?;
        return Ok(fs::write(path, png).map_err(failed("can't write", path))?);
    }
    Ok(write(path, svg)?)
}

/// Pixels of a PNG for each unit of an SVG.
const SCALE: f32 = 2.0;

/// Turns an SVG into a PNG, with a font of our own, so that it looks the same everywhere.
fn png(svg: &str) -> anyhow::Result<Vec<u8>> {
    let mut options = Options::default();
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().next().and_then(|face| face.families.first());
    if let Some((family, _)) = family.cloned() {
        fonts.set_sans_serif_family(family);
    }
    let tree = Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let pixels = size.and_then(|size| Pixmap::new(size.width(), size.height()));
    let mut pixels = pixels.ok_or_else(|| anyhow!("it has no size"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

/// Reads a whole text file.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(failed("can't read", path))
}

/// Makes `path` absolute, because paths in files must not depend on the current directory.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, FileError> {
    std::path::absolute(path).map_err(failed("can't find", path))
}
