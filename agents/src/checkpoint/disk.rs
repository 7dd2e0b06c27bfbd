//! Checkpoints on disk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{SafeTensors, TensorView, View};
use safetensors::{Dtype, SafeTensorError, serialize_to_file};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::bytes::{Bytes, BytesWriter, Span};
use super::error::{damaged, io};
use super::{CheckpointError, Section};

/// The format that this version writes and reads. It changes whenever older checkpoints would be misread.
const FORMAT: u32 = 4;
const MANIFEST: &str = "manifest.json";
const TENSORS: &str = "tensors.safetensors";
const STATE: &str = "state.json";
const BYTES: &str = "bytes.bin";
/// The maximum number of parts of a name, because nested sections are walked recursively.
const MAX_PARTS: usize = 16;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    /// The checksum of this file, computed with this field empty.
    crc32: String,
    files: BTreeMap<String, FileEntry>,
    /// The position of each byte string in its file, and the length of that file.
    bytes: BTreeMap<String, Span>,
    bytes_len: u64,
}

/// The fields that every format has.
#[derive(Deserialize)]
struct AnyManifest {
    format: u32,
}

impl Manifest {
    /// Fills in the checksum and returns the bytes of the file.
    fn seal(&mut self) -> Result<Vec<u8>, CheckpointError> {
        self.crc32 = self.checksum()?;
        json(self)
    }

    fn checksum(&mut self) -> Result<String, CheckpointError> {
        self.crc32.clear();
        Ok(format!("{:08x}", crc32fast::hash(&json(self)?)))
    }

    /// Reads a manifest and checks its checksum, and that everything it names lies within the files.
    fn read(path: &Path) -> Result<Self, CheckpointError> {
        let text = read_file(path)?;
        let AnyManifest { format } = serde_json::from_slice(&text).map_err(|error| damaged(path, &error))?;
        if format != FORMAT {
            return Err(CheckpointError::Format {
                path: path.parent().unwrap_or(path).to_owned(),
                found: format,
                known: FORMAT,
            });
        }
        let mut manifest: Self = serde_json::from_slice(&text).map_err(|error| damaged(path, &error))?;
        let stated = manifest.crc32.clone();
        let found = manifest.checksum()?;
        if found != stated {
            return Err(damaged(path, &format!("CRC-32 {found} instead of {stated}")));
        }
        for (name, Span { at, len, .. }) in &manifest.bytes {
            if at.checked_add(*len).is_none_or(|end| end > manifest.bytes_len) {
                let reason = format!("`{name}` would lie beyond the {} bytes of {BYTES}", manifest.bytes_len);
                return Err(damaged(path, &reason));
            }
        }
        Ok(manifest)
    }
}

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct FileEntry {
    bytes: u64,
    crc32: String,
}

impl FileEntry {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            crc32: format!("{:08x}", crc32fast::hash(bytes)),
        }
    }

    /// Computes the size and checksum of a file.
    fn read(path: &Path) -> Result<Self, CheckpointError> {
        let mut file = File::open(path).map_err(io("can't read", path))?;
        let (mut sum, mut bytes) = (crc32fast::Hasher::new(), 0);
        let mut piece = vec![0; 1 << 18];
        loop {
            let len = file.read(&mut piece).map_err(io("can't read", path))?;
            if len == 0 {
                let crc32 = format!("{:08x}", sum.finalize());
                return Ok(Self { bytes, crc32 });
            }
            sum.update(&piece[..len]);
            bytes += len as u64;
        }
    }
}

/// Writes a checkpoint to the folder `path`, replacing an existing one: whatever `save` puts into a section. The
/// folder appears under that name only once everything is on disk.
///
/// ```
/// use coinop_agents::checkpoint::{read, write};
/// use coinop_agents::{CheckpointError, Section};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("checkpoint");
/// write(&path, |section: &mut Section| section.put("count", &3))?;
/// assert_eq!(read(&path)?.get::<i32>("count")?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The errors of `save`. [`CheckpointError::Io`] with the file and the system's message, also if the parent folder of
/// `path` does not exist: it is not created again, because someone removed it. [`CheckpointError::NotFinite`] if a
/// tensor contains NaN or infinity.
pub fn write<E: From<CheckpointError>>(path: &Path, save: impl FnOnce(&mut Section) -> Result<(), E>) -> Result<(), E> {
    Ok(begin(path, save)?.publish()?)
}

