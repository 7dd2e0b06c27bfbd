//! Video files: GIF, animated PNG, numbered PNGs, or MP4 by ffmpeg.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, anyhow, bail};
use tempfile::NamedTempFile;

use super::picture::Picture;
use crate::files;

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Gif,
    Apng,
    /// A folder.
    Pngs,
    Mp4,
}

impl Format {
    /// Finds the format by the ending of a name.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        Ok(match ending.as_deref() {
            Some("gif") => Self::Gif,
            Some("apng" | "png") => Self::Apng,
            Some("png-sequence") => Self::Pngs,
            Some("mp4") => Self::Mp4,
            _ => bail!(
                "`{}`: give a name that ends in .gif, .apng, .mp4 or .png-sequence (a folder of PNGs)",
                path.display()
            ),
        })
    }

    /// The most pictures that it shows a second.
    pub(crate) fn most_fps(self) -> f64 {
        match self {
            // Its unit is a hundredth of a second, and browsers slow down pictures of one unit.
            Self::Gif => 50.0,
            _ => f64::INFINITY,
        }
    }
}

/// What a video is going to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) fps: f64,
    /// How many pictures follow. An animated PNG begins with it.
    pub(crate) pictures: usize,
}

/// Writes the pictures of a video, all of one size.
pub(crate) trait Video {
    fn add(&mut self, picture: &Picture) -> anyhow::Result<()>;

    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// Starts a video; its file is there when it is finished.
pub(crate) fn create(path: &Path, plan: Plan) -> anyhow::Result<Box<dyn Video>> {
    Ok(match Format::of(path)? {
        Format::Gif => Box::new(Gif::new(path, plan)?),
        Format::Apng => Box::new(Apng::new(path, plan)?),
        Format::Pngs => Box::new(Pngs::new(path)?),
        Format::Mp4 => Box::new(Mp4::new(path, plan)?),
    })
}

/// A temporary file in the same folder, so that a partial video is never visible.
struct Aside {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl Aside {
    fn new(path: &Path) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".video-")
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(files::failed("can't write", path))?;
        Ok(Self {
            file: BufWriter::new(file),
            path: path.to_owned(),
        })
    }

    fn finish(self) -> anyhow::Result<()> {
        let failed = files::failed("can't write", &self.path);
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        // Temporary files are for their owner's eyes only; a video is not.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let permissions = fs::Permissions::from_mode(0o644);
            file.as_file().set_permissions(permissions).map_err(&failed)?;
        }
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// The part of a picture that differs from the one before: left, top, width, height.
fn changed(before: &[u8], now: &Picture) -> Option<(usize, usize, usize, usize)> {
    let width = now.width;
    let differs = |i: usize| before.get(3 * i..3 * i + 3) != Some(&now.rgb[3 * i..3 * i + 3]);
    let rows = || (0..now.height).filter(|y| (y * width..(y + 1) * width).any(differs));
    let (top, bottom) = (rows().next()?, rows().next_back()?);
    let (mut left, mut right) = (width, 0);
    for y in top..=bottom {
        let columns = || (0..width).filter(|x| differs(y * width + x));
        if let (Some(first), Some(last)) = (columns().next(), columns().next_back()) {
            left = left.min(first);
            right = right.max(last);
        }
    }
    Some((left, top, right - left + 1, bottom - top + 1))
}

/// Each picture is only what has changed, with a palette of its own.
struct Gif {
    encoder: gif::Encoder<Aside>,
    path: PathBuf,
    fps: f64,
    added: u64,
    shown: Vec<u8>,
    /// Waits for its end, which comes with the next one that differs.
    waiting: Option<gif::Frame<'static>>,
}

impl Gif {
    fn new(path: &Path, plan: Plan) -> anyhow::Result<Self> {
        let size = |length: usize| u16::try_from(length).context("a GIF is at most 65535 pixels wide and high");
        let mut encoder = gif::Encoder::new(Aside::new(path)?, size(plan.width)?, size(plan.height)?, &[])?;
        encoder.set_repeat(gif::Repeat::Infinite)?;
        Ok(Self {
            encoder,
            path: path.to_owned(),
            fps: plan.fps,
            added: 0,
            shown: Vec::new(),
            waiting: None,
        })
    }

    /// The hundredths of a second at which picture `i` is shown.
    fn time(&self, i: u64) -> u64 {
        (i as f64 * 100.0 / self.fps).round() as u64
    }

