//! Reading a wheel, which is a zip archive with a METADATA file.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{AtPath, SetupError};
use crate::progress;

/// Bytes that are unpacked at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// An open wheel.
pub(crate) struct Wheel {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
}

impl Wheel {
    pub(crate) fn open(path: &Path) -> Result<Wheel, SetupError> {
        let file = File::open(path).at("open", path)?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(path, error))?;
        Ok(Wheel {
            path: path.to_owned(),
            archive,
        })
    }

    /// The file's name, for messages.
    pub(crate) fn name(&self) -> String {
        file_name(&self.path)
    }

    /// The names of all files in it, less those that are not UTF-8.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = self.archive.file_names().flatten();
        names.filter(|name| !name.ends_with('/')).map(Cow::into_owned).collect()
    }

    /// The bytes of one file; their checksum in the archive (CRC-32) is checked.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<u8>, SetupError> {
        let mut bytes = Vec::new();
        let mut file = self.archive.by_name(name).map_err(|error| damaged(&self.path, error))?;
        file.read_to_end(&mut bytes)
            .map_err(|error| damaged(&self.path, error.into()))?;
        Ok(bytes)
    }

    /// The METADATA file: the package's name, version and requirements.
    pub(crate) fn metadata(&mut self) -> Result<String, SetupError> {
        let name = self
            .files()
            .into_iter()
            .find(|name| name.ends_with(".dist-info/METADATA"));
        let name = name.ok_or_else(|| self.incomplete("METADATA"))?;
        Ok(String::from_utf8_lossy(&self.read(&name)?).into_owned())
    }

    /// Unpacks the files for which `place` gives a path, relative to `into`. Returns the bytes written.
    pub(crate) fn unpack(&mut self, into: &Path, place: impl Fn(&str) -> Option<PathBuf>) -> Result<u64, SetupError> {
        let chosen: Vec<(String, PathBuf)> = self
            .files()
            .into_iter()
            .filter_map(|name| place(&name).map(|path| (name, into.join(path))))
            .collect();
        let mut total_bytes = 0;
        for (name, _) in &chosen {
            total_bytes += self
                .archive
                .by_name(name)
                .map_err(|error| damaged(&self.path, error))?
                .size();
        }
        let bar = progress::bytes_bar(total_bytes, &format!("unpacking {}", short_name(&self.path)));
        for (name, path) in &chosen {
            let mut file = self.archive.by_name(name).map_err(|error| damaged(&self.path, error))?;
            write(path, &mut file, &self.path, &bar)?;
        }
        bar.finish_and_clear();
        Ok(total_bytes)
    }

    pub(crate) fn incomplete(&self, missing: &str) -> SetupError {
        SetupError::Incomplete {
            wheel: self.name(),
            missing: missing.to_owned(),
        }
    }
}

/// The version that METADATA pins for `package`: of `Requires-Dist: cuda-toolkit[cupti]==13.0.2; …` it is `13.0.2`.
pub(crate) fn pinned_version(metadata: &str, package: &str) -> Option<String> {
    metadata
        .lines()
        .filter_map(|line| line.strip_prefix("Requires-Dist: "))
        .find_map(|requirement| {
            let name_end = requirement.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)))?;
            if &requirement[..name_end] != package {
                return None;
            }
            let (_, version) = requirement.split(';').next()?.split_once("==")?;
            Some(version.trim_end_matches(')').trim().to_owned())
        })
}

/// Copies `from`, a file of `wheel`, to `path`. Failures to read blame the wheel, failures to write the disk.
fn write(path: &Path, from: &mut impl Read, wheel: &Path, bar: &ProgressBar) -> Result<(), SetupError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).at("create", folder)?;
    }
    let mut to = File::create(path).at("create", path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let bytes = from.read(&mut chunk).map_err(|error| damaged(wheel, error.into()))?;
        if bytes == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..bytes]).at("write", path)?;
        bar.inc(bytes as u64);
    }
}

fn damaged(wheel: &Path, error: ZipError) -> SetupError {
    SetupError::Damaged {
        what: file_name(wheel),
        cause: error.to_string(),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `torch-2.11.0` of `torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl`.
fn short_name(path: &Path) -> String {
    file_name(path).splitn(3, '-').take(2).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::write_wheel;

    #[test]
    fn pins_are_read_from_metadata() {
        // Lines of the METADATA of torch 2.11.0 and cuda-toolkit 13.0.2.
        let metadata = "Name: torch\n\
            Requires-Dist: cuda-toolkit[cublas,cudart,cupti]==13.0.2; platform_system == \"Linux\"\n\
            Requires-Dist: cuda-bindings<14,>=13.0.3; platform_system == \"Linux\"\n\
            Requires-Dist: nvidia-cuda-cupti==13.0.85.*; (sys_platform == 'linux') and extra == 'all'\n";
        assert_eq!(pinned_version(metadata, "cuda-toolkit").as_deref(), Some("13.0.2"));
        assert_eq!(
            pinned_version(metadata, "nvidia-cuda-cupti").as_deref(),
            Some("13.0.85.*")
        );
        assert_eq!(pinned_version(metadata, "cuda-bindings"), None);
        assert_eq!(pinned_version(metadata, "cuda"), None);
    }

    #[test]
    fn only_chosen_files_are_unpacked() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("thing-1.0-py3.whl");
        write_wheel(&path, &[("a/keep", b"kept"), ("a/drop", b"dropped")]);
        let mut wheel = Wheel::open(&path).unwrap();
        let place = |name: &str| name.ends_with("keep").then(|| PathBuf::from("b/kept"));
        assert_eq!(wheel.unpack(root.path(), place).unwrap(), 4);
        assert_eq!(fs::read(root.path().join("b/kept")).unwrap(), b"kept");
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn a_flipped_byte_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("thing-1.0-py3.whl");
        write_wheel(&path, &[("file", b"some bytes that are stored as they are")]);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(4).position(|window| window == b"some").unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = Wheel::open(&path).unwrap().read("file").unwrap_err().to_string();
        assert!(
            error.starts_with("the download of thing-1.0-py3.whl is damaged"),
            "{error}"
        );
    }

    #[test]
    fn a_wheel_that_is_cut_off_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("thing-1.0-py3.whl");
        write_wheel(&path, &[("file", &[7; 1000])]);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..500]).unwrap();
        let error = Wheel::open(&path).err().unwrap().to_string();
        assert!(error.contains("is damaged"), "{error}");
    }

    /// `/dev/full` fails each write with ENOSPC, full(4).
    #[test]
    #[cfg(target_os = "linux")]
    fn a_disk_that_fills_up_while_unpacking_is_not_blamed_on_the_wheel() {
        let from = &mut &[1_u8; 10][..];
        let error = write(Path::new("/dev/full"), from, Path::new("w.whl"), &ProgressBar::hidden()).unwrap_err();
        assert!(matches!(error, SetupError::DiskFull { .. }), "{error}");
    }
}