/// A complete checkpoint that is not yet synced to disk and not yet visible under its name.
///
/// ```
/// use coinop_agents::checkpoint::begin;
/// use coinop_agents::{CheckpointError, Section};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("checkpoint");
/// let unpublished = begin(&path, |section: &mut Section| section.put("count", &3))?;
/// // The count may change now, while another thread waits for the disk.
/// std::thread::spawn(move || unpublished.publish()).join().expect("no panic")?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "it becomes a checkpoint when it is published"]
pub struct Unpublished {
    aside: PathBuf,
    path: PathBuf,
}

impl Unpublished {
    /// Waits until everything is on disk, then renames the folder. This is the slow part of writing a checkpoint and
    /// does not need the saved components, so another thread can do it.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Io`].
    pub fn publish(self) -> Result<(), CheckpointError> {
        let sync = || {
            for name in [TENSORS, STATE, BYTES, MANIFEST] {
                let file = self.aside.join(name);
                let synced = File::open(&file).and_then(|file| file.sync_all());
                synced.map_err(io("can't write", &file))?;
            }
            sync_dir(&self.aside)
        };
        sync().inspect_err(|_| drop(remove(&self.aside)))?;
        rename(&self.aside, &self.path)
    }
}

/// The first half of [`write()`]: once it returns, the saved components may change again.
///
/// ```
/// use coinop_agents::checkpoint::begin;
/// use coinop_agents::{CheckpointError, Section};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("checkpoint");
/// let unpublished = begin(&path, |section: &mut Section| section.put("count", &3))?;
/// assert!(!path.exists());
/// unpublished.publish()?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As for [`write()`].
pub fn begin<E: From<CheckpointError>>(
    path: &Path,
    save: impl FnOnce(&mut Section) -> Result<(), E>,
) -> Result<Unpublished, E> {
    let aside = sibling(path, SUFFIXES[0]);
    remove(&aside)?;
    // The disk may be full: what was written is of no use.
    fill(path, &aside, save).inspect_err(|_| drop(remove(&aside)))?;
    let path = path.to_owned();
    Ok(Unpublished { aside, path })
}

/// Writes all files of a checkpoint.
fn fill<E: From<CheckpointError>>(
    path: &Path,
    aside: &Path,
    save: impl FnOnce(&mut Section) -> Result<(), E>,
) -> Result<(), E> {
    fs::create_dir(aside).map_err(io("can't create the folder", aside))?;
    let writer = BytesWriter::create(&aside.join(BYTES))?;
    let mut section = Section {
        writer: Some(writer.clone()),
        ..Section::default()
    };
    save(&mut section)?;
    let mut flat = Flat::default();
    flatten(&section, "", &mut flat);
    check_finite(&flat.tensors, path)?;
    write_tensors(&aside.join(TENSORS), &flat.tensors)?;
    let state = json(&flat.values)?;
    write_new(&aside.join(STATE), &state)?;
    let files = BTreeMap::from([
        (TENSORS.to_owned(), FileEntry::read(&aside.join(TENSORS))?),
        (STATE.to_owned(), FileEntry::of(&state)),
    ]);
    let mut manifest = Manifest {
        format: FORMAT,
        crc32: String::new(),
        files,
        bytes: flat.bytes,
        bytes_len: writer.flush()?,
    };
    Ok(write_new(&aside.join(MANIFEST), &manifest.seal()?)?)
}

/// Removes the byte strings of a checkpoint, which may be most of its size. Its weights remain, but no run can resume
/// from it.
///
/// ```
/// use coinop_agents::checkpoint::{read, strip, write};
/// use coinop_agents::{CheckpointError, Section};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("checkpoint");
/// write(&path, |section: &mut Section| {
///     section.put("count", &3)?;
///     section.put_bytes("frames", [&[0u8; 1000][..]])
/// })?;
/// strip(&path)?;
/// let section = read(&path)?;
/// assert_eq!(section.get::<i32>("count")?, 3);
/// assert!(section.bytes("frames").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`CheckpointError::Io`].
pub fn strip(path: &Path) -> Result<(), CheckpointError> {
    remove(&path.join(BYTES))
}