    fn write(&mut self) -> anyhow::Result<()> {
        if let Some(frame) = self.waiting.take() {
            self.encoder
                .write_frame(&frame)
                .map_err(|error| anyhow!("can't write `{}`: {error}", self.path.display()))?;
        }
        Ok(())
    }
}

/// The pixels of a part of a picture as indices into a palette, those that stay as they are transparent; or, if there are
/// more than 255 colours, as the best 256.
fn indexed(
    before: &[u8],
    now: &Picture,
    (left, top, width, height): (usize, usize, usize, usize),
) -> gif::Frame<'static> {
    let mut colors: Vec<[u8; 3]> = Vec::new();
    let mut indices = std::collections::HashMap::new();
    let mut pixels = Vec::with_capacity(width * height);
    for y in top..top + height {
        for x in left..left + width {
            let at = 3 * (y * now.width + x);
            let pixel = [now.rgb[at], now.rgb[at + 1], now.rgb[at + 2]];
            if before.get(at..at + 3) == Some(&pixel) {
                pixels.push(0);
                continue;
            }
            let index = *indices.entry(pixel).or_insert_with(|| {
                colors.push(pixel);
                colors.len()
            });
            pixels.push(u8::try_from(index).unwrap_or(u8::MAX));
        }
    }
    let (left16, top16) = (left as u16, top as u16);
    if colors.len() > 255 {
        let mut rgb = Vec::with_capacity(3 * width * height);
        for y in top..top + height {
            let at = 3 * (y * now.width + left);
            rgb.extend_from_slice(&now.rgb[at..at + 3 * width]);
        }
        let mut frame = gif::Frame::from_rgb_speed(width as u16, height as u16, &rgb, 10);
        (frame.left, frame.top) = (left16, top16);
        return frame;
    }
    let mut palette = vec![0; 3];
    palette.extend(colors.concat());
    gif::Frame {
        left: left16,
        top: top16,
        width: width as u16,
        height: height as u16,
        palette: Some(palette),
        transparent: Some(0),
        dispose: gif::DisposalMethod::Keep,
        buffer: pixels.into(),
        ..gif::Frame::default()
    }
}

