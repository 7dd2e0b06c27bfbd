//! Checkpoints on disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use safetensors::tensor::{SafeTensors, TensorView};
use safetensors::{Dtype, serialize};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{CheckpointError, Section};

/// The format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const TENSORS: &str = "tensors.safetensors";
const STATE: &str = "state.json";
/// Parts of a name: sections within sections are walked by recursion.
const MAX_PARTS: usize = 16;

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    files: BTreeMap<String, FileEntry>,
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
}

/// Writes a checkpoint to the folder `path`, which it replaces if it is there. Until everything is on the disk, nothing is seen under
/// that name.
///
/// # Errors
///
/// [`CheckpointError::Io`] with the file and what the system said; also when the folder that `path` is in does not exist, because whoever
/// removed it does not want it back. [`CheckpointError::NotFinite`] when a tensor could not be read again.
pub fn write(path: &Path, section: &Section) -> Result<(), CheckpointError> {
    let mut tensors = BTreeMap::new();
    let mut values = BTreeMap::new();
    flatten(section, "", &mut tensors, &mut values);
    check_finite(&tensors, path)?;
    let files = [(TENSORS, serialize_tensors(&tensors)?), (STATE, json(&values)?)];
    let entries = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), FileEntry::of(bytes)))
        .collect();
    let manifest = json(&Manifest {
        format: FORMAT,
        files: entries,
    })?;

    publish(path, |aside| {
        fs::create_dir(aside).map_err(io("can't create the folder", aside))?;
        for (name, bytes) in &files {
            write_synced(&aside.join(name), bytes)?;
        }
        write_synced(&aside.join(MANIFEST), &manifest)?;
        sync_dir(aside)
    })
}

/// Writes the file `path`, which it replaces if it is there. Until everything is on the disk, nothing is seen under that name.
///
/// # Errors
///
/// [`CheckpointError::Io`] with the file and what the system said.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    publish(path, |aside| write_synced(aside, bytes))
}

/// Lets `make` make a file or a folder beside `path`, and gives it that name, in place of what had it, when it is whole.
fn publish(path: &Path, make: impl FnOnce(&Path) -> Result<(), CheckpointError>) -> Result<(), CheckpointError> {
    let aside = sibling(path, SUFFIXES[0]);
    remove(&aside)?;
    if let Err(error) = make(&aside) {
        // The disk may be full: what was written is of no use.
        let _ = remove(&aside);
        return Err(error);
    }
    // A file takes another's place in one step; a folder only that of an empty one.
    let old = sibling(path, SUFFIXES[1]);
    if path.is_dir() {
        remove(&old)?;
        fs::rename(path, &old).map_err(io("can't replace", path))?;
    }
    fs::rename(&aside, path).map_err(io("can't rename to", path))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or(Path::new(".")))?;
    remove(&old)
}

/// Reads the checkpoint in the folder `path`.
///
/// # Errors
///
/// [`CheckpointError::Io`], [`CheckpointError::Damaged`] when a file is not what was written, [`CheckpointError::NotFinite`],
/// [`CheckpointError::Newer`].
pub fn read(path: &Path) -> Result<Section, CheckpointError> {
    let manifest_path = path.join(MANIFEST);
    let manifest = read_file(&manifest_path)?;
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|error| damaged(&manifest_path, &error))?;
    if manifest.format > FORMAT {
        return Err(CheckpointError::Newer {
            path: path.to_owned(),
            found: manifest.format,
            known: FORMAT,
        });
    }
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
    let mut read = BTreeMap::new();
    flatten(&section, "", &mut read, &mut BTreeMap::new());
    check_finite(&read, path)?;
    let (state_path, bytes) = file(STATE)?;
    let values: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&bytes).map_err(|error| damaged(&state_path, &error))?;
    for (name, value) in values {
        let (scope, name) = section.scope(&name).map_err(|error| damaged(&state_path, &error))?;
        scope.values.insert(name, value);
    }
    Ok(section)
}

impl Section {
    /// The section and the last part of a name like `learner/network/weight`.
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

fn flatten<'a>(
    section: &'a Section,
    prefix: &str,
    tensors: &mut BTreeMap<String, &'a Tensor>,
    values: &mut BTreeMap<String, &'a serde_json::Value>,
) {
    tensors.extend(
        section
            .tensors
            .iter()
            .map(|(name, tensor)| (format!("{prefix}{name}"), tensor)),
    );
    values.extend(
        section
            .values
            .iter()
            .map(|(name, value)| (format!("{prefix}{name}"), value)),
    );
    for (name, inner) in &section.sections {
        flatten(inner, &format!("{prefix}{name}/"), tensors, values);
    }
}

/// Every number must be one: a single NaN in the weights makes every action of a policy meaningless.
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

fn serialize_tensors(tensors: &BTreeMap<String, &Tensor>) -> Result<Vec<u8>, CheckpointError> {
    let mut data = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let kind = tensor.kind();
        let dtype = dtype(kind)
            .ok_or_else(|| CheckpointError::unfit(name, &format!("tensors of kind {kind:?} are not saved")))?;
        let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
        let copied = tensor
            .f_contiguous()
            .and_then(|tensor| tensor.f_copy_data_u8(&mut bytes, tensor.numel()));
        copied.map_err(|error| CheckpointError::unfit(name, &error))?;
        let shape: Vec<usize> = tensor.size().iter().map(|&dim| dim as usize).collect();
        data.push((name, dtype, shape, bytes));
    }
    let views = data.iter().map(|(name, dtype, shape, bytes)| {
        let view =
            TensorView::new(*dtype, shape.clone(), bytes).map_err(|error| CheckpointError::unfit(name, &error))?;
        Ok((name.as_str(), view))
    });
    let views = views.collect::<Result<Vec<_>, CheckpointError>>()?;
    serialize(views, None).map_err(|error| CheckpointError::unfit(TENSORS, &error))
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