/// Writes the file `path`, replacing an existing one. The file appears under that name only once everything is on
/// disk.
///
/// ```
/// use coinop_agents::checkpoint::write_file;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("checkpoint");
/// write_file(&path, b"whole")?;
/// assert_eq!(std::fs::read(&path)?, b"whole");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`CheckpointError::Io`] with the file and the system's message.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let aside = sibling(path, SUFFIXES[0]);
    remove(&aside)?;
    // The disk may be full: what was written is of no use.
    write_synced(&aside, bytes).inspect_err(|_| drop(remove(&aside)))?;
    rename(&aside, path)
}

/// Renames `aside` to `path`, replacing what had that name.
fn rename(aside: &Path, path: &Path) -> Result<(), CheckpointError> {
    let old = sibling(path, SUFFIXES[1]);
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let sync = || sync_dir(parent.unwrap_or(Path::new(".")));
    // A file takes another's place in one step; a folder only that of an empty one.
    if !path.is_dir() {
        fs::rename(aside, path).map_err(io("can't rename to", path))?;
        sync()?;
        return remove(&old);
    }
    remove(&old)?;
    if exchange(aside, path) {
        sync()?;
        return remove(aside);
    }
    // Where that is not to be had, a process that is killed between the two leaves `.old`: see `recover`.
    fs::rename(path, &old).map_err(io("can't replace", path))?;
    fs::rename(aside, path).map_err(io("can't rename to", path))?;
    sync()?;
    remove(&old)
}

/// Atomically exchanges two folders, so that a folder named `path` always exists; `false` if the system cannot.
#[cfg(target_os = "linux")]
fn exchange(aside: &Path, path: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, aside, CWD, path, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange(_aside: &Path, _path: &Path) -> bool {
    false
}

/// Restores checkpoints that a killed process left renamed: `1000000.old` becomes `1000000` if there is none.
///
/// ```
/// use coinop_agents::checkpoint::{read, recover, write};
/// use coinop_agents::{CheckpointError, Section};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// write(&folder.join("1000.old"), |section: &mut Section| section.put("count", &3))?;
/// recover(folder)?;
/// assert_eq!(read(&folder.join("1000"))?.get::<i32>("count")?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`CheckpointError::Io`].
pub fn recover(folder: &Path) -> Result<(), CheckpointError> {
    for entry in fs::read_dir(folder)
        .map_err(io("can't list the folder", folder))?
        .flatten()
    {
        let old = entry.path();
        let name = old.file_name().and_then(|name| name.to_str());
        let Some(name) = name.and_then(|name| name.strip_suffix(SUFFIXES[1])) else {
            continue;
        };
        let path = old.with_file_name(name);
        if old.is_dir() && !path.exists() {
            fs::rename(&old, &path).map_err(io("can't rename to", &path))?;
        }
    }
    Ok(())
}

/// Reads the checkpoint in the folder `path`.
///
/// ```
/// use coinop_agents::checkpoint::read;
/// use coinop_agents::CheckpointError;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("checkpoint");
/// assert!(matches!(read(&path), Err(CheckpointError::Io { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`CheckpointError::Io`], [`CheckpointError::Damaged`] if a file is not what was written,
/// [`CheckpointError::NotFinite`], [`CheckpointError::Format`].
pub fn read(path: &Path) -> Result<Section, CheckpointError> {
    let manifest_path = path.join(MANIFEST);
    let manifest = Manifest::read(&manifest_path)?;
    let file = |name: &str| {
        let path = path.join(name);
        let bytes = read_file(&path)?;
        let entry = manifest
            .files
            .get(name)
            .ok_or_else(|| damaged(&manifest_path, &format!("it does not list {name}")))?;
        let found = FileEntry::of(&bytes);
        if found != *entry {
            let reason = format!(
                "CRC-32 {} and {} bytes instead of {} and {}",
                found.crc32, found.bytes, entry.crc32, entry.bytes
            );
            return Err(damaged(&path, &reason));
        }
        Ok((path, bytes))
    };
    let mut section = Section::default();
    let (tensors_path, bytes) = file(TENSORS)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&tensors_path, &error))?;
    for (name, view) in tensors.iter() {
        let tensor =
            to_tensor(&view).ok_or_else(|| damaged(&tensors_path, &format!("tensor {name} has an unknown type")))?;
        let (scope, name) = section.scope(name).map_err(|error| damaged(&tensors_path, &error))?;
        scope.tensors.insert(name, tensor);
    }
    let mut read = Flat::default();
    flatten(&section, "", &mut read);
    check_finite(&read.tensors, path)?;
    let (state_path, bytes) = file(STATE)?;
    let values: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&bytes).map_err(|error| damaged(&state_path, &error))?;
    for (name, value) in values {
        let (scope, name) = section.scope(&name).map_err(|error| damaged(&state_path, &error))?;
        scope.values.insert(name, value);
    }
    if !manifest.bytes.is_empty() {
        let bytes_path = Arc::new(path.join(BYTES));
        // Without it, a checkpoint is of use for its weights: see `strip`.
        let found = fs::metadata(bytes_path.as_path()).map_or(manifest.bytes_len, |file| file.len());
        if found != manifest.bytes_len {
            let reason = format!("{found} bytes instead of {}", manifest.bytes_len);
            return Err(damaged(&bytes_path, &reason));
        }
        for (name, span) in manifest.bytes {
            let (scope, name) = section.scope(&name).map_err(|error| damaged(&manifest_path, &error))?;
            let path = Arc::clone(&bytes_path);
            scope.bytes.insert(name, Bytes::File { path, span });
        }
    }
    Ok(section)
}