impl Video for Gif {
    fn add(&mut self, picture: &Picture) -> anyhow::Result<()> {
        let part = changed(&self.shown, picture);
        if let Some(part) = part {
            self.write()?;
            self.waiting = Some(indexed(&self.shown, picture, part));
            self.shown.clone_from(&picture.rgb);
        }
        let delay = self.time(self.added + 1) - self.time(self.added);
        self.added += 1;
        if let Some(frame) = &mut self.waiting {
            frame.delay = frame.delay.saturating_add(delay as u16);
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.write()?;
        self.encoder.into_inner()?.finish()
    }
}

/// A file that its PNG encoder does not give back.
#[derive(Clone)]
struct Shared(Rc<RefCell<Aside>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

struct Apng {
    writer: png::Writer<Shared>,
    file: Shared,
    path: PathBuf,
    shown: Vec<u8>,
}

/// Sets what all PNGs have in common.
fn png_encoder<W: Write>(to: W, width: usize, height: usize) -> png::Encoder<'static, W> {
    let mut encoder = png::Encoder::new(to, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
}

fn png_failed(path: &Path) -> impl Fn(png::EncodingError) -> anyhow::Error {
    move |error| anyhow!("can't write `{}`: {error}", path.display())
}

impl Apng {
    fn new(path: &Path, plan: Plan) -> anyhow::Result<Self> {
        let failed = png_failed(path);
        let file = Shared(Rc::new(RefCell::new(Aside::new(path)?)));
        let mut encoder = png_encoder(file.clone(), plan.width, plan.height);
        encoder.set_animated(plan.pictures as u32, 0).map_err(&failed)?;
        let milliseconds = (1000.0 / plan.fps).round() as u16;
        encoder.set_frame_delay(milliseconds, 1000).map_err(&failed)?;
        Ok(Self {
            writer: encoder.write_header().map_err(&failed)?,
            file,
            path: path.to_owned(),
            shown: Vec::new(),
        })
    }
}

impl Video for Apng {
    fn add(&mut self, picture: &Picture) -> anyhow::Result<()> {
        let failed = png_failed(&self.path);
        // Every picture counts, so that one that has not changed is a single pixel.
        let (left, top, width, height) = changed(&self.shown, picture).unwrap_or((0, 0, 1, 1));
        if !self.shown.is_empty() {
            let writer = &mut self.writer;
            // In this order, because neither may leave the picture.
            writer.reset_frame_position().map_err(&failed)?;
            writer
                .set_frame_dimension(width as u32, height as u32)
                .map_err(&failed)?;
            writer.set_frame_position(left as u32, top as u32).map_err(&failed)?;
        }
        let lines = (top..top + height).map(|y| 3 * (y * picture.width + left));
        let part: Vec<&[u8]> = lines.map(|at| &picture.rgb[at..at + 3 * width]).collect();
        self.writer.write_image_data(&part.concat()).map_err(&failed)?;
        self.shown.clone_from(&picture.rgb);
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        let Self { writer, file, path, .. } = *self;
        writer.finish().map_err(png_failed(&path))?;
        let Some(file) = Rc::into_inner(file.0) else {
            unreachable!("the encoder's is dropped");
        };
        file.into_inner().finish()
    }
}

struct Pngs {
    folder: PathBuf,
    added: usize,
}

impl Pngs {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        if let Err(error) = fs::create_dir(folder) {
            if error.kind() == ErrorKind::AlreadyExists {
                bail!("`{}` exists: choose another folder, or remove it", folder.display());
            }
            return Err(files::failed("can't make", folder)(error).into());
        }
        Ok(Self {
            folder: folder.to_owned(),
            added: 0,
        })
    }
}

/// Writes a PNG file.
pub(crate) fn write_png(path: &Path, picture: &Picture) -> anyhow::Result<()> {
    let failed = png_failed(path);
    let file = File::create(path).map_err(files::failed("can't write", path))?;
    let mut writer = png_encoder(BufWriter::new(file), picture.width, picture.height)
        .write_header()
        .map_err(&failed)?;
    writer.write_image_data(&picture.rgb).map_err(&failed)?;
    writer.finish().map_err(&failed)
}

impl Video for Pngs {
    fn add(&mut self, picture: &Picture) -> anyhow::Result<()> {
        write_png(&self.folder.join(format!("{:06}.png", self.added)), picture)?;
        self.added += 1;
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        Ok(())
    }
}

struct Mp4 {
    ffmpeg: Child,
    pictures: BufWriter<ChildStdin>,
    path: PathBuf,
}

impl Mp4 {
    fn new(path: &Path, plan: Plan) -> anyhow::Result<Self> {
        // H.264 in the colours that every player knows needs an even width and height.
        let started = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "rgb24"])
            .args(["-video_size", &format!("{}x{}", plan.width, plan.height)])
            .args(["-framerate", &plan.fps.to_string(), "-i", "-"])
            .args([
                "-vf",
                "pad=ceil(iw/2)*2:ceil(ih/2)*2",
                "-pix_fmt",
                "yuv420p",
                "-crf",
                "18",
            ])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut ffmpeg = started.map_err(|error| match error.kind() {
            ErrorKind::NotFound => anyhow!(
                "ffmpeg, which makes `{}`, is not installed: install it, or write a .gif or .apng",
                path.display()
            ),
            _ => anyhow!("ffmpeg cannot be started: {error}"),
        })?;
        let Some(pictures) = ffmpeg.stdin.take() else {
            unreachable!("it was asked for")
        };
        Ok(Self {
            ffmpeg,
            pictures: BufWriter::new(pictures),
            path: path.to_owned(),
        })
    }
}