fn io<'a>(action: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> CheckpointError + 'a {
    move |source| CheckpointError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn damaged(path: &Path, reason: &dyn std::fmt::Display) -> CheckpointError {
    CheckpointError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

/// What [`publish`] adds to a name until it is finished: to what is written, and to what is replaced.
const SUFFIXES: [&str; 2] = [".partial", ".old"];

/// Whether a name is that of what [`write()`] left behind where its process was killed.
#[must_use]
pub fn is_unfinished(name: &str) -> bool {
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Removes a file or a folder, if it is there.
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

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io("can't write", path))
}

/// Makes names in a folder last.
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

    fn example(value: u64) -> Section {
        let mut section = Section::default();
        section.put("steps", &value).unwrap();
        let inner = section.section_mut("learner").section_mut("network");
        let weight = Tensor::from_slice(&[1.5f32, -2.0, 3.25, 0.0]).reshape([2, 2]);
        inner.put_tensor("weight", &weight).unwrap();
        inner.put_tensor("bytes", &Tensor::from_slice(&[1u8, 2, 255])).unwrap();
        section
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
        write(&path, &example(7)).unwrap();
        let section = read(&path).unwrap();
        assert_eq!(section.get::<u64>("steps").unwrap(), 7);
        let network = section.section("learner").unwrap().section("network").unwrap();
        assert_eq!(
            network.tensor("weight").unwrap(),
            &Tensor::from_slice(&[1.5f32, -2.0, 3.25, 0.0]).reshape([2, 2])
        );
        assert_eq!(network.tensor("bytes").unwrap(), &Tensor::from_slice(&[1u8, 2, 255]));
        assert!(matches!(network.tensor("other"), Err(CheckpointError::Missing(_))));
    }

    #[test]
    fn a_checkpoint_replaces_the_one_before_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        // What a process that was killed leaves behind.
        fs::create_dir(folder.path().join("final.partial")).unwrap();
        write(&path, &example(1)).unwrap();
        write(&path, &example(2)).unwrap();
        assert_eq!(read(&path).unwrap().get::<u64>("steps").unwrap(), 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write(&path, &example(1)).unwrap();
        for name in [TENSORS, STATE] {
            let file = path.join(name);
            let good = fs::read(&file).unwrap();
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                fs::write(&file, &bad).unwrap();
                assert!(
                    matches!(read(&path), Err(CheckpointError::Damaged { .. })),
                    "byte {at} of {name}"
                );
            }
            fs::write(&file, &good[..good.len() - 1]).unwrap();
            assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
            fs::write(&file, &good).unwrap();
        }
        read(&path).unwrap();
    }

    /// A checkpoint with the given file in it, whatever that holds; the sums in the manifest are right.
    fn with_file(path: &Path, name: &str, bytes: &[u8]) {
        fs::write(path.join(name), bytes).unwrap();
        let files = [TENSORS, STATE].map(|name| {
            let bytes = fs::read(path.join(name)).unwrap();
            (name.to_owned(), FileEntry::of(&bytes))
        });
        let manifest = Manifest {
            format: FORMAT,
            files: files.into(),
        };
        fs::write(path.join(MANIFEST), json(&manifest).unwrap()).unwrap();
    }

    #[test]
    fn a_number_that_is_none_is_neither_written_nor_read_and_its_tensor_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write(&path, &example(1)).unwrap();
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let tensors = Tensor::from_slice(&[1.0, bad]);
            let named = BTreeMap::from([("learner/network/bias".to_owned(), &tensors)]);
            with_file(&path, TENSORS, &serialize_tensors(&named).unwrap());
            let error = read(&path).unwrap_err().to_string();
            assert!(
                error.contains("its tensor `learner/network/bias` holds NaN or infinity"),
                "{error}"
            );
            let mut section = Section::default();
            section.put_tensor("bias", &tensors).unwrap();
            assert!(matches!(
                write(&folder.path().join("other"), &section),
                Err(CheckpointError::NotFinite { tensor, .. }) if tensor == "bias"
            ));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_of_a_hundred_thousand_sections_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write(&path, &example(1)).unwrap();
        let name = "/".repeat(100_000);
        with_file(&path, STATE, format!(r#"{{"{name}": 1}}"#).as_bytes());
        assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
        write(&path, &example(1)).unwrap();
        let byte = Tensor::from_slice(&[1u8]);
        let tensors = serialize_tensors(&BTreeMap::from([(name, &byte)])).unwrap();
        with_file(&path, TENSORS, &tensors);
        assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
    }

    #[test]
    fn a_folder_that_is_gone_is_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("gone/final"), &example(1)).unwrap_err();
        assert!(matches!(error, CheckpointError::Io { .. }));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_newer_format_and_a_missing_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("final");
        write(&path, &example(1)).unwrap();
        fs::remove_file(path.join(STATE)).unwrap();
        assert!(matches!(read(&path), Err(CheckpointError::Io { .. })));
        fs::write(path.join(MANIFEST), r#"{"format": 2, "files": {}}"#).unwrap();
        assert!(matches!(
            read(&path),
            Err(CheckpointError::Newer { found: 2, known: 1, .. })
        ));
        fs::write(path.join(MANIFEST), "{").unwrap();
        assert!(matches!(read(&path), Err(CheckpointError::Damaged { .. })));
    }
}