impl Section {
    /// Returns the section and the last part of a name such as `learner/network/weight`.
    fn scope(&mut self, name: &str) -> Result<(&mut Section, String), String> {
        let parts = name.split('/').count();
        if parts > MAX_PARTS {
            return Err(format!(
                "a name in it has {parts} parts, at most {MAX_PARTS} make sense"
            ));
        }
        let mut section = self;
        let mut rest = name;
        while let Some((scope, below)) = rest.split_once('/') {
            section = section.section_mut(scope);
            rest = below;
        }
        Ok((section, rest.to_owned()))
    }
}

/// The contents of a section and of all nested ones, by full name.
#[derive(Default)]
struct Flat<'a> {
    tensors: BTreeMap<String, &'a Tensor>,
    values: BTreeMap<String, &'a serde_json::Value>,
    bytes: BTreeMap<String, Span>,
}

fn flatten<'a>(section: &'a Section, prefix: &str, flat: &mut Flat<'a>) {
    let whole = |name: &String| format!("{prefix}{name}");
    flat.tensors
        .extend(section.tensors.iter().map(|(name, tensor)| (whole(name), tensor)));
    flat.values
        .extend(section.values.iter().map(|(name, value)| (whole(name), value)));
    let spans = section.bytes.iter().filter_map(|(name, bytes)| match bytes {
        Bytes::File { span, .. } => Some((whole(name), span.clone())),
        Bytes::Memory(_) => None,
    });
    flat.bytes.extend(spans);
    for (name, inner) in &section.sections {
        flatten(inner, &format!("{prefix}{name}/"), flat);
    }
}

/// Checks that all numbers are finite: a single NaN in the weights makes every action of a policy meaningless.
fn check_finite(tensors: &BTreeMap<String, &Tensor>, path: &Path) -> Result<(), CheckpointError> {
    for (name, tensor) in tensors {
        let is_finite = tensor
            .f_isfinite()
            .and_then(|finite| finite.f_all()?.f_int64_value(&[]));
        if is_finite.map_err(|error| CheckpointError::unfit(name, &error))? == 0 {
            return Err(CheckpointError::NotFinite {
                path: path.to_owned(),
                tensor: name.clone(),
            });
        }
    }
    Ok(())
}

/// A tensor for safetensors, copied only when it is written.
struct Saved<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl View for &Saved<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        // Contiguous, and of the length that it says: see `write_tensors`.
        self.tensor.copy_data_u8(&mut bytes, self.tensor.numel());
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

fn write_tensors(path: &Path, tensors: &BTreeMap<String, &Tensor>) -> Result<(), CheckpointError> {
    let contiguous = |(name, tensor): (&String, &&Tensor)| {
        let tensor = tensor
            .f_contiguous()
            .map_err(|error| CheckpointError::unfit(name, &error));
        Ok((name.clone(), tensor?))
    };
    let tensors: Vec<(String, Tensor)> = tensors.iter().map(contiguous).collect::<Result<_, CheckpointError>>()?;
    let saved = |(name, tensor)| {
        let (name, tensor): (&String, &Tensor) = (name, tensor);
        let kind = tensor.kind();
        let dtype = dtype(kind)
            .ok_or_else(|| CheckpointError::unfit(name, &format!("tensors of kind {kind:?} are not saved")))?;
        let shape = tensor.size().iter().map(|&dim| dim as usize).collect();
        Ok((name.as_str(), Saved { tensor, dtype, shape }))
    };
    let pairs = tensors.iter().map(|(name, tensor)| saved((name, tensor)));
    let views: Vec<_> = pairs.collect::<Result<_, CheckpointError>>()?;
    let written = serialize_to_file(views.iter().map(|(name, saved)| (*name, saved)), None, path);
    written.map_err(|error| match error {
        SafeTensorError::IoError(source) => io("can't write", path)(source),
        error => CheckpointError::unfit(TENSORS, &error),
    })
}