impl Video for Mp4 {
    fn add(&mut self, picture: &Picture) -> anyhow::Result<()> {
        // When ffmpeg has ended, its own words tell why.
        let _ = self.pictures.write_all(&picture.rgb);
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        let Self { ffmpeg, pictures, path } = *self;
        drop(pictures);
        let output = ffmpeg.wait_with_output()?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            let last = words.lines().last().unwrap_or("it does not say why");
            bail!("ffmpeg could not write `{}`: {last}", path.display());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dot that wanders over a striped background, and now and then stands still.
    fn pictures() -> Vec<Picture> {
        let picture = |number: usize| {
            let (width, height) = (13, 9);
            let mut rgb: Vec<u8> = (0..width * height)
                .flat_map(|i| [0, (i / width * 20) as u8, 90])
                .collect();
            let at = 3 * ((number / 3 * 7) % (width * height));
            rgb[at..at + 3].copy_from_slice(&[255, 200, number as u8 / 3]);
            Picture {
                width,
                height,
                pixel_aspect: 1,
                rgb,
            }
        };
        (0..40).map(picture).collect()
    }

    fn plan(pictures: &[Picture], fps: f64) -> Plan {
        Plan {
            width: pictures[0].width,
            height: pictures[0].height,
            fps,
            pictures: pictures.len(),
        }
    }

    fn write(path: &Path, pictures: &[Picture], fps: f64) {
        let mut video = create(path, plan(pictures, fps)).unwrap();
        for picture in pictures {
            video.add(picture).unwrap();
        }
        video.finish().unwrap();
    }

    /// What a GIF shows, and for how many hundredths of a second.
    fn shown(path: &Path) -> Vec<(Vec<u8>, u16)> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(File::open(path).unwrap()).unwrap();
        let width = usize::from(decoder.width());
        let mut canvas = vec![0; 3 * width * usize::from(decoder.height())];
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            for (i, pixel) in frame.buffer.as_chunks::<4>().0.iter().enumerate() {
                let (x, y) = (i % usize::from(frame.width), i / usize::from(frame.width));
                let at = 3 * ((y + usize::from(frame.top)) * width + x + usize::from(frame.left));
                if pixel[3] != 0 {
                    canvas[at..at + 3].copy_from_slice(&pixel[..3]);
                }
            }
            frames.push((canvas.clone(), frame.delay));
        }
        frames
    }

    #[test]
    fn a_gif_shows_every_picture_for_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        let pictures = pictures();
        write(&path, &pictures, 30.0);
        let frames = shown(&path);
        // Three of the same are one of 10 hundredths; the last of 40 is alone.
        assert_eq!(frames.len(), 14);
        for (i, (rgb, delay)) in frames.iter().enumerate() {
            assert!(*rgb == pictures[3 * i].rgb, "picture {i}");
            assert_eq!(*delay, if i == 13 { 3 } else { 10 }, "picture {i}");
        }
    }

    #[test]
    fn a_gif_has_the_nearest_colours_if_there_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        let rgb: Vec<u8> = (0..30 * 30)
            .flat_map(|i| [(i % 30 * 8) as u8, (i / 30 * 8) as u8, 40])
            .collect();
        let picture = Picture {
            width: 30,
            height: 30,
            pixel_aspect: 1,
            rgb,
        };
        write(&path, std::slice::from_ref(&picture), 25.0);
        let [(rgb, delay)] = shown(&path).try_into().unwrap();
        assert_eq!(delay, 4);
        let sum: usize = rgb
            .iter()
            .zip(&picture.rgb)
            .map(|(a, b)| usize::from(a.abs_diff(*b)))
            .sum();
        // Neural quantisation: on average near, not everywhere.
        assert!(sum < 10 * rgb.len(), "{sum}");
    }

    #[test]
    fn an_animated_png_shows_every_picture() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.apng");
        let pictures = pictures();
        write(&path, &pictures, 60.0);
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&path).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let animation = *reader.info().animation_control().unwrap();
        assert_eq!((animation.num_frames, animation.num_plays), (40, 0));
        let mut canvas = vec![0; pictures[0].rgb.len()];
        let mut buffer = canvas.clone();
        for picture in &pictures {
            reader.next_frame(&mut buffer).unwrap();
            let part = *reader.info().frame_control().unwrap();
            assert_eq!((part.delay_num, part.delay_den), (17, 1000));
            let (width, left) = (part.width as usize, part.x_offset as usize);
            for y in 0..part.height as usize {
                let at = 3 * ((y + part.y_offset as usize) * picture.width + left);
                canvas[at..at + 3 * width].copy_from_slice(&buffer[3 * y * width..][..3 * width]);
            }
            assert!(canvas == picture.rgb);
        }
    }

    #[test]
    fn numbered_pngs_are_in_a_new_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png-sequence");
        let pictures = pictures();
        write(&path, &pictures[..3], 60.0);
        let names = fs::read_dir(&path).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["000000.png", "000001.png", "000002.png"]);
        let error = create(&path, plan(&pictures, 60.0)).err().unwrap().to_string();
        assert!(
            error.ends_with("exists: choose another folder, or remove it"),
            "{error}"
        );
    }

    #[test]
    fn the_ending_tells_the_format() {
        let of = |name: &str| Format::of(Path::new(name)).ok();
        assert_eq!(
            ["a.gif", "b.APNG", "c.png", "d/e.mp4", "f.png-sequence"].map(of),
            [Format::Gif, Format::Apng, Format::Apng, Format::Mp4, Format::Pngs].map(Some)
        );
        let error = Format::of(Path::new("pong.avi")).unwrap_err().to_string();
        assert_eq!(
            error,
            "`pong.avi`: give a name that ends in .gif, .apng, .mp4 or .png-sequence (a folder of PNGs)"
        );
    }
}