const KINDS: [(Kind, Dtype); 4] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::Int64, Dtype::I64),
    (Kind::Uint8, Dtype::U8),
];

fn dtype(kind: Kind) -> Option<Dtype> {
    KINDS.iter().find(|pair| pair.0 == kind).map(|pair| pair.1)
}

fn to_tensor(view: &TensorView<'_>) -> Option<Tensor> {
    let kind = KINDS.iter().find(|pair| pair.1 == view.dtype())?.0;
    let size: Vec<i64> = view.shape().iter().map(|&dim| dim as i64).collect();
    Tensor::f_from_data_size(view.data(), &size, kind).ok()
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, CheckpointError> {
    serde_json::to_vec_pretty(value).map_err(|error| CheckpointError::unfit(STATE, &error))
}

/// Suffixes of unfinished names: of what [`publish`] writes, and of what it replaces.
const SUFFIXES: [&str; 2] = [".partial", ".old"];

/// Whether a name is one that [`write()`] left behind when its process was killed.
///
/// ```
/// use coinop_agents::checkpoint::is_unfinished;
///
/// assert!(is_unfinished("1000000.partial") && !is_unfinished("1000000"));
/// ```
#[must_use]
pub fn is_unfinished(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Removes a file or folder if it exists.
fn remove(path: &Path) -> Result<(), CheckpointError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io("can't remove", path)(error)),
        _ => Ok(()),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, CheckpointError> {
    fs::read(path).map_err(io("can't read", path))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    fs::write(path, bytes).map_err(io("can't write", path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io("can't write", path))
}

/// Syncs the names in a folder to disk.
fn sync_dir(path: &Path) -> Result<(), CheckpointError> {
    if cfg!(unix) {
        File::open(path)
            .and_then(|folder| folder.sync_all())
            .map_err(io("can't sync", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a checkpoint that holds a bit of everything.
    fn write_example(path: &Path, value: u64) -> Result<(), CheckpointError> {
        write(path, |section| {
            fill_example(section, value);
            Ok(())
        })
    }

    fn fill_example(section: &mut Section, value: u64) {
        section.put("steps", &value).unwrap();
        section.put_bytes("memory", [b"ab".as_slice(), b"", b"cde"]).unwrap();
        section.put_numbers("numbers", &[1.5f64, -2.0]).unwrap();
        let inner = section.section_mut("learner").section_mut("network");
        let weight = Tensor::from_slice(&[1.5f32, -2.0, 3.25, 0.0]).reshape([2, 2]);
        inner.put_tensor("weight", &weight).unwrap();
        inner.put_tensor("bytes", &Tensor::from_slice(&[1u8, 2, 255])).unwrap();
        inner.put_bytes("more", [[7; 1000].as_slice()]).unwrap();
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        // What a process that was killed left behind.
        fs::write(folder.path().join("config.toml.partial"), "half").unwrap();
        for text in ["first", "second"] {
            write_file(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = write_file(&folder.path().join("no/config.toml"), b"").unwrap_err();
        assert!(error.to_string().starts_with("can't write `"), "{error}");
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write_example(&path, 7).unwrap();
        let section = read(&path).unwrap();
        assert_eq!(section.get::<u64>("steps").unwrap(), 7);
        let network = section.section("learner").unwrap().section("network").unwrap();
        assert_eq!(
            network.tensor("weight").unwrap(),
            &Tensor::from_slice(&[1.5f32, -2.0, 3.25, 0.0]).reshape([2, 2])
        );
        assert_eq!(network.tensor("bytes").unwrap(), &Tensor::from_slice(&[1u8, 2, 255]));
        assert!(matches!(network.tensor("other"), Err(CheckpointError::Missing(_))));
        assert_eq!(section.bytes("memory").unwrap(), b"abcde");
        assert_eq!(network.bytes("more").unwrap(), [7; 1000]);
        let mut numbers = [0.0f64; 2];
        section.load_numbers("numbers", &mut numbers).unwrap();
        assert_eq!(numbers, [1.5, -2.0]);
        let error = section.load_numbers("numbers", &mut [0u8; 3]).unwrap_err().to_string();
        assert_eq!(
            error,
            "`numbers` in the checkpoint does not fit: it has 16 bytes, 3 are needed"
        );
        let mut reader = section.reader("memory").unwrap();
        let mut piece = [0; 3];
        reader.read(&mut piece).unwrap();
        assert_eq!((&piece, reader.left()), (b"abc", 2));
        assert!(
            matches!(reader.finish(), Err(CheckpointError::Damaged { .. })),
            "not all was read"
        );
    }

    #[test]
    fn a_checkpoint_that_is_not_published_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        let pending = begin(&path, |section| section.put("steps", &1)).unwrap();
        assert!(matches!(read(&path), Err(CheckpointError::Io { .. })));
        std::thread::spawn(|| pending.publish()).join().unwrap().unwrap();
        assert_eq!(read(&path).unwrap().get::<u64>("steps").unwrap(), 1);
    }

    #[test]
    fn differences_are_named() {
        let [mut one, mut other] = [Section::default(), Section::default()];
        for section in [&mut one, &mut other] {
            fill_example(section, 7);
        }
        assert_eq!(one.differences(&other, &|_| false), [""; 0]);
        other.put("steps", &8).unwrap();
        other.put("more", &1).unwrap();
        other.put_bytes("memory", [b"abcdf".as_slice()]).unwrap();
        let network = other.section_mut("learner").section_mut("network");
        network
            .put_tensor(
                "weight",
                &Tensor::from_slice(&[1.5f32, -2.0, 3.25, 1e-9]).reshape([2, 2]),
            )
            .unwrap();
        other.section_mut("new").put("x", &1).unwrap();
        let names = ["steps", "more", "memory", "learner/network/weight", "new/x"];
        let found = one.differences(&other, &|_| false);
        assert_eq!(
            found.iter().collect::<std::collections::BTreeSet<_>>(),
            names.map(str::to_owned).iter().collect()
        );
        assert_eq!(found.len(), names.len());
        let left = one.differences(&other, &|name| name.starts_with("new/") || !name.contains('/'));
        assert_eq!(left, ["learner/network/weight"]);
    }

    #[test]
    fn a_checkpoint_replaces_the_one_before_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        // What a process that was killed leaves behind.
        fs::create_dir(folder.path().join("final.partial")).unwrap();
        write_example(&path, 1).unwrap();
        write_example(&path, 2).unwrap();
        assert_eq!(read(&path).unwrap().get::<u64>("steps").unwrap(), 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write_example(&path, 1).unwrap();
        for name in [TENSORS, STATE, MANIFEST] {
            let file = path.join(name);
            let good = fs::read(&file).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                fs::write(&file, &bad).unwrap();
                // A flipped bit of the format is another format.
                assert!(
                    matches!(
                        read(&path),
                        Err(CheckpointError::Damaged { .. } | CheckpointError::Format { .. })
                    ),
                    "byte {at} of {name}"
                );
            }
            fs::write(&file, &good[..good.len() - 1]).unwrap();
            assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
            fs::write(&file, &good).unwrap();
        }
        // Byte strings are checked when they are read, their length at once.
        let file = path.join(BYTES);
        let good = fs::read(&file).unwrap();
        let names = ["memory", "numbers"];
        for at in 0..5 + 16 {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&file, &bad).unwrap();
            let read = read(&path).unwrap();
            let is_good = names.map(|name| read.bytes(name).is_ok());
            assert_eq!(is_good, [at >= 5, at < 5], "byte {at}");
        }
        fs::write(&file, &good[..good.len() - 1]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains("bytes.bin` is damaged: 1020 bytes instead of 1021"),
            "{error}"
        );
        fs::write(&file, &good).unwrap();
        read(&path).unwrap();
        strip(&path).unwrap();
        strip(&path).unwrap();
        let stripped = read(&path).unwrap();
        assert_eq!(stripped.get::<u64>("steps").unwrap(), 1);
        let error = stripped.bytes("memory").unwrap_err().to_string();
        assert!(
            error.starts_with("can't read `") && error.contains("bytes.bin"),
            "{error}"
        );
    }

    fn serialized(tensors: &BTreeMap<String, &Tensor>) -> Vec<u8> {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_tensors(file.path(), tensors).unwrap();
        fs::read(file.path()).unwrap()
    }

    /// A checkpoint with the given file in it, whatever that holds; the sums in the manifest are right.
    fn with_file(path: &Path, name: &str, bytes: &[u8]) {
        fs::write(path.join(name), bytes).unwrap();
        let files = [TENSORS, STATE].map(|name| {
            let bytes = fs::read(path.join(name)).unwrap();
            (name.to_owned(), FileEntry::of(&bytes))
        });
        let mut manifest = Manifest {
            format: FORMAT,
            crc32: String::new(),
            files: files.into(),
            bytes: BTreeMap::new(),
            bytes_len: 0,
        };
        fs::write(path.join(MANIFEST), manifest.seal().unwrap()).unwrap();
    }

    #[test]
    fn a_number_that_is_none_is_neither_written_nor_read_and_its_tensor_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write_example(&path, 1).unwrap();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let tensors = Tensor::from_slice(&[1.0, bad]);
            let named = BTreeMap::from([("learner/network/bias".to_owned(), &tensors)]);
            with_file(&path, TENSORS, &serialized(&named));
            let error = read(&path).unwrap_err().to_string();
            assert!(
                error.contains("its tensor `learner/network/bias` holds NaN or infinity"),
                "{error}"
            );
            assert!(matches!(
                write(&folder.path().join("other"), |section| section.put_tensor("bias", &tensors)),
                Err(CheckpointError::NotFinite { tensor, .. }) if tensor == "bias"
            ));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_of_a_hundred_thousand_sections_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write_example(&path, 1).unwrap();
        let name = "/".repeat(100_000);
        with_file(&path, STATE, format!(r#"{{"{name}": 1}}"#).as_bytes());
        assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
        write_example(&path, 1).unwrap();
        let byte = Tensor::from_slice(&[1u8]);
        let tensors = serialized(&BTreeMap::from([(name, &byte)]));
        with_file(&path, TENSORS, &tensors);
        assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
    }

    #[test]
    fn a_folder_that_is_gone_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_example(&folder.path().join("gone/final"), 1).unwrap_err();
        assert!(matches!(error, CheckpointError::Io { .. }));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_byte_string_that_would_lie_beyond_its_file_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write_example(&path, 1).unwrap();
        let good = fs::read(path.join(MANIFEST)).unwrap();
        for (at, len) in [(0, 1 << 60), (u64::MAX, 5), (1022, 0), (1000, 22)] {
            let mut manifest: Manifest = serde_json::from_slice(&good).unwrap();
            let span = manifest.bytes.get_mut("memory").unwrap();
            (span.at, span.len) = (at, len);
            // The checksum is right, as of a program that writes nonsense.
            fs::write(path.join(MANIFEST), manifest.seal().unwrap()).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(
                error.contains("`memory` would lie beyond the 1021 bytes of bytes.bin"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_checkpoint_that_was_being_replaced_when_the_process_was_killed_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        write_example(&folder.path().join("1"), 1).unwrap();
        write_example(&folder.path().join("2"), 2).unwrap();
        write_example(&folder.path().join("2.old"), 0).unwrap();
        fs::rename(folder.path().join("1"), folder.path().join("1.old")).unwrap();
        recover(folder.path()).unwrap();
        for steps in [1, 2] {
            let found = read(&folder.path().join(steps.to_string())).unwrap();
            assert_eq!(found.get::<u64>("steps").unwrap(), steps);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_takes_the_place_of_another_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        write_example(&one, 1).unwrap();
        write_example(&other, 2).unwrap();
        assert!(exchange(&one, &other));
        let steps = [&one, &other].map(|path| read(path).unwrap().get::<u64>("steps").unwrap());
        assert_eq!(steps, [2, 1]);
    }

    #[test]
    fn another_format_and_a_missing_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write_example(&path, 1).unwrap();
        fs::remove_file(path.join(STATE)).unwrap();
        assert!(matches!(read(&path), Err(CheckpointError::Io { .. })));
        for other in [3, 5] {
            fs::write(path.join(MANIFEST), format!(r#"{{"format": {other}, "files": {{}}}}"#)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(
                matches!(error, CheckpointError::Format { found, known: 4, .. } if found == other),
                "{error}"
            );
        }
        fs::write(path.join(MANIFEST), "{").unwrap();
        assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
    }
}
